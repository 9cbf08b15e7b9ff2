"""Run as a script: enrol people, and search for the newest of another process that does the same.

    python busy_writer.py PATH OWN OTHER COUNT

After each change its number is written to the file `PATH.OWN`. What `PATH.OTHER` tells is searched for: a
change that another process has acknowledged must be found. The last line tells how many such searches found
somebody new.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from vultus.gallery import SqliteGallery
from vultus.types import Template


def face(owner: str, number: int) -> Template:
    generator = np.random.default_rng([ord(owner), number])
    vector = generator.standard_normal(32)
    return Template((vector / np.linalg.norm(vector)).astype(np.float32))


def main(path: Path, own: str, other: str, count: int) -> None:
    tell = os.open(f"{path}.{own}", os.O_RDWR | os.O_CREAT)
    ask = os.open(f"{path}.{other}", os.O_RDWR | os.O_CREAT)
    seen = 0
    found = 0
    with SqliteGallery(path, contract="contract-1", actor=own) as gallery:
        deadline = time.monotonic() + 120
        number = 0
        os.pwrite(tell, b"\0\0\0\0", 0)
        while os.fstat(ask).st_size == 0 and time.monotonic() < deadline:
            time.sleep(0.01)  # until the other is ready, too
        while (number < count or seen < count) and time.monotonic() < deadline:
            if number < count:
                number += 1
                gallery.enrol(f"{own} {number}", [face(own, number)])
                os.pwrite(tell, number.to_bytes(4, "big"), 0)
            newest = int.from_bytes(os.pread(ask, 4, 0), "big")
            if newest > seen:
                (best,) = gallery.search(face(other, newest).embedding[np.newaxis], top_k=1)[0]
                assert (best.name, round(best.similarity, 4)) == (f"{other} {newest}", 1.0)
                seen, found = newest, found + 1
    assert seen == count, f"the other process got to {seen} of {count}"
    sys.stdout.write(f"{found}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
