"""Under load: batches across requests, equal answers, refusals in place of a pile-up, a graceful end."""

import base64
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

Photo = Callable[..., bytes]
Serve = Callable[..., Any]


def detect(server: Any, photo: bytes) -> Any:
    with server.client("read") as client:
        return client.post("/v1/detect", json={"images": [base64.b64encode(photo).decode()]})


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def in_flight(server: Any) -> int:
    count = server.service.admission._count
    assert isinstance(count, int)
    return count


def test_waiting_requests_are_run_together_and_answered_apart(serve: Serve, photo: Photo) -> None:
    server = serve(threads=8, max_batch=16)
    alone = [detect(server, photo(*range(1, count + 1))).json() for count in range(7)]
    server.detector.free.clear()
    server.detector.batches.clear()
    with ThreadPoolExecutor(7) as pool:
        first = pool.submit(detect, server, photo())
        wait_until(lambda: server.detector.batches == [1])
        others = [pool.submit(detect, server, photo(*range(1, count + 1))) for count in range(1, 7)]
        wait_until(lambda: server.service.recognizer.detector._batcher._waiting.qsize() == 6)
        server.detector.free.set()
        together = [one.result().json() for one in (first, *others)]
    assert server.detector.batches == [1, 6]
    assert together == alone


def test_one_at_a_time_is_a_setting(serve: Serve, photo: Photo) -> None:
    server = serve(threads=4, max_batch=1)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: detect(server, photo(10)).status_code, range(8)))
    assert answers == [200] * 8
    assert set(server.detector.batches) == {1}


def test_a_full_queue_is_told_when_to_come_back(serve: Serve, photo: Photo) -> None:
    server = serve(threads=2, max_waiting=2)
    server.detector.free.clear()
    with ThreadPoolExecutor(5) as pool:
        accepted = [pool.submit(detect, server, photo(10)) for _ in range(4)]
        wait_until(lambda: in_flight(server) == 4)
        refused = detect(server, photo(10))
        with server.client(None) as client:
            assert client.get("/healthz").status_code == 200, "health is asked without waiting"
        server.detector.free.set()
        statuses = [one.result().status_code for one in accepted]
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["code"] == "busy_error"
    assert statuses == [200] * 4
    assert in_flight(server) == 0


def test_what_takes_too_long_is_given_up_and_changes_nothing(serve: Serve, photo: Photo) -> None:
    server = serve(threads=4, deadline_s=0.3)
    server.detector.free.clear()
    with ThreadPoolExecutor(2) as pool, server.client() as client:
        held = pool.submit(client.post, "/v1/people", data={"name": "Ada"}, files={"images": photo(10)})
        wait_until(lambda: server.detector.batches == [1])
        late = pool.submit(detect, server, photo(10))
        wait_until(lambda: server.service.recognizer.detector._batcher._waiting.qsize() == 1)
        time.sleep(0.35)
        server.detector.free.set()
        answers = [held.result(), late.result()]
    assert [one.status_code for one in answers] == [503, 503]
    assert answers[0].json()["error"]["code"] == "deadline_error"
    assert server.gallery.people() == []
    assert detect(server, photo(10)).status_code == 200, "the service goes on"


def test_one_bad_request_does_not_spoil_a_batch(serve: Serve, photo: Photo) -> None:
    server = serve(threads=4)
    broken = {"images": [base64.b64encode(photo(10)[:60]).decode()]}
    with ThreadPoolExecutor(8) as pool, server.client("read") as client:
        good = [pool.submit(detect, server, photo(10)) for _ in range(4)]
        bad = [pool.submit(client.post, "/v1/detect", json=broken) for _ in range(4)]
        assert [one.result().status_code for one in good] == [200] * 4
        assert [one.result().status_code for one in bad] == [422] * 4


def test_what_was_accepted_is_finished_before_the_end(serve: Serve, photo: Photo) -> None:
    server = serve(threads=4)
    server.detector.free.clear()
    with ThreadPoolExecutor(3) as pool, server.client() as client:
        accepted = [
            pool.submit(client.post, "/v1/people", data={"name": name}, files={"images": photo(grey)})
            for name, grey in (("Ada", 10), ("Bob", 20), ("Eve", 30))
        ]
        wait_until(lambda: in_flight(server) == 3)
        server.server.should_exit = True
        time.sleep(0.2)
        server.detector.free.set()
        assert [one.result().status_code for one in accepted] == [201] * 3
    assert [person.name for person in server.gallery.people()] == ["Ada", "Bob", "Eve"]


def test_readiness_and_metrics_tell_the_state(serve: Serve, photo: Photo) -> None:
    server = serve()
    with server.client("read") as client:
        assert client.get("/readyz").json() == {"status": "ok"}
        detect(server, photo(10))
        page = client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    assert 'vultus_requests_total{method="POST",route="/v1/detect",status="200"} 1.0' in page.text
    assert 'vultus_batch_size_count{stage="detector"} 1.0' in page.text


def test_many_clients_at_once_get_the_answers_of_one(serve: Serve, photo: Photo) -> None:
    server = serve(threads=8, max_batch=8)
    photos = [photo(*greys) for greys in ((10,), (20, 30), (), (40,), (50, 60, 70))]
    alone = [detect(server, one).json() for one in photos]
    wrong: list[object] = []

    def ask(start: int) -> None:
        for i in range(start, start + 6):
            answer = detect(server, photos[i % len(photos)])
            if answer.status_code != 429 and answer.json() != alone[i % len(photos)]:
                wrong.append(answer.text)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert wrong == []
    assert max(server.detector.batches) <= 8


@pytest.mark.parametrize("name", ["max_body_bytes", "threads", "max_batch", "burst"])
def test_a_limit_of_nothing_is_refused(serve: Serve, name: str) -> None:
    from vultus.errors import InputError

    with pytest.raises(InputError, match=name):
        serve(**{name: 0})
