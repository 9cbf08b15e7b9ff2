"""Run as a script: requests made from the OpenAPI document, right and wrong ones, against a real service.

    python tests/server/openapi_run.py --cases-per-route 100

Starts `vultus serve` on an empty gallery in a temporary folder, and schemathesis with all of its checks
against it. Ends with 0 if no check failed; the last line tells how many cases there were.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

HOOKS = """
import base64, io
import schemathesis
from hypothesis import strategies as st
from skimage.data import astronaut
from PIL import Image

def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()

person = Image.fromarray(astronaut()[0:220, 120:340])
mirrored = person.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
images = [png(person), png(mirrored), png(Image.new("RGB", (40, 30)))]
files = st.sampled_from(images) | st.binary(max_size=200)
schemathesis.openapi.format("binary", files)
schemathesis.openapi.format("byte", files.map(lambda data: base64.b64encode(data).decode()))
schemathesis.openapi.media_type("application/zip", st.binary(max_size=200))
"""
# What is right by its schema may still show no face, or two; that is no failure of the service.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "422"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "408", "409", "413", "415", "422"]
"""


def start(folder: Path) -> tuple[subprocess.Popen[str], str, str]:
    """The service, its address, and a key for everything."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "vultus",
            "serve",
            "--port",
            "0",
            "--rate",
            "0",
            "--gallery",
            str(folder / "people.db"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    told = process.stdout.readline() + process.stdout.readline()
    found = re.search(r"once: (\S+)\nlistening on (\S+)", told)
    assert found, told
    key, url = found.groups()
    return process, url, key


def run(folder: Path, url: str, key: str, arguments: argparse.Namespace) -> str:
    """What schemathesis has to say."""
    (folder / "hooks.py").write_text(HOOKS)
    (folder / "schemathesis.toml").write_text(CONFIG)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file", "schemathesis.toml",
        "run", f"{url}/openapi.json",
        "--checks", "all",
        "--phases", arguments.phases,
        "--max-examples", str(arguments.cases_per_route),
        "--seed", str(arguments.seed),
        "--header", f"Authorization: Bearer {key}",
        "--continue-on-failure", "--no-color", "--wait-for-schema", "120",
        "--request-timeout", "60",
        "--suppress-health-check", "all",
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "hooks"},
    )
    return done.stdout + done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases-per-route", type=int, default=100)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", help="of a service that runs already; its gallery will be changed")
    parser.add_argument("--key", help="of that service, for everything")
    arguments = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        url, key = arguments.url, arguments.key
        if url is None:
            process, url, key = start(folder)
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
        told = run(folder, url, key, arguments)
    sys.stdout.write(told)
    count = sum(int(number.replace(",", "")) for number in re.findall(r"([\d,]+) generated", told))
    is_clean = "FAILURES" not in told and "ERRORS" not in told and count > 0
    sys.stdout.write(
        f"{count} cases in {time.monotonic() - began:.0f} s: {'clean' if is_clean else 'FAILED'}\n"
    )
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
