"""Parts that are measured do their work: all points are there, and the work is that of the right networks."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from vultus.benchmark.measuring import Measured, _is_bf16, measure
from vultus.benchmark.networks import embedding_work, work_of_one
from vultus.benchmark.peak import Peak
from vultus.benchmark.report import facts, pictures, rows
from vultus.benchmark.subjects import Parts, crops_of, photos_of, prepare, scene
from vultus.benchmark.work import Work
from vultus.errors import FaceCountError
from vultus.image import encode_png
from vultus.weights import store

RETINAFACE = Parts("detector", detector="retinaface")


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    return photos_of([])


@pytest.fixture(scope="module")
def measured(photos: list[bytes]) -> Measured:
    return measure(RETINAFACE, photos, rounds=3, batches=(1, 2), threads=(1,))


def test_the_made_photo_shows_six_faces() -> None:
    assert scene().shape == (480, 640, 3)
    parts = Parts("embedder", detector="retinaface")
    assert crops_of(parts, [encode_png(scene())]).shape == (6, 112, 112, 3)


def test_an_embedder_needs_a_face() -> None:
    gray = encode_png(np.full((64, 64, 3), 127, np.uint8))
    with pytest.raises(FaceCountError, match="cannot be measured without"):
        prepare(Parts("embedder", detector="retinaface"), [gray], threads=1)


def test_all_points_are_measured(measured: Measured) -> None:
    assert [(point.threads, point.batch) for point in measured.throughput] == [(1, 1), (1, 2)]
    assert all(point.per_second > 0 for point in measured.throughput)
    assert measured.latency.rounds == len(measured.times_s) == 3
    assert measured.best in measured.throughput


def test_a_process_was_started_and_loads_before_it_answers(measured: Measured) -> None:
    assert 0 < measured.start.loaded_s < measured.start.first_result_s
    if sys.platform == "linux":
        assert measured.start.resident_mb > 50


def test_what_was_measured_can_be_read_by_machines_and_people(measured: Measured) -> None:
    fields = json.loads(json.dumps(measured.fields()))
    assert fields["machine"]["cores"] >= 1
    assert fields["parts"] == asdict(RETINAFACE)
    assert "of the peak was reached" in facts(measured)["roofline"]
    assert list(rows(measured)[0]) == ["batch", "threads_1"]


def test_more_than_the_peak_of_floats_is_said_to_be_int8(measured: Measured) -> None:
    roofline = replace(measured.roofline, share_of_peak=1.98)
    told = facts(replace(measured, roofline=roofline))["roofline"]
    assert told == "198% of the peak, which is that of floats: int8 is faster"


def test_a_picture_is_drawn(measured: Measured) -> None:
    (name, draw), *others = pictures(measured).items()
    assert (name, others) == ("benchmark-detector.png", [])
    left, right = draw().axes
    assert (left.get_ylabel(), right.get_xlabel()) == ("photos a second", "ms, one at a time")


def test_the_whole_is_one_detection_and_as_many_embeddings_as_faces(photos: list[bytes]) -> None:
    whole = work_of_one(Parts("pipeline", detector="retinaface"), photos[0])
    detection = work_of_one(RETINAFACE, photos[0])
    one_face = embedding_work(Parts("embedder"))
    assert whole.multiply_adds == detection.multiply_adds + 6 * one_face.multiply_adds
    assert one_face.multiply_adds == work_of_one(Parts("embedder"), photos[0]).multiply_adds


def test_an_exported_file_is_measured_as_its_name_in_the_catalogue() -> None:
    file = store.find("compact-resnet-vultus")
    assert file.suffix == ".onnx"
    named, given = Parts("embedder", embedder="compact-resnet-vultus"), Parts("embedder", embedder=str(file))
    assert embedding_work(given) == embedding_work(named)
    assert _is_bf16(named)
    assert not _is_bf16(given)  # only the catalogue knows of weights that were tried in bfloat16


def test_mtcnn_runs_three_networks(photos: list[bytes]) -> None:
    near, far = (
        work_of_one(Parts("detector", detector="mtcnn", options={"min_face_px": px}), photos[0])
        for px in (80, 40)
    )
    assert 0 < near.multiply_adds < far.multiply_adds


def test_work_takes_the_longer_of_computing_and_moving() -> None:
    peak = Peak(giga_multiply_adds=10, gigabytes=2)
    assert peak.least_ms(Work(20e6, 0, 0)) == pytest.approx(2)
    assert peak.least_ms(Work(20e6, 8e6, 2e6)) == pytest.approx(5)


def test_a_new_process_says_why_it_failed(tmp_path: Path) -> None:
    parts = asdict(Parts("detector", options={"weights": str(tmp_path / "none.onnx")}))
    done = subprocess.run(
        [sys.executable, "-m", "vultus.benchmark.fresh", json.dumps(parts)],
        input=b"",
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    assert b"there are no weights" in done.stderr
