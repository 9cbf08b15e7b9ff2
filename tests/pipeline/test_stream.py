"""Many photos at once: the answers of one at a time, in order, whatever goes wrong, in bounded memory."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import DeviceError, ImageError, InputError
from vultus.image import ImageSource, save_image
from vultus.interfaces import Detector, Embedder
from vultus.pipeline import FaceEmbeddings
from vultus.pipeline.stream import BATCHES_AHEAD, Outcome, embedded, stream, stream_async
from vultus.types import Image

WORKERS = 3


def shade(images: Sequence[Image]) -> list[int]:
    return [int(image[0, 0, 0]) for image in images]


def shades(number: int) -> list[Image]:
    return [np.full((4, 5, 3), i, np.uint8) for i in range(number)]


@pytest.mark.parametrize("batch", [1, 2, 4, 100])
@pytest.mark.parametrize("number", [0, 1, 7, 23])
def test_answers_come_in_the_order_of_the_photos(batch: int, number: int) -> None:
    outcomes = list(stream(shades(number), shade, workers=WORKERS, batch=batch))
    assert [outcome.result() for outcome in outcomes] == list(range(number))


def test_a_slow_photo_keeps_its_place() -> None:
    later = threading.Event()

    def work(images: Sequence[Image]) -> list[int]:
        if shade(images)[0] == 0:
            assert later.wait(20)  # until one of the others is done
        else:
            later.set()
        return shade(images)

    assert [each.answer for each in stream(shades(6), work, workers=2, batch=1)] == list(range(6))


def test_several_photos_are_at_work_at_once() -> None:
    together = threading.Barrier(WORKERS, timeout=20)

    def work(images: Sequence[Image]) -> list[int]:
        together.wait()  # breaks if fewer than three come
        return shade(images)

    assert len(list(stream(shades(2 * WORKERS), work, workers=WORKERS, batch=1))) == 2 * WORKERS


def test_no_more_is_read_than_is_needed_ahead() -> None:
    read = 0

    def sources() -> Iterator[Image]:
        nonlocal read
        for i in count():  # endless
            read += 1
            yield np.full((2, 2, 3), i % 256, np.uint8)

    answers = stream(sources(), shade, workers=2, batch=3)
    assert [next(answers).answer for _ in range(50)] == list(range(50))
    assert read <= 50 + 3 * BATCHES_AHEAD * 2
    assert isinstance(answers, Iterator)


def test_an_abandoned_stream_leaves_no_thread_behind() -> None:
    answers = stream(shades(50), shade, workers=WORKERS, batch=1)
    next(answers)
    del answers
    assert not [each for each in threading.enumerate() if each.name.startswith("vultus-stream")]


def test_a_file_that_cannot_be_read_is_one_outcome_among_the_others(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.jpg"
    save_image(shades(3)[2], good)
    bad.write_bytes(b"no picture")
    sources: list[ImageSource] = [good, bad, good, tmp_path / "missing.png", shades(2)[1]]
    outcomes = list(stream(sources, shade, workers=2, batch=2))
    assert [outcome.source for outcome in outcomes[:4]] == sources[:4]
    assert [outcome.answer for outcome in outcomes] == [2, None, 2, None, 1]
    assert ["bad.jpg" in str(outcome.error) for outcome in outcomes] == [False, True, False, False, False]
    with pytest.raises(ImageError, match=r"missing\.png"):
        outcomes[3].result()


def test_only_files_that_cannot_be_read_need_no_work(tmp_path: Path) -> None:
    def work(images: Sequence[Image]) -> list[int]:
        raise AssertionError(images)

    outcomes = list(stream([tmp_path / "a.png", tmp_path / "b.png"], work, batch=2))
    assert [type(outcome.error) for outcome in outcomes] == [ImageError, ImageError]


def test_photos_over_the_cap_are_refused(tmp_path: Path) -> None:
    save_image(shades(1)[0], tmp_path / "photo.png")
    outcome = next(stream([tmp_path / "photo.png"], shade, max_pixels=19))
    assert "the cap is 19" in str(outcome.error)
    assert next(stream([tmp_path / "photo.png"], shade, max_pixels=20)).answer == 0


def test_what_is_no_fault_of_a_photo_ends_the_stream() -> None:
    def work(images: Sequence[Image]) -> list[int]:
        if shade(images)[0] == 3:
            raise DeviceError("the device has gone")
        return shade(images)

    answers = stream(shades(9), work, workers=2, batch=1)
    assert [next(answers).answer for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DeviceError, match="has gone"):
        next(answers)


@pytest.mark.parametrize("name", ["workers", "batch"])
def test_counts_below_one_are_refused_at_once(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be at least 1, got 0"):
        stream([], shade, **{name: 0})
    with pytest.raises(InputError, match=f"{name} must be at least 1, got 0"):
        stream_async([], shade, **{name: 0})


async def _collected(answers: AsyncIterator[Outcome[int]]) -> list[int | None]:
    return [outcome.answer async for outcome in answers]


async def _slowly(sources: Sequence[Image]) -> AsyncIterator[ImageSource]:
    for source in sources:
        await asyncio.sleep(0)
        yield source


@pytest.mark.parametrize("batch", [1, 4])
def test_asyncio_gets_the_same_answers_in_the_same_order(batch: int) -> None:
    plain = stream_async(shades(11), shade, workers=2, batch=batch)
    assert asyncio.run(_collected(plain)) == list(range(11))
    slow = stream_async(_slowly(shades(11)), shade, workers=2, batch=batch)
    assert asyncio.run(_collected(slow)) == list(range(11))


def test_the_event_loop_stays_free_while_photos_are_at_work() -> None:
    beats = threading.Event()

    def work(images: Sequence[Image]) -> list[int]:
        assert beats.wait(20)  # only the event loop can set it
        return shade(images)

    async def beat() -> None:
        beats.set()

    async def both() -> list[int | None]:
        answers, _ = await asyncio.gather(_collected(stream_async(shades(3), work, batch=1)), beat())
        return answers

    assert asyncio.run(both()) == [0, 1, 2]


def test_every_photo_gets_the_answer_that_it_gets_alone(
    detector: Detector, embedder: Embedder, paint: partial[Image]
) -> None:
    photos = [paint(10, 20), paint(), paint(30), paint(20), paint(10, 20, 30), paint(), paint(20)]
    work = partial(embedded, detector=detector, embedder=embedder)
    alone: list[FaceEmbeddings] = [work([photo])[0] for photo in photos]
    outcomes = list(stream(photos, work, workers=2, batch=3))
    assert [len(outcome.result().faces) for outcome in outcomes] == [2, 0, 1, 1, 3, 0, 1]
    for outcome, expected in zip(outcomes, alone, strict=True):
        np.testing.assert_array_equal(outcome.result().embeddings, expected.embeddings)
        np.testing.assert_array_equal(outcome.result().faces.boxes, expected.faces.boxes)
