"""Run as a script: kill -9 a service in the middle of enrolments over HTTP, and look at what is left.

    python tests/server/killed_service.py FOLDER KILLS

Each round starts `vultus serve`, enrols and deletes people through it from two clients, kills it after a
random time, and compares the gallery with what was acknowledged. The last line tells how many changes were.
"""

import io
import random
import re
import subprocess
import sys
import threading
import time
from importlib.resources import files
from pathlib import Path

import httpx
from PIL import Image

from vultus.gallery import SqliteGallery


class Enrolments:
    """What one client asked for, and what of it was acknowledged."""

    def __init__(self, url: str, key: str, *, start: int) -> None:
        self._http = httpx.Client(
            base_url=url, headers={"X-API-Key": key}, timeout=60, trust_env=False, verify=False
        )
        self._next = start
        self.present: set[str] = set()
        self.unsure: set[str] = set()
        self.changes = 0
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        photo = small_photo()
        try:
            while True:
                name = f"person {self._next}"
                self._next += 1
                self.unsure = {name}
                data = {"name": name, "force": "true"}
                answer = self._http.post("/v1/people", data=data, files={"images": photo})
                assert answer.status_code == 201, answer.text
                self.present.add(name)
                self.changes += 1
                if self._next % 4 == 0:
                    gone = self._http.delete(f"/v1/people/{answer.json()['person']['id']}")
                    assert gone.status_code == 204, gone.text
                    self.present.discard(name)
                    self.changes += 1
                self.unsure = set()
        except httpx.TransportError:
            self._http.close()


def small_photo() -> bytes:
    """A portrait, small, so that many enrolments are under way."""
    file = io.BytesIO()
    with Image.open(str(files("skimage") / "data" / "astronaut.png")) as portrait:
        portrait.crop((120, 0, 340, 220)).save(file, "PNG")
    return file.getvalue()


def start(gallery: Path, key: str | None) -> tuple[subprocess.Popen[str], str, str]:
    """A service that answers, its address, and a key."""
    command = [sys.executable, "-u", "-m", "vultus", "serve", "--port", "0", "--rate", "0"]
    process = subprocess.Popen([*command, "--gallery", str(gallery)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = process.stdout.readline()
    if key is None:
        found = re.search(r"once: (\S+)", told)
        assert found, told
        key, told = found[1], process.stdout.readline()
    return process, told.split()[-1], key


def main(folder: Path, kills: int) -> int:
    gallery, key = folder / "people.db", None
    generator, expected, changes = random.Random(3), set[str](), 0
    for kill in range(kills):
        process, url, key = start(gallery, key)
        clients = [Enrolments(url, key, start=10_000 * (2 * kill + i)) for i in range(2)]
        for client in clients:
            client.thread.start()
        while sum(client.changes for client in clients) < 2:
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.5))
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        for client in clients:
            client.thread.join()
        with SqliteGallery(gallery) as left:
            assert left.check().is_clean
            people = {person.name for person in left.people()}
        sure = expected.union(*(client.present - client.unsure for client in clients))
        unsure = set[str]().union(*(client.unsure for client in clients))
        assert sure <= people, f"lost: {sure - people}"
        assert people <= sure | unsure, f"not expected: {people - sure - unsure}"
        expected = people
        changes += sum(client.changes for client in clients)
    sys.stdout.write(f"{changes}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
