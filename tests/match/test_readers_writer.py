"""The lock: readers together, a writer alone, nobody left waiting."""

import threading

import pytest

from vultus.match.readers_writer import ReadersWriter


def test_readers_are_inside_together() -> None:
    lock, all_inside = ReadersWriter(), threading.Barrier(4)

    def read() -> None:
        with lock.reading():
            all_inside.wait(timeout=10)  # breaks unless four readers are inside at once

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not all_inside.broken


def test_a_writer_is_alone() -> None:
    lock = ReadersWriter()
    value = [0, 0]
    torn = []

    def write() -> None:
        for _ in range(300):
            with lock.writing():
                value[0] += 1
                value[1] += 1

    def read() -> None:
        for _ in range(300):
            with lock.reading():
                torn.append(value[0] != value[1])

    threads = [threading.Thread(target=work) for work in (write, read, write, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value == [600, 600]
    assert len(torn) == 600
    assert not any(torn)


def test_a_waiting_writer_goes_before_new_readers() -> None:
    lock, order = ReadersWriter(), []
    first_reader_in, first_reader_out = threading.Event(), threading.Event()

    def first_reader() -> None:
        with lock.reading():
            first_reader_in.set()
            first_reader_out.wait(timeout=10)

    def writer() -> None:
        with lock.writing():
            order.append("writer")

    def second_reader() -> None:
        with lock.reading():
            order.append("reader")

    one, two = threading.Thread(target=first_reader), threading.Thread(target=writer)
    one.start()
    first_reader_in.wait(timeout=10)
    two.start()
    for _ in range(20):  # a reader that comes before the writer waits gets in: then try with another
        three = threading.Thread(target=second_reader)
        three.start()
        three.join(timeout=0.5)
        if three.is_alive():
            break
    order.clear()
    first_reader_out.set()
    for thread in (one, two, three):
        thread.join(timeout=10)
    assert order == ["writer", "reader"]


def test_the_lock_is_given_back_when_its_holder_fails() -> None:
    lock = ReadersWriter()
    with pytest.raises(ValueError, match="in reading"), lock.reading():
        raise ValueError("in reading")
    with pytest.raises(ValueError, match="in writing"), lock.writing():
        raise ValueError("in writing")
    with lock.writing():
        pass
    with lock.reading():
        pass
