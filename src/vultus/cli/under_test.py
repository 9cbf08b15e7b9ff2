"""What an evaluation judges: the options that say it, and the detector and embedder that they name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vultus.choices import FaceChoice
from vultus.cli.reporting import counted

if TYPE_CHECKING:
    from vultus.evaluate.one_face import Change, EmbeddedImages
    from vultus.evaluate.packs import Pack
    from vultus.interfaces import Embedder
    from vultus.types import Detections, Image

Aligned = Annotated[
    bool,
    typer.Option(
        "--aligned", help="The images are aligned crops of the embedder's size: detect nothing, embed them."
    ),
]
Data = Annotated[
    Path,
    typer.Option("--data", metavar="DIR", help="Where the set was unpacked.", show_default=False),
]
Far = Annotated[
    list[float] | None,
    typer.Option(
        "--far",
        help="Also report TAR at this false accept rate; repeatable.",
        show_default="those of 0.01, 0.001, 0.0001 that the pairs can show",
    ),
]
Flip = Annotated[
    bool, typer.Option("--flip", help="Add the embedding of the mirrored crop: slower, a little better.")
]
People = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder with one sub-folder of images per person.")
]


class UnderTest:
    """The detector and embedder under test, and their names for the report.

    Args:
        detector: its name; None where the set says where the faces are.
        embedder: name of its weights; None for the default.
        flip: whether the embedding of the mirrored crop is added.
        faces: which face is meant where an image shows several.
        threads: inside one network call.
        aligned: whether images are aligned crops already; then nothing is detected.

    Attributes:
        embedder: which is judged.
        setting: detector, embedder, contract and options in words.
    """

    def __init__(
        self,
        detector: str | None,
        embedder: str | None,
        *,
        flip: bool = False,
        faces: FaceChoice = FaceChoice.CENTRAL,
        threads: int | None = None,
        aligned: bool = False,
    ) -> None:
        from vultus.cli.parts import make_detector
        from vultus.embed import DEFAULT_EMBEDDER, load_embedder

        name = embedder or DEFAULT_EMBEDDER
        self._detector = None if aligned or detector is None else make_detector(detector, threads=threads)
        self._faces = faces
        self.embedder: Embedder = load_embedder(name, flip=flip, threads=threads)
        self.setting = {
            "detector": "none: the images are aligned crops"
            if aligned
            else detector or "none: published places",
            "embedder": name,
            "contract": self.embedder.contract,
            "flip": "the embedding of the mirrored crop is added" if flip else "no",
        }
        if self._detector is not None:
            self.setting["face"] = f"{faces.value} where an image shows several"

    def embed(
        self, paths: Sequence[Path], *, change: Change | None = None, what: str = "Embedding"
    ) -> EmbeddedImages:
        """One embedding per image, with a progress bar."""
        from vultus.evaluate.one_face import embed_crops, embed_images
        from vultus.image import load_image

        def changed(number: int) -> Image:
            image = load_image(paths[number])
            return image if change is None else change(number, image)

        with counted(what, total=len(paths)) as on_progress:
            if self._detector is None:
                return embed_crops(changed, len(paths), embedder=self.embedder, on_progress=on_progress)
            return embed_images(
                paths,
                detector=self._detector,
                embedder=self.embedder,
                choice=self._faces,
                change=change,
                on_progress=on_progress,
            )

    def embed_located(self, paths: Sequence[Path], located: Detections) -> EmbeddedImages:
        """One embedding per image, of the face whose place was published, with a progress bar."""
        from vultus.evaluate.one_face import embed_located

        with counted("Embedding", total=len(paths)) as on_progress:
            return embed_located(paths, located, embedder=self.embedder, on_progress=on_progress)

    def embed_pack(self, pack: Pack) -> EmbeddedImages:
        """One embedding per crop of a pack, with a progress bar."""
        from vultus.evaluate.one_face import embed_crops

        with counted("Embedding", total=len(pack)) as on_progress:
            return embed_crops(pack.crop, len(pack), embedder=self.embedder, on_progress=on_progress)


def check_carried(asked: Sequence[float] | None, n_impostors: int) -> None:
    """Refuse an impossible rate now, not after the long work."""
    from vultus.match.false_matches import check_carries

    for rate in asked or ():
        check_carries(n_impostors, fmr=rate)
