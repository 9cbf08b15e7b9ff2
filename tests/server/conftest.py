"""A real server on a free port, around an engine that reads its answers off the picture."""

import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest
import uvicorn
from numpy.typing import NDArray

from vultus.access.keys import ApiKeys, Scope
from vultus.access.store import Store, store_path
from vultus.gallery import DurableGallery, open_gallery
from vultus.pipeline import FaceRecognizer
from vultus.server import Settings, create_app
from vultus.server.listen import Server, listening, make_config
from vultus.server.service import Service
from vultus.types import Crops, Detections, Embeddings, Image

TILE_PX, FACE_PX = 64, 48
FRONTAL = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)


def paint_people(*people: int) -> Image:
    """A white picture with one chequered square per person, of that person's grey value, left to right."""
    image = np.full((TILE_PX, TILE_PX * max(1, len(people)), 3), 255, np.uint8)
    for i, person in enumerate(people):
        square = image[8 : 8 + FACE_PX, i * TILE_PX + 8 : i * TILE_PX + 8 + FACE_PX]
        rows, columns = np.mgrid[:FACE_PX, :FACE_PX] // 4
        square[:] = np.where((rows + columns) % 2, 255 - person, person)[:, :, None]  # sharp: may be enrolled
    return image


def png(image: Image) -> bytes:
    """The image as a file."""
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


class PaintedDetector:
    """Finds the painted squares. It can be held, as if it were at work."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.batches: list[int] = []

    def detect(self, image: Image) -> Detections:
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        self.batches.append(len(images))
        self.free.wait(30)
        return [self._look(image) for image in images]

    def _look(self, image: Image) -> Detections:
        starts = range(0, image.shape[1] - TILE_PX + 1, TILE_PX) if image.shape[0] == TILE_PX else range(0)
        lefts = [x + 8 for x in starts if image[8, x + 8, 0] != 255]
        boxes = np.array([(x, 8, x + FACE_PX, 8 + FACE_PX) for x in lefts], np.float32).reshape(-1, 4)
        scores = 0.99 - 0.01 * np.arange(len(lefts), dtype=np.float32)
        return Detections(boxes, scores, boxes[:, None, :2] + FACE_PX * FRONTAL)


class PaintedEmbedder:
    """One random direction per grey value."""

    contract = "painted"
    min_similarity: float | None = 0.6

    def alignable(self, faces: Detections) -> NDArray[np.bool_]:
        return np.ones(len(faces), np.bool_)

    def align(self, image: Image, faces: Detections) -> Crops:
        crops = [image[y : y + 32, x : x + 32] for x, y in faces.boxes[:, :2].astype(int)]
        return np.array(crops, np.uint8).reshape(-1, 32, 32, 3)

    def embed(self, crops: Crops) -> Embeddings:
        return np.array([_direction(int(crop[0, 0, 0])) for crop in crops], np.float32).reshape(-1, 16)


def _direction(person: int) -> NDArray[np.float32]:
    vector = np.random.default_rng(person).normal(size=16)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


@dataclass(frozen=True)
class Running:
    """A server that answers, and what a test may want of it."""

    url: str
    keys: dict[str, str]
    service: Service
    detector: PaintedDetector
    gallery: DurableGallery
    server: uvicorn.Server

    def client(self, key: str | None = "admin", **options: Any) -> httpx.Client:
        """A client that sends this scope's key."""
        headers = {} if key is None else {"Authorization": f"Bearer {self.keys.get(key, key)}"}
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=30, trust_env=False, verify=False, **options
        )


@contextmanager
def running(
    folder: Path, *, with_page: bool = False, address: str | None = None, **settings: Any
) -> Iterator[Running]:
    """A service in this process; its gallery is in a file of the folder, or at the address."""
    with ExitStack() as stack:
        path = folder / "people.db"
        gallery = stack.enter_context(open_gallery(address or path, contract="painted"))
        store = Store(store_path(path))
        keys = {str(scope): ApiKeys(store).create(scope, [scope])[1] for scope in Scope}
        store.close()
        detector = PaintedDetector()
        stack.callback(detector.free.set)
        engine = FaceRecognizer(gallery, detector=detector, embedder=PaintedEmbedder())
        told = Settings(**{"store": store_path(path), "requests_per_s": None} | settings)
        app = create_app(told, engine)
        hooks: dict[str, Callable[[], None]] = {}
        if with_page:
            from vultus.cli.serve_page import mount_page  # Gradio takes seconds to load
            from vultus.ui import let_go

            mount_page(app)
            hooks["on_ending"] = partial(let_go, app)
        listener = stack.enter_context(listening("127.0.0.1", 0))
        server = Server(make_config(app, told, port=0), **hooks)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        stack.callback(thread.join, 30)
        stack.callback(setattr, server, "should_exit", True)
        stack.callback(detector.free.set)
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield Running(url, keys, app.state.service, detector, gallery, server)


Serve = Callable[..., Running]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve(**settings)`: a server of its own for this test."""
    with ExitStack() as stack:
        count = 0

        def start(**settings: Any) -> Running:
            nonlocal count
            count += 1
            folder = tmp_path / f"service-{count}"
            folder.mkdir()
            return stack.enter_context(running(folder, **settings))

        yield start


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for the tests of a file."""
    with running(tmp_path_factory.mktemp("service")) as started:
        yield started


@pytest.fixture
def server(shared_server: Running) -> Iterator[Running]:
    """The file's server with an empty gallery."""
    yield replace(shared_server)
    for person in shared_server.gallery.people():
        shared_server.gallery.remove(person.id)


@pytest.fixture(scope="session")
def photo() -> Callable[..., bytes]:
    """`photo(10, 20)`: a PNG of the people painted in these greys; `photo()`: of nobody."""
    return lambda *people: png(paint_people(*people))


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def vultus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """`vultus("detect", photo)`: what the command printed, and its exit code."""
    from vultus.cli import main

    monkeypatch.setenv("VULTUS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        code = stopped.value.code
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, printed.out, printed.err)

    return run
