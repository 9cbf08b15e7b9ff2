"""How many requests a service answers, how soon, and what micro-batching gives.

    python benchmarks/service.py --seconds 120

Makes a gallery of so many people (random vectors, and one real person), and starts the service three times,
each in a process of its own: with micro-batching; with as many requests at once but every image run by
itself; and with one request at a time. So many clients ask "who is this?" without pause, in turns of
`--turn-s` seconds for each service, so that all meet the same machine. Every answer is compared with that of
a single call before. 429 counts apart; any other refusal or a wrong answer ends in failure.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import PIL.Image

from vultus.access.keys import ApiKeys, Scope
from vultus.access.store import Store, store_path
from vultus.pipeline import FaceRecognizer
from vultus.types import Image, Template

CROPS = ((0, 220, 120, 340), (10, 210, 130, 330), (0, 240, 110, 350), (20, 230, 125, 335))  # y y x x


@dataclass
class Tally:
    """What the clients saw of one service."""

    latencies_s: list[float] = field(default_factory=list)
    busy: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def told(self) -> dict[str, Any]:
        """The figures."""
        p50, p95, p99 = np.percentile(self.latencies_s, (50, 95, 99)) * 1e3
        return {
            "answers": len(self.latencies_s),
            "answers_per_s": round(len(self.latencies_s) / self.seconds, 2),
            "p50_ms": round(float(p50), 1),
            "p95_ms": round(float(p95), 1),
            "p99_ms": round(float(p99), 1),
            "refused_429": self.busy,
            "wrong": len(self.wrong),
        }


def portrait() -> Image:
    """512 x 512, of one person."""
    return np.asarray(PIL.Image.open(str(files("skimage") / "data" / "astronaut.png")))


def photos(side_px: int) -> list[bytes]:
    """The same person, cut in several ways, as JPEG files."""
    pictures = []
    for top, bottom, left, right in CROPS:
        file = BytesIO()
        picture = PIL.Image.fromarray(portrait()[top:bottom, left:right])
        picture.resize((side_px, side_px)).save(file, "JPEG", quality=92)
        pictures.append(file.getvalue())
    return pictures


def make_gallery(path: Path, people: int) -> str:
    """The gallery, and a key to read it."""
    generator = np.random.default_rng(0)
    with FaceRecognizer(path) as recognizer:
        recognizer.enrol("Eileen Collins", portrait())
        dimension = recognizer.gallery.templates(recognizer.gallery.people()[0].id)[0].embedding.size
        for i in range(people - 1):
            vector = generator.standard_normal(dimension).astype(np.float32)
            recognizer.gallery.enrol(f"person {i}", [Template(vector / np.linalg.norm(vector))])
    store = Store(store_path(path))
    key = ApiKeys(store).create("benchmark", [Scope.READ])[1]
    store.close()
    return key


def start(
    gallery: Path, options: dict[str, int], arguments: argparse.Namespace
) -> tuple[subprocess.Popen[str], str]:
    """A service of its own, and its address."""
    command = [sys.executable, "-u", "-m", "vultus", "serve", "--port", "0", "--rate", "0"]
    told = {"gallery": gallery, "deadline-s": arguments.deadline_s, "max-waiting": 256} | options
    if arguments.threads:
        told["threads"] = arguments.threads
    command += [part for name, value in told.items() for part in (f"--{name}", str(value))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = re.search(r"listening on (\S+)", process.stdout.readline())
    assert found
    return process, found[1]


def ask(
    url: str, key: str, files: list[bytes], expected: list[Any], until: float, start: int
) -> tuple[list[float], int, list[str]]:
    """One client, asking without pause: latencies, refusals, wrong answers."""
    latencies, busy, wrong = [], 0, []
    with httpx.Client(
        base_url=url, headers={"X-API-Key": key}, timeout=120, trust_env=False, verify=False
    ) as http:
        i = start
        while time.monotonic() < until:
            i += 1
            began = time.monotonic()
            answer = http.post("/v1/identify", files={"images": files[i % len(files)]})
            if answer.status_code == 429:
                busy += 1
                time.sleep(0.1)
            elif answer.status_code != 200:
                wrong.append(f"{answer.status_code} {answer.text[:200]}")
            else:
                latencies.append(time.monotonic() - began)
                if not is_same(answer.json(), expected[i % len(files)]):
                    wrong.append(answer.text[:200])
    return latencies, busy, wrong


def is_same(answer: Any, expected: Any) -> bool:
    """Equal in everything but the last digits: a batch may add up in another order."""
    if isinstance(expected, dict):
        return set(answer) == set(expected) and all(is_same(answer[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(answer) == len(expected) and all(map(is_same, answer, expected))
    if isinstance(expected, float):
        return bool(abs(answer - expected) <= 1e-3 * max(1.0, abs(expected)))
    return bool(answer == expected)


def clients(
    url: str, key: str, files: list[bytes], expected: list[Any], *, count: int, seconds: float
) -> Tally:
    """So many clients, in threads of this process."""
    tally, lock, until = Tally(), threading.Lock(), time.monotonic() + seconds

    def work(number: int) -> None:
        latencies, busy, wrong = ask(url, key, files, expected, until, number)
        with lock:
            tally.latencies_s += latencies
            tally.busy += busy
            tally.wrong += wrong

    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    tally.seconds = time.monotonic() - began
    return tally


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    files = photos(arguments.side_px)
    totals: dict[str, Tally] = {}
    with TemporaryDirectory() as name, ExitStack() as stack:
        gallery = Path(name) / "people.db"
        key = make_gallery(gallery, arguments.people)
        services = {}
        kinds = {
            "micro_batching": {"max-batch": arguments.max_batch},
            "without_batching": {"max-batch": 1},
            "one_at_a_time": {"max-batch": 1, "at-once": 1},
        }
        for kind, options in kinds.items():
            process, url = start(gallery, options, arguments)
            stack.callback(process.wait, 120)
            stack.callback(process.terminate)
            services[kind], totals[kind] = url, Tally()
        expected = single_answers(services["one_at_a_time"], key, files)
        turns = max(1, round(arguments.seconds / arguments.turn_s))
        for turn in range(turns):
            for kind in list(services)[:: 1 if turn % 2 == 0 else -1]:
                seen = clients(
                    services[kind], key, files, expected, count=arguments.clients, seconds=arguments.turn_s
                )
                total = totals[kind]
                total.latencies_s += seen.latencies_s
                total.busy, total.wrong = total.busy + seen.busy, total.wrong + seen.wrong
                total.seconds += seen.seconds
    told = {kind: tally.told() for kind, tally in totals.items()}
    rates = {kind: figures["answers_per_s"] for kind, figures in told.items()}
    return {
        "clients": arguments.clients,
        "people": arguments.people,
        "side_px": arguments.side_px,
        "seconds_each": arguments.seconds,
        **told,
        "gain_over_one_at_a_time": round(rates["micro_batching"] / rates["one_at_a_time"], 3),
        "gain_over_without_batching": round(rates["micro_batching"] / rates["without_batching"], 3),
        "wrong": [one for tally in totals.values() for one in tally.wrong][:3],
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }


def single_answers(url: str, key: str, files: list[bytes]) -> list[Any]:
    """What each photo is answered when nobody else asks."""
    transport = httpx.HTTPTransport(retries=60)
    with httpx.Client(
        base_url=url, headers={"X-API-Key": key}, timeout=120, transport=transport, trust_env=False
    ) as http:
        answers = [http.post("/v1/identify", files={"images": file}) for file in files]
    assert all(one.status_code == 200 for one in answers), answers[0].text
    told = [one.json() for one in answers]
    assert all(one["results"][0]["faces"][0]["name"] == "Eileen Collins" for one in told), told
    return told


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120, help="for each of the three")
    parser.add_argument("--turn-s", type=float, default=20)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--side-px", type=int, default=160)
    parser.add_argument("--max-batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--deadline-s", type=float, default=60)
    arguments = parser.parse_args()
    result = measure(arguments)
    print(json.dumps(result, indent=2))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
