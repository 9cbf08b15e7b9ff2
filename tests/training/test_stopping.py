"""A signal is remembered; one that comes later acts; one that torchrun only repeats does not."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from vultus.training.stopping import AGAIN_SECONDS, StopRequest, interrupts_held


@pytest.fixture(autouse=True)
def interrupts_raise() -> Iterator[None]:
    """As in a terminal: a shell lets what it starts in the background ignore them, these tests too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_remembered_and_its_echo_is_not_a_second_one(number: int) -> None:
    before = signal.getsignal(number)
    told = []
    with StopRequest() as request:
        for _ in range(3):
            told.append(request.is_made)
            signal.raise_signal(number)
    assert told == [False, True, True]
    assert signal.getsignal(number) == before


def ask_twice(seconds_between: float) -> None:
    with StopRequest() as request:
        signal.raise_signal(signal.SIGINT)
        request.made_at -= seconds_between
        signal.raise_signal(signal.SIGINT)


def test_a_second_wish_does_not_wait() -> None:
    ask_twice(AGAIN_SECONDS / 2)
    with pytest.raises(KeyboardInterrupt):
        ask_twice(2 * AGAIN_SECONDS)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_another_thread_there_is_nothing_to_remember() -> None:
    found = []

    def act() -> None:
        with StopRequest() as request:
            found.append(request.is_made)

    thread = threading.Thread(target=act)
    thread.start()
    thread.join()
    assert found == [False]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="there are no signal masks here")
def test_a_held_interrupt_comes_afterwards_and_never_to_a_process_that_was_started_meanwhile() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('lives')"
    with pytest.raises(KeyboardInterrupt), interrupts_held():  # noqa: PT012  raised where the block ends
        signal.raise_signal(signal.SIGINT)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "lives\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
