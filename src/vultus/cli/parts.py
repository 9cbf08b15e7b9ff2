"""From options to the parts that do the work. Everything heavy is imported here, when a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vultus.defaults import DEFAULT_DETECTOR
from vultus.weights.environment import data_folder

if TYPE_CHECKING:
    from vultus.detect import ExplainingDetector
    from vultus.embed.contract import Maker
    from vultus.gallery import DurableGallery, SqliteGallery
    from vultus.interfaces import Gallery
    from vultus.pipeline import FaceRecognizer
    from vultus.runtime import Runtime
    from vultus.types import Image


def gallery_path(given: str | Path | None) -> Path:
    """The gallery's file: the given one, or people.db in the user's data folder.

    Raises:
        InputError: the gallery is in a server.
    """
    from vultus.errors import InputError
    from vultus.gallery import is_address

    if given is not None and is_address(given):
        raise InputError(
            "this works on a gallery in a file only, and the given one is in a server; `vultus gallery copy` "
            "brings it into a file"
        )
    if given is not None:
        return Path(given)
    folder = data_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "people.db"


def gallery_address(given: str | Path | None) -> str:
    """Where the gallery is: in a file or in a server."""
    from vultus.gallery import is_address

    return str(given) if given is not None and is_address(given) else str(gallery_path(given))


def make_detector(
    name: str, *, threads: int | None = None, runtime: Runtime = "onnx", **options: Any
) -> ExplainingDetector:
    """The detector of this name; options that are None keep the detector's own defaults."""
    from vultus.detect import load_detector

    given = {key: value for key, value in options.items() if value is not None}
    return load_detector(name, threads=threads, runtime=runtime, **given)


def runtime_for(asked: str, *, images: int) -> Runtime:
    """The runtime for so many images; where "auto" takes OpenVINO, it is said on standard error."""
    from vultus.cli.images import stderr
    from vultus.runtime import choose_runtime

    choice = choose_runtime(cast("Runtime", asked), images=images)  # which refuses what is no runtime
    if asked == "auto" and choice.runtime != "onnx":
        stderr.print(f"runtime {choice.runtime}: {choice.reason}", style="dim", highlight=False)
    return choice.runtime


def lasting_runtime(asked: str, *, provider: str) -> Runtime:
    """The runtime of a process that lasts; what "auto" takes, and why, is said on standard error."""
    from vultus.cli.images import stderr
    from vultus.runtime import choose_runtime

    choice = choose_runtime(cast("Runtime", asked), providers=[provider])
    if asked == "auto":
        stderr.print(f"runtime {choice.runtime}: {choice.reason}", style="dim", highlight=False)
    return choice.runtime


def make_recognizer(
    *,
    gallery: Gallery | str | Path | None = None,
    detector: str = DEFAULT_DETECTOR,
    embedder: str | None = None,
    min_similarity: float | None = None,
    **running: Any,
) -> FaceRecognizer:
    """A recognizer from options; `gallery` None makes one without a gallery.

    Args:
        gallery: likewise.
        detector: its name.
        embedder: its name; None is the gallery's own, else the default.
        min_similarity: None is that of the gallery or the weights.
        **running: `threads`, `runtime` and `providers` of both networks.
    """
    from vultus.embed import load_embedder
    from vultus.pipeline import FaceRecognizer

    running = {"runtime": "onnx"} | running
    return FaceRecognizer(
        gallery,
        detector=make_detector(detector, **running),
        embedder=load_embedder(**maker_for(embedder, gallery)._asdict(), **running),
        min_similarity=min_similarity,
        runtime=running["runtime"],
    )


def maker_for(embedder: str | None, gallery: Gallery | str | Path | None) -> Maker:
    """The embedder of this name; without one, the gallery's own, else the default."""
    from vultus.embed.contract import Maker
    from vultus.pipeline import embedder_of

    return Maker(embedder, flip=False) if embedder else embedder_of(gallery)


def any_gallery(given: str | Path | None, *, salvage: bool = False) -> DurableGallery:
    """The gallery, in a file or in a server, which must exist; with whatever contract it has."""
    from vultus import gallery

    where = gallery_address(given)
    if salvage or not gallery.is_address(where):
        return open_gallery(given, salvage=salvage)
    return gallery.open_gallery(where, create=False)


def open_gallery(given: str | Path | None, *, salvage: bool = False) -> SqliteGallery:
    """The gallery's file, which must exist, opened with whatever contract it has."""
    from vultus.errors import GalleryError
    from vultus.gallery import SqliteGallery

    path = gallery_path(given)
    if not path.exists():
        raise GalleryError(
            f"there is no gallery at {path}: enrol somebody first (vultus enrol), or name another (--gallery)"
        )
    return SqliteGallery(path, salvage=salvage)


class Pictures:
    """Where annotated pictures go: one file for one image, else a folder in which no name is used twice."""

    def __init__(self, target: Path, *, is_single: bool) -> None:
        self._target = target
        self._is_file = is_single and target.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp"}
        self._used: set[str] = set()

    def write(self, source: str, picture: Image) -> None:
        """Write the picture that was drawn of `source`."""
        from vultus.image import save_image

        path = self._target if self._is_file else self._target / self._free_name(Path(source).stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(picture, path)

    def _free_name(self, stem: str) -> str:
        name, count = f"{stem}.png", 2
        while name in self._used:
            name, count = f"{stem}-{count}.png", count + 1
        self._used.add(name)
        return name
