"""The whole of Vultus behind one object, for those who want an answer and not its parts."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from types import TracebackType
from typing import Any, Self

import numpy as np

from vultus.choices import FaceChoice
from vultus.detect import load_detector
from vultus.embed import load_embedder
from vultus.errors import InputError
from vultus.gallery import open_gallery
from vultus.image import ImageSource, load_image
from vultus.interfaces import Detector, Embedder, Gallery
from vultus.match import Threshold
from vultus.pipeline.enrolment import (
    Enrolment,
    EnrolmentPolicy,
    check_against_gallery,
    check_one_person,
    choose_face,
    make_templates,
)
from vultus.pipeline.own_embedder import embedder_of
from vultus.pipeline.photo import detect_photo
from vultus.pipeline.recognise import (
    FaceEmbeddings,
    check_contract,
    embed_faces,
    recognise_batch,
)
from vultus.pipeline.stream import DEFAULT_BATCH, Outcome, embedded, stream, stream_async
from vultus.pipeline.thresholds import threshold_for_pair
from vultus.runtime import Runtime, RuntimeChoice, choose_runtime
from vultus.types import Detections, Image, Recognition, Verification


class FaceRecognizer:
    """Detects, embeds, verifies, enrols and identifies, with parts that fit each other.

    Every method takes images as `vultus.load_image` does: a path, bytes, an open file or an RGB array.
    Safe to call from several threads.

    Example:
        >>> recognizer = FaceRecognizer("people.db")
        >>> recognizer.enrol("Eileen Collins", "eileen.jpg")
        >>> recognizer.identify("crew.jpg").names
        ('Eileen Collins', None)

    Args:
        gallery: a gallery, or the file or address of one, created if missing; None for detecting and
            verifying only.
        detector: finds faces; by default RetinaFace with the weights that come with the package.
        embedder: by default the one that the gallery's people were enrolled with; of an empty gallery, and
            without one, the package's default, which needs no download.
        min_similarity: one threshold for everything. By default each decision has its own, taken from the
            gallery's calibration, or from the one that comes with the embedder's weights: for one face
            against one, and for one against a gallery of the size it then has.

        runtime: which library runs the default parts (`vultus.runtime.choose_runtime`): by default OpenVINO
            where it is installed, else ONNX Runtime.

    Attributes:
        runtime: which it was, and why.

    Raises:
        GalleryError: the gallery was made with another embedder, or cannot be opened.
        WeightsError: the weights of a default part are missing or damaged.
        InputError: no threshold was given and none is known.
    """

    def __init__(
        self,
        gallery: Gallery | str | PathLike[str] | None = None,
        *,
        detector: Detector | None = None,
        embedder: Embedder | None = None,
        min_similarity: float | None = None,
        runtime: Runtime = "auto",
    ) -> None:
        self.runtime: RuntimeChoice = choose_runtime(runtime)
        self.detector = detector or load_detector(runtime=self.runtime.runtime)
        self.embedder = embedder or load_embedder(
            **embedder_of(gallery)._asdict(), runtime=self.runtime.runtime
        )
        self._min_similarity = min_similarity
        self._gallery: Gallery | None
        if gallery is None or isinstance(gallery, Gallery):
            self._gallery = gallery
        else:
            self._gallery = open_gallery(gallery, contract=self.embedder.contract)
        if self._gallery is not None:
            check_contract(self.embedder, self._gallery)
        _ = self.min_similarity  # an impossible one is refused now

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the gallery, if there is one; closing twice is no mistake."""
        if self._gallery is not None:
            self._gallery.close()

    @property
    def min_similarity(self) -> float:
        """The threshold for comparing two faces; `identify` takes a stricter one as the gallery grows."""
        return self._pair_threshold().min_similarity

    @property
    def gallery(self) -> Gallery:
        """The enrolled people.

        Raises:
            InputError: this recognizer was made without a gallery.
        """
        if self._gallery is None:
            raise InputError(
                "this FaceRecognizer has no gallery: make it with a file, FaceRecognizer('people.db')"
            )
        return self._gallery

    def detect(self, image: ImageSource) -> Detections:
        """The faces of an image, best score first; none is an empty `Detections`, not an error."""
        return detect_photo(image, self.detector)

    def embed(self, image: ImageSource) -> FaceEmbeddings:
        """The faces of an image with their unit vectors, side by side."""
        upright = load_image(image)
        return embed_faces([upright], [self.detector.detect(upright)], embedder=self.embedder)[0]

    def stream(
        self,
        images: Iterable[ImageSource],
        *,
        workers: int | None = None,
        batch: int = DEFAULT_BATCH,
    ) -> Iterator[Outcome[FaceEmbeddings]]:
        """`embed` for any number of images, several at once, the answers in their order.

        Memory is bounded, and images are read as answers are taken (see `vultus.pipeline.stream`).

        Args:
            images: a folder's paths, or anything else that can be read one after the other.
            workers: threads; None takes one per core. Parts made with `threads=1` go best with them.
            batch: how many images a thread takes at once. With 1, answers come soonest.

        Yields:
            One `Outcome` per image: `result()` is the answer, or raises the ImageError of a bad file.

        Raises:
            InputError: `workers` or `batch` is less than 1.
        """
        return stream(images, self._embedded, workers=workers, batch=batch)

    def astream(
        self,
        images: Iterable[ImageSource] | AsyncIterable[ImageSource],
        *,
        workers: int | None = None,
        batch: int = DEFAULT_BATCH,
    ) -> AsyncIterator[Outcome[FaceEmbeddings]]:
        """`stream` for asyncio, whose event loop stays free.

        async for outcome in recognizer.astream(images): ...
        """
        return stream_async(images, self._embedded, workers=workers, batch=batch)

    def _embedded(self, images: Sequence[Image]) -> list[FaceEmbeddings]:
        return embedded(images, detector=self.detector, embedder=self.embedder)

    def verify(
        self, first: ImageSource, second: ImageSource, *, faces: FaceChoice | str = FaceChoice.ONLY
    ) -> Verification:
        """Whether two images show the same person.

        Args:
            first: an image with one face.
            second: another.
            faces: which face is meant where there are several: "only" (an error then), "largest", "central".

        Raises:
            FaceCountError: no face, or several while `faces` is "only".
            InputError: a face that cannot be aligned.
        """
        images = [load_image(first), load_image(second)]
        found = self.detector.detect_batch(images)
        names = [_name_of(first, "the first image"), _name_of(second, "the second image")]
        chosen = [
            choose_face(image, detections, faces, source=name)
            for image, detections, name in zip(images, found, names, strict=True)
        ]
        embedded = embed_faces(images, chosen, embedder=self.embedder)
        for one, name in zip(embedded, names, strict=True):
            if not one.usable.all():
                raise InputError(
                    f"the face in {name} cannot be aligned: its landmarks are not those of a face"
                )
        similarity = float(np.dot(embedded[0].embeddings[0], embedded[1].embeddings[0]))
        threshold = self._pair_threshold()
        return Verification(
            similarity,
            threshold.min_similarity,
            (chosen[0], chosen[1]),
            doubtful_from=threshold.doubtful_from,
            fmr=threshold.fmr_at(similarity),
        )

    def enrol(
        self,
        name: str,
        images: ImageSource | Sequence[ImageSource],
        *,
        metadata: Mapping[str, Any] | None = None,
        policy: EnrolmentPolicy | None = None,
    ) -> Enrolment:
        """Add photos of a person, who is created if the name is new: all of them, or none.

        Args:
            name: the display name, unique in the gallery.
            images: one photo or several.
            metadata: JSON values to store with the person.
            policy: what a photo must be; by default `EnrolmentPolicy()`: one sharp face of 40 pixels or more.

        Raises:
            FaceCountError: a photo without the one face that is meant.
            InputError: a face that is too small, blurred or unlike the other photos.
            GalleryError: the name belongs to somebody who looks different.
        """
        policy = policy or EnrolmentPolicy()
        sources = _as_list(images)
        labels = [_name_of(source, f"photo {i + 1}") for i, source in enumerate(sources)]
        templates, faces, qualities = make_templates(
            [load_image(source) for source in sources],
            labels,
            detector=self.detector,
            embedder=self.embedder,
            policy=policy,
        )
        warnings: list[str] = []
        if not policy.force:
            check_one_person(templates, min_similarity=self.min_similarity)
            warnings = check_against_gallery(
                name, templates, gallery=self.gallery, min_similarity=self.min_similarity
            )
        identity = self.gallery.enrol(name, templates, metadata=metadata)
        return Enrolment(identity, tuple(faces), tuple(qualities), tuple(warnings))

    def identify(self, image: ImageSource, *, top_k: int = 5) -> Recognition:
        """Who is in an image: the faces, and one match for each of them."""
        return self.identify_batch([image], top_k=top_k)[0]

    def identify_batch(self, images: Iterable[ImageSource], *, top_k: int = 5) -> list[Recognition]:
        """`identify` for several images, of any sizes, in one batch."""
        return recognise_batch(
            [load_image(image) for image in images],
            detector=self.detector,
            embedder=self.embedder,
            gallery=self.gallery,
            min_similarity=self._min_similarity,
            top_k=top_k,
        )

    def _pair_threshold(self) -> Threshold:
        return threshold_for_pair(self.embedder, gallery=self._gallery, min_similarity=self._min_similarity)


def _as_list(images: ImageSource | Sequence[ImageSource]) -> list[ImageSource]:
    several = isinstance(images, Sequence) and not isinstance(images, (str, bytes))
    sources: list[ImageSource] = list(images) if several else [images]  # type: ignore[list-item, arg-type]
    if not sources:
        raise InputError("no photo given: enrolling needs at least one")
    return sources


def _name_of(source: ImageSource, otherwise: str) -> str:
    return fspath(source) if isinstance(source, (str, PathLike)) else otherwise
