"""Run every command of "Train your own in one afternoon", in its order, on a small set of faces.

    python -m benchmarks.afternoon                                  # in runs/afternoon, some minutes
    python -m benchmarks.afternoon --page docs/training/afternoon.md

The set: photos/ has 40 people of PINS with 20 photos each (the crops of `shared/data/faces`, enlarged to
256 px), 8 of them under a wrong name and 8 of them twice; judges/ has 40 people of LFW-dev, as published;
staff/ has the first three photos of 10 of those, door/ the last one of these and of three strangers. The
commands are the lines that begin with `$` in the page; the first that fails ends the run. What they print
goes to transcript.txt.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from benchmarks.recipes import FACES, ROOT

from vultus.image import save_image
from vultus.training.data.identities import crop_counts
from vultus.training.data.reading import read_faces

PAGE = ROOT / "docs" / "training" / "afternoon.md"
FOLDER = ROOT / "runs" / "afternoon"
LFW = FACES.parent / "lfw-dev" / "images"
PEOPLE, PHOTOS, JUDGES, STAFF = 40, 20, 40, 10
EVERY_WRONG = 100  # every hundredth photo lies in the next person's folder, and the one after it is a copy
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write_photos() -> None:
    """Folders of people to learn from, with what is wrong in every folder that was filled by hand."""
    faces = read_faces(FACES, split="train", sources=("pins",))
    names = [name.removeprefix("pins_") for name in faces.names]
    people = np.argsort(-crop_counts(faces), kind="stable")[:PEOPLE]
    written = 0
    for person, neighbour in zip(people, np.roll(people, -1), strict=True):
        for place, index in enumerate(np.flatnonzero(faces.identity_index == person)[:PHOTOS]):
            is_wrong = written % EVERY_WRONG == 0
            owner = names[neighbour if is_wrong else person]
            file = FOLDER / "photos" / owner / f"{names[person]}-{place:02d}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            large = cv2.resize(faces.crop(int(index)), (256, 256), interpolation=cv2.INTER_CUBIC)
            save_image(np.asarray(large, np.uint8), file)
            if written % EVERY_WRONG == 1:
                shutil.copy(file, file.with_stem(f"{file.stem}-copy"))
            written += 1


def write_judges() -> None:
    """People whom nobody learns from; some of them are enrolled, and come to the door."""
    people = sorted(
        (folder for folder in LFW.iterdir() if folder.is_dir()),
        key=lambda folder: (-len(list(folder.iterdir())), folder.name),
    )[:JUDGES]
    (FOLDER / "door").mkdir()
    for number, person in enumerate(people):
        photos = sorted(person.iterdir())
        shutil.copytree(person, FOLDER / "judges" / person.name)
        if number < STAFF:
            (FOLDER / "staff" / person.name).mkdir(parents=True)
            for photo in photos[:3]:
                shutil.copy(photo, FOLDER / "staff" / person.name)
        if number < STAFF + 3:  # three of those at the door are strangers
            shutil.copy(photos[-1], FOLDER / "door")


def commands_of(page: str) -> list[str]:
    """What stands after `$` in the console blocks; a line that ends with a backslash goes on."""
    text = "\n".join(CONSOLE.findall(page)).replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", type=Path, default=PAGE, help="whose commands")
    arguments = parser.parse_args()
    commands = commands_of(arguments.page.read_text(encoding="utf-8"))
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    write_photos()
    write_judges()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (FOLDER / "transcript.txt").open("w", encoding="utf-8") as transcript:
        for command in commands:
            began = time.monotonic()
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=FOLDER,
                env={**os.environ, "PATH": path, "COLUMNS": "110"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            told = f"$ {command}\n{done.stdout}[{time.monotonic() - began:.0f} s]\n\n"
            transcript.write(told)
            transcript.flush()
            print(told, end="", flush=True)
            if done.returncode:
                sys.exit(f"ended with {done.returncode}: {command}")


if __name__ == "__main__":
    main()
