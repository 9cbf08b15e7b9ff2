"""What every tab works at: one engine, one language, the visitor's rights; and how an error becomes a notice.

A tab's actions are plain functions of a desk and of what was filled in: they call the engine and return what
is to be shown, a notice first. `Desk.answering` makes of one what Gradio calls.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, TypeAlias

import gradio

from vultus.defaults import DEFAULT_MAX_PIXELS
from vultus.detect import DETECTORS, ExplainingDetector, load_detector
from vultus.errors import (
    BusyError,
    CredentialsError,
    DeviceError,
    FaceCountError,
    GalleryError,
    ImageError,
    InputError,
    MissingExtraError,
    ScopeError,
    VultusError,
    WeightsError,
)
from vultus.image import load_image
from vultus.interfaces import Detector
from vultus.pipeline import FaceRecognizer
from vultus.types import Image
from vultus.ui.host import ALONE, Host, PageEvent
from vultus.ui.markup import header, notice
from vultus.ui.messages import Messages
from vultus.ui.visitor import EVERYTHING, NOBODY, Scope, Visitor

Progress: TypeAlias = Callable[[float, str], None]
"""Told how much is done, 0 to 1, and what is being done, in words."""

Action: TypeAlias = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Desk:
    """What every tab works at.

    Attributes:
        recognizer: the engine, shared by all visitors.
        say: the messages of one language.
        reports: folders that hold a report of `vultus evaluate`.
        visitor_of: who sends a request; by default anybody, who may do everything.
        host: the application around the page.
        max_pixels: larger photos are refused.
    """

    recognizer: FaceRecognizer
    say: Messages = field(default_factory=Messages)
    reports: tuple[Path, ...] = ()
    visitor_of: Callable[[gradio.Request], Visitor] = lambda _: EVERYTHING
    host: Host = ALONE
    max_pixels: int = DEFAULT_MAX_PIXELS

    def read(self, photo: str | None) -> Image:
        """The uploaded photo.

        Raises:
            InputError: none was chosen.
            ImageError: it is no image, damaged or too large; the message has the name that the visitor knows.
        """
        if photo is None:
            raise InputError(self.say("choose_photo"))
        try:
            return load_image(photo, max_pixels=self.max_pixels)
        except ImageError as error:
            raise ImageError(str(error).replace(photo, Path(photo).name)) from error

    def answering(
        self,
        action: Action,
        *,
        blank: tuple[Any, ...],
        scope: Scope = "read",
        changes: Literal["nothing", "somebody", "somebody new"] = "nothing",
    ) -> Action:
        """The action as Gradio calls it: a `VultusError` becomes a notice, and what was shown before goes.

        A change is noted, done or not, and so is whatever the visitor has no right to.

        Args:
            action: takes this desk, what was filled in, and `on_progress`; returns the notice and the rest.
            blank: the rest, where there is nothing to show.
            scope: the right that the visitor needs.
            changes: whom; "somebody" is the person whose id was filled in first.
        """

        def answer(
            request: gradio.Request,
            progress: gradio.Progress = gradio.Progress(),  # noqa: B008  Gradio looks for this default
            *values: Any,
        ) -> tuple[Any, ...]:
            status, visitor = HTTPStatus.INTERNAL_SERVER_ERROR.value, NOBODY
            try:
                visitor = self.visitor_of(request)
                visitor.require(scope)
                answered = action(self, *values, on_progress=lambda done, what: progress(done, desc=what))
            except VultusError as error:
                status = error.http_status
                return (explained(error, self.say), *blank)
            else:
                status = HTTPStatus.OK.value
                return answered
            finally:
                if changes != "nothing" or status == HTTPStatus.FORBIDDEN:
                    event = PageEvent(
                        request_id=_request_id(request),
                        key_id=visitor.key_id,
                        name=visitor.name,
                        action=action.__name__,
                        target=str(values[0] or "") if changes == "somebody" else "",
                        status=status,
                    )
                    self.host.note(event)

        return answer

    def header(self, *, addresses: Mapping[str, str], sign_out: str) -> str:
        """The head of the page, with the state of the engine as it is now.

        In a service, detector and embedder stand behind queues: what is told is what stands there.
        """
        detector, embedder = self.recognizer.detector, self.recognizer.embedder
        detector, embedder = getattr(detector, "detector", detector), getattr(embedder, "embedder", embedder)
        state = {
            self.say("state_detector"): _detector_name(detector),
            self.say("state_embedder"): getattr(
                getattr(embedder, "weights", None), "name", embedder.contract[:8]
            ),
            self.say("state_people"): len(self.recognizer.gallery.people()),
        }
        return header(self.say, state=state, addresses=addresses, sign_out=sign_out)


def _request_id(request: gradio.Request) -> str:
    """As the application around the page wrote it into the request; "" where it does not."""
    scope = {} if request.request is None else request.request.scope
    return str(scope.get("state", {}).get("request_id", ""))


def _detector_name(detector: Detector) -> str:
    """As it is chosen in `DETECTORS`; another has the name of its class."""
    names = (name for name, kind in DETECTORS.items() if isinstance(detector, kind))
    return next(names, type(detector).__name__)


@lru_cache(maxsize=8)
def detector_with(name: str, **options: Any) -> ExplainingDetector:
    """A detector of the Detect tab; the last few stay loaded."""
    return load_detector(name, **options)


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """How many seconds have passed since."""
    started = time.perf_counter()
    yield lambda: time.perf_counter() - started


def explained(error: VultusError, say: Messages) -> str:
    """A notice in the visitor's language: what is wrong, what to do; the engine's own words folded away."""
    match error:
        case CredentialsError():
            return notice("bad", say("error_signed_out"), say("error_signed_out_more"))
        case ScopeError():
            title, more = say("error_not_allowed"), say("error_not_allowed_more")
        case FaceCountError(face_count=0):
            title, more = say("error_no_face"), say("error_no_face_more")
        case FaceCountError():
            title = say("error_several_faces", count=error.face_count)
            more = say("error_several_faces_more")
        case _:
            return notice("bad", _title(error, say), str(error))
    return notice("warn", title, more, detail=str(error), detail_label=say("error_detail"))


def _title(error: VultusError, say: Messages) -> str:
    kinds: Mapping[type[VultusError], str] = {
        ImageError: "error_image",
        InputError: "error_input",
        GalleryError: "error_gallery",
        WeightsError: "error_weights",
        MissingExtraError: "error_extra",
        DeviceError: "error_device",
        BusyError: "error_busy",
    }
    return say(next((key for kind, key in kinds.items() if isinstance(error, kind)), "error_other"))
