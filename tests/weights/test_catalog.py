"""The catalogue says what the publishers say: compared line by line with the table of public weights."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from vultus.errors import WeightsError
from vultus.weights.catalog import (
    CATALOG,
    BoxMargin,
    BoxScale,
    FivePoint,
    LivenessDecoding,
    RetinaFaceDecoding,
    ShippedFile,
    UrlFile,
    WeightsEntry,
    Yolov5FaceDecoding,
    entry,
)

ENTRIES = list(CATALOG.values())
FILES = [file for weights in ENTRIES for file in weights.files]
CONVERTED = ["mtcnn", "retinaface-mobilenet0.25"]  # published files in another container
OURS = [
    "retinaface-vultus",
    "mtcnn-vultus",
    "compact-resnet-vultus",
    "compact-resnet-vultus-int8",
    "compact-resnet-vultus-state",
    "slim-sface-vultus",
]  # trained here, published nowhere else
PUBLISHED = [weights for weights in ENTRIES if weights.name not in OURS]
RECOGNITION = [weights for weights in ENTRIES if weights.task == "recognition"]


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, list[str]]:
    """The cells of each line of the shared table, by name."""
    lines = (shared / "WEIGHTS.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0]: row for row in rows[2:]}


def row_of(weights: WeightsEntry, published: dict[str, list[str]]) -> list[str]:
    # Published files that Vultus ships converted are in the catalogue, too.
    return published[weights.name.removesuffix("-lz4").removesuffix("-pth")]


def test_every_published_line_is_in_the_catalogue(published: dict[str, list[str]]) -> None:
    assert len(published) == 19
    assert set(CATALOG) == {*published, *OURS, "mtcnn-lz4", "retinaface-mobilenet0.25-pth"}


@pytest.mark.parametrize("name", OURS)
def test_our_own_weights_come_with_the_package_and_a_model_card(name: str) -> None:
    weights = entry(name)
    assert all(isinstance(file.source, ShippedFile) for file in weights.files)
    assert all(file.n_bytes is not None and file.n_bytes <= 5_000_000 for file in weights.files)
    file = f"docs/models/{name.removesuffix('-state').removesuffix('-int8')}.md"
    told = (Path(__file__).resolve().parents[2] / file).read_text(encoding="utf-8")
    assert file in " ".join(weights.notes)
    for metric in weights.metrics:
        assert f"{metric.percent:.1f}" in told, f"the card does not have {metric}"


def test_addresses_and_hashes_are_the_published_ones(published: dict[str, list[str]]) -> None:
    compared = 0
    for weights in PUBLISHED:
        if weights.name in CONVERTED:
            continue
        cells = row_of(weights, published)
        for file in weights.files:
            if isinstance(file.source, UrlFile):
                assert cells[2] == file.source.url
            if file.sha256 is None:
                assert cells[3] == "not public"
            else:
                row_says = (
                    cells[3] if len(weights.files) == 1 else cells[3].split(f"{Path(file.name).stem} ")[1]
                )
                assert file.sha256.startswith(re.split("[…,]", row_says)[0])  # one is cut short there
            compared += 1
    assert compared == sum(len(weights.files) for weights in PUBLISHED) - 4


def test_sizes_and_figures_are_the_published_ones(published: dict[str, list[str]]) -> None:
    compared = 0
    for weights in PUBLISHED:
        cells = row_of(weights, published)
        if weights.name in CONVERTED:
            pass
        elif weights.files[0].n_bytes and len(weights.files) == 1:
            assert cells[4] == f"{weights.files[0].n_bytes:,}"
        elif weights.files[0].about_mb:
            assert cells[4] == f"{weights.files[0].about_mb:g} M"
        figures = [float(number) for number in re.findall(r"\d\d\.\d+", cells[6])]
        assert [metric.percent for metric in weights.metrics] == figures
        compared += len(figures)
    assert compared > 30


def test_the_terms_are_the_published_ones(published: dict[str, list[str]]) -> None:
    for weights in PUBLISHED:
        cells = row_of(weights, published)[5].split(" / ")
        licence = weights.licence
        assert cells[0] == licence.code
        if len(cells) == 3:
            assert cells[1].replace("-", "not stated", cells[1] == "-") == licence.weights
        else:
            assert cells[0] == licence.weights
        is_marked = any(mark in row_of(weights, published)[5] for mark in ("(nc)", "(research)"))
        assert not is_marked or licence.is_data_research_only


def test_names_are_unique() -> None:
    assert len(ENTRIES) == 27
    assert all(name == weights.name for name, weights in CATALOG.items())
    assert len({file.name for file in FILES}) == len(FILES)


def test_every_hash_is_well_formed_and_only_one_is_missing() -> None:
    hashes = {file.name: file.sha256 for file in FILES}
    assert [name for name, sha256 in hashes.items() if sha256 is None] == ["20180408-102900-casia-webface.pt"]
    well_formed = [sha256 for sha256 in hashes.values() if sha256 and re.fullmatch("[0-9a-f]{64}", sha256)]
    assert len(set(well_formed)) == len(FILES) - 1


@pytest.mark.parametrize("weights", ENTRIES, ids=lambda weights: str(weights.name))
def test_every_entry_states_licences_and_paper_and_survives_json(weights: WeightsEntry) -> None:
    assert all((weights.licence.code, weights.licence.weights, weights.licence.data, weights.paper))
    assert json.loads(json.dumps(asdict(weights)))["name"] == weights.name
    assert hash(weights) == hash(entry(weights.name))


@pytest.mark.parametrize("weights", RECOGNITION, ids=lambda weights: str(weights.name))
def test_every_embedding_network_says_how_faces_are_cut(weights: WeightsEntry) -> None:
    assert isinstance(weights.alignment, FivePoint | BoxMargin)
    side = weights.alignment.size_px
    assert weights.preprocessing.size_hw == (side, side)
    assert weights.preprocessing.normalisation == "l2"
    assert weights.embedding_size in {128, 512}
    assert (weights.min_similarity is None) == (weights.min_similarity_source == "")


def test_recognition_is_not_empty() -> None:
    assert len(RECOGNITION) == 12


def test_the_families_differ_in_what_decides_the_numbers() -> None:
    facenet = entry("facenet-inception-resnet-v1-vggface2").preprocessing
    arcface = entry("arcface-iresnet50-w600k").preprocessing
    sface = entry("sface-int8bq").preprocessing
    assert (facenet.alignment, facenet.std[0]) == (BoxMargin(size_px=160, margin_px=14), 128.0)
    assert (arcface.alignment, arcface.std[0]) == (FivePoint(112), 127.5)
    assert (sface.mean, sface.std, sface.channels) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "RGB")
    assert entry("sface-int8bq").min_similarity == 0.363


def test_retinaface_states_activation_anchors_and_colour_order() -> None:
    weights = entry("retinaface-mobilenet0.25")
    decoding = weights.decoding
    assert isinstance(decoding, RetinaFaceDecoding)
    assert decoding.activation == "leaky_relu_0.1"
    assert decoding.min_sizes == ((16, 32), (64, 128), (256, 512))
    assert (decoding.steps, decoding.variances) == ((8, 16, 32), (0.1, 0.2))
    assert decoding.outputs == "logits_boxes_landmarks"
    assert (weights.preprocessing.channels, weights.preprocessing.mean) == ("BGR", (104.0, 117.0, 123.0))


def test_every_detector_that_needs_decoding_facts_has_them() -> None:
    kinds = {name: type(weights.decoding) for name, weights in CATALOG.items()}
    assert {name for name, kind in kinds.items() if kind is RetinaFaceDecoding} == {
        name for name in CATALOG if name.startswith("retinaface")
    }
    assert {name for name, kind in kinds.items() if kind is Yolov5FaceDecoding} == {
        name for name in CATALOG if name.startswith("yolov5")
    }
    assert {name for name, kind in kinds.items() if kind is LivenessDecoding} == {
        "minifasnet-v2",
        "minifasnet-v1se",
    }


def test_liveness_wants_bgr_0_to_255() -> None:
    weights = entry("minifasnet-v2")
    assert weights.alignment == BoxScale(size_px=80, scale=2.7)
    assert (weights.preprocessing.channels, weights.preprocessing.std) == ("BGR", (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("typed", "meant"), [("mtcn", "mtcnn"), ("sface_int8bq", "sface-int8bq"), ("yolov5n", "yolov5n-face")]
)
def test_a_typo_is_answered_with_close_names(typed: str, meant: str) -> None:
    with pytest.raises(WeightsError, match=f"no weights named '{typed}'.*{re.escape(meant)}"):
        entry(typed)


def test_a_name_like_no_other_is_answered_with_all_names() -> None:
    with pytest.raises(WeightsError, match=r"known names: .*sface"):
        entry("???")
