"""`vultus evaluate lfw`, `cfp`, `agedb`, `calfw`, `cplfw`, `bin`, `ijb`: real faces in the published layouts.

Eight aligned faces of four people go into each set, so the right answer is known: every pair is told apart.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from vultus.align.five_point import ARCFACE_TEMPLATE
from vultus.choices import FaceChoice
from vultus.cli import app
from vultus.detect import load_detector
from vultus.embed import load_embedder
from vultus.errors import InputError, VultusError
from vultus.evaluate import write_pack
from vultus.image import encode_png, load_image, save_image
from vultus.pipeline import choose_face
from vultus.types import Image

PEOPLE, EACH = 4, 2
FOLDS = 10


@pytest.fixture(scope="module")
def faces(shared: Path) -> dict[str, Image]:
    """`a_1`, `a_2`, `b_1` ...: 112 px crops of four people of the development set."""
    folder = shared / "data" / "lfw-dev" / "images"
    people = [person for person in sorted(folder.iterdir()) if len(list(person.iterdir())) == EACH][:PEOPLE]
    assert len(people) == PEOPLE
    detector, embedder = load_detector(), load_embedder()
    crops: dict[str, Image] = {}
    for letter, person in zip("abcd", people, strict=True):
        for number, path in enumerate(sorted(person.iterdir()), start=1):
            image = load_image(path)
            face = choose_face(image, detector.detect(image), FaceChoice.CENTRAL, source=path.name)
            crops[f"{letter}_{number}"] = embedder.align(image, face)[0]
    return crops


def run_json(*arguments: object) -> dict[str, Any]:
    """What a command prints with --json."""
    done = CliRunner().invoke(app, [str(one) for one in (*arguments, "--json", "--threads", "1")])
    if isinstance(done.exception, VultusError):
        raise done.exception
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def write_images(faces: dict[str, Image], folder: Path, name: Callable[[str], str]) -> None:
    for face, crop in faces.items():
        path = folder / name(face)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(crop, path)


def write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def genuine_and_impostor(fold: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """A pair of one person and one of two, another for each fold."""
    one, other = "abcd"[fold % 4], "abcd"[(fold + 1 + fold // 4) % 4]
    return (f"{one}_1", f"{one}_2"), (f"{one}_1", f"{other}_2" if one != other else "d_1")


def png(face: str) -> str:
    return f"{face}.png"


def lfw(faces: dict[str, Image], folder: Path) -> list[str]:
    lines = ["10\t1"]
    for fold in range(FOLDS):
        (left, right), (stranger_left, stranger_right) = genuine_and_impostor(fold)
        lines.append(f"{left[0]}\t{left[2]}\t{right[2]}")
        lines.append("\t".join([stranger_left[0], stranger_left[2], stranger_right[0], stranger_right[2]]))
    write_lines(folder / "pairs.txt", lines)
    write_images(faces, folder / "lfw-deepfunneled", lambda face: f"{face[0]}/{face[0]}_000{face[2]}.jpg")
    return ["lfw", "--data", str(folder)]


def cfp(faces: dict[str, Image], folder: Path, *, protocol: str) -> list[str]:
    kinds = {"frontal": sorted(faces), "profile": sorted(faces)}
    for kind, names in kinds.items():
        listed = [f"{i} ../Data/Images/{kind}/{png(face)}" for i, face in enumerate(names, start=1)]
        write_lines(folder / "Protocol" / f"Pair_list_{kind[0].upper()}.txt", listed)
        write_images(faces, folder / "Data" / "Images" / kind, png)
    number = {face: i for i, face in enumerate(sorted(faces), start=1)}
    for fold in range(FOLDS):
        for file, (left, right) in zip(("same", "diff"), genuine_and_impostor(fold), strict=True):
            path = folder / "Protocol" / "Split" / protocol / f"{fold + 1:02d}" / f"{file}.txt"
            write_lines(path, [f"{number[left]},{number[right]}"])
    return ["cfp", "--data", str(folder), "--protocol", protocol]


def agedb(faces: dict[str, Image], folder: Path) -> list[str]:
    lines = [
        f"{png(left)} {png(right)} {label}"
        for fold in range(FOLDS)
        for label, (left, right) in zip((1, 0), genuine_and_impostor(fold), strict=True)
    ]
    write_lines(folder / "agedb_30_pair.txt", lines)
    write_images(faces, folder / "agedb30_align_112", png)
    return ["agedb", "--data", str(folder)]


def two_lines(faces: dict[str, Image], folder: Path, *, name: str) -> list[str]:
    folds = [genuine_and_impostor(fold) for fold in range(FOLDS)]
    lines = [f"{png(face)} {i}" for i, (pair, _) in enumerate(folds, start=1) for face in pair]
    lines += [f"{png(face)} 0" for _, pair in folds for face in pair]
    write_lines(folder / f"pairs_{name.upper()}.txt", lines)
    write_images(faces, folder / "aligned images", png)
    return [name, "--data", str(folder)]


LAYOUTS: dict[str, tuple[str, Callable[[dict[str, Image], Path], list[str]]]] = {
    "lfw": ("LFW layout", lfw),
    "cfp-ff": ("CFP layout", lambda faces, folder: cfp(faces, folder, protocol="FF")),
    "cfp-fp": ("CFP layout", lambda faces, folder: cfp(faces, folder, protocol="FP")),
    "agedb": ("AgeDB-30 layout", agedb),
    "calfw": ("CALFW layout", lambda faces, folder: two_lines(faces, folder, name="calfw")),
    "cplfw": ("CPLFW layout", lambda faces, folder: two_lines(faces, folder, name="cplfw")),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_set_is_measured_in_its_published_layout(
    name: str, faces: dict[str, Image], tmp_path: Path
) -> None:
    title, write = LAYOUTS[name]
    told = run_json("evaluate", *write(faces, tmp_path), "--aligned")
    assert (
        told["title"] == f"{title}, not the published list (20 of {'7' if 'cfp' in name else '6'},000 pairs)"
    )
    details, setting = told["details"], told["setting"]
    assert details["accuracy"] == 1.0
    assert len(details["verification"]["folds"]) == FOLDS
    assert (details["verification"]["n_genuine"], details["verification"]["n_impostors"]) == (10, 10)
    assert setting["detector"] == "none: the images are aligned crops"
    assert "No pair is dropped" in told["protocol"]


def test_what_is_lost_to_detection_is_counted(faces: dict[str, Image], tmp_path: Path) -> None:
    """A black picture in the place of `a_1`: its pairs stay, as non-matches."""
    black = {
        name: np.zeros_like(crop) if name == "a_1" else np.pad(crop, ((60, 60), (60, 60), (0, 0)))
        for name, crop in faces.items()
    }
    told = run_json("evaluate", *lfw(black, tmp_path), "--detector", "mtcnn", "--faces", "largest")
    details = told["details"]
    assert details["without_face"] == ["a/a_0001.jpg"]
    assert details["verification"]["n_genuine"] == 10
    genuine_lost = sum(genuine_and_impostor(fold)[0][0] == "a_1" for fold in range(FOLDS))
    assert details["n_pairs_without_face"] >= genuine_lost == 3
    assert details["accuracy"] == pytest.approx(1 - genuine_lost / 20)


def test_a_pack_is_measured_without_a_detector(faces: dict[str, Image], tmp_path: Path) -> None:
    encoded = {name: encode_png(crop) for name, crop in faces.items()}
    pairs = [
        (encoded[left], encoded[right], is_same)
        for fold in range(FOLDS)
        for is_same, (left, right) in zip((True, False), genuine_and_impostor(fold), strict=True)
    ]
    write_pack(tmp_path / "small.bin", pairs)
    told = run_json("evaluate", "bin", tmp_path / "small.bin", "--flip")
    details, setting = told["details"], told["setting"]
    assert details["accuracy"] == 1.0
    assert "mirrored" in setting["flip"]
    assert "A pack numbers no folds" in told["protocol"]


def ijb(faces: dict[str, Image], folder: Path) -> list[str]:
    """A template of the first, one of the second image of each person; all with all: 4 of 16 genuine."""
    names = sorted(faces)
    write_images(faces, folder / "loose_crop", png)
    template = {face: 10 * int(face[2]) + "abcd".index(face[0]) for face in names}
    points = " ".join(f"{x:.3f}" for x in ARCFACE_TEMPLATE.reshape(-1))
    meta = folder / "meta"
    write_lines(meta / "ijbc_face_tid_mid.txt", [f"{png(f)} {template[f]} {i}" for i, f in enumerate(names)])
    write_lines(meta / "ijbc_name_5pts_score.txt", [f"{png(f)} {points} 0.99" for f in names])
    compared = [
        f"{template[f'{one}_1']} {template[f'{other}_2']} {int(one == other)}"
        for one in "abcd"
        for other in "abcd"
    ]
    write_lines(meta / "ijbc_template_pair_label.txt", compared)
    return ["ijb", "--data", str(folder), "--set", "C", "--far", "0.9"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            [],
            "the means of its media (stills, videos), each unit embedding weighted by the score of its face",
        ),
        (["--by-face", "--no-face-scores", "--flip"], "its faces, each unit embedding weighted by 1"),
    ],
)
def test_templates_are_compared_as_the_flags_say(
    flags: list[str], words: str, faces: dict[str, Image], tmp_path: Path
) -> None:
    told = run_json("evaluate", *ijb(faces, tmp_path), *flags)
    details = told["details"]
    (point,) = details["tar_at_far"]
    assert (point["tar"], point["n_genuine"], point["n_impostors"]) == (1.0, 4, 12)
    assert details["equal_error"]["rate"] == 0.0
    assert (details["n_templates"], details["n_faces_without"]) == (8, 0)
    assert words in told["protocol"]
    assert "published landmarks" in told["protocol"]


def test_a_missing_face_of_ijb_stops_the_measurement(faces: dict[str, Image], tmp_path: Path) -> None:
    arguments = ijb(faces, tmp_path)
    (tmp_path / "loose_crop" / "b_1.png").unlink()
    with pytest.raises(InputError, match=r"b_1\.png is missing"):
        run_json("evaluate", *arguments)
