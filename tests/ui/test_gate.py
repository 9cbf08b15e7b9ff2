"""Nobody comes in without a key, and a key that is taken away is out at once."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from vultus.errors import BusyError
from vultus.ui.gate import COOKIE, MAX_SESSIONS, SESSION_SECONDS, Gate, Sessions
from vultus.ui.visitor import EVERYTHING, Visitor

KEY = "a key of many characters"
HTML = {"accept": "text/html", "accept-language": "zh-CN"}


class Keys:
    """Keys that can be revoked."""

    def __init__(self) -> None:
        self.valid = {KEY}

    def sign_in(self, key: str) -> Visitor | None:
        return EVERYTHING if key in self.valid else None


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def client(keys: Keys) -> TestClient:
    return TestClient(application(Sessions(keys.sign_in)), base_url="https://here", follow_redirects=False)


def application(sessions: Sessions, **options: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/other")
    @app.get("/uinverse")
    def other() -> str:
        return "not ours"

    @app.get("/ui/en/")
    @app.get("/ui/zh/")
    @app.get("/ui/en/assets/script.js")
    @app.post("/ui/en/run")
    def page() -> str:
        return "the page"

    app.add_middleware(Gate, path="/ui", sessions=sessions, **options)
    return app


def test_a_person_without_a_key_is_led_to_the_form(client: TestClient) -> None:
    answer = client.get("/ui/en/", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/login")
    form = client.get("/ui/login", headers=HTML)
    assert form.status_code == 200
    assert "访问密钥" in form.text
    assert '<html lang="zh-CN">' in form.text


@pytest.mark.parametrize("path", ["/ui/en/", "/ui/zh/", "/ui/en/assets/script.js", "/ui/anything", "/ui"])
def test_a_program_without_a_key_is_refused_everywhere(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 401
    assert client.post(path).status_code == 401


@pytest.mark.parametrize("path", ["/v1/other", "/uinverse"])
def test_what_is_not_the_page_is_left_alone(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.json() == "not ours"
    assert "content-security-policy" not in answer.headers


def test_the_right_key_opens_the_page_in_the_visitors_language(client: TestClient) -> None:
    answer = client.post("/ui/login", data={"key": f" {KEY} "}, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/zh/")
    cookie = answer.headers["set-cookie"]
    assert all(flag in cookie for flag in ("HttpOnly", "Secure", "SameSite=lax", "Path=/ui"))
    assert KEY not in cookie
    assert client.get("/ui/zh/").json() == "the page"


def test_the_key_may_stand_in_the_address(client: TestClient) -> None:
    answer = client.get("/ui/login", params={"key": KEY})
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/en/")


@pytest.mark.parametrize(
    "key", ["wrong", KEY[:-1], KEY + "x", "x" * 10_000, "\udcff".encode("utf-8", "surrogateescape")]
)
def test_a_wrong_key_is_refused_and_said_to_be_wrong(client: TestClient, key: str) -> None:
    answer = client.post("/ui/login", data={"key": key})
    assert answer.status_code == 401
    assert "This key is not valid" in answer.text
    assert COOKIE not in answer.headers.get("set-cookie", "")


def test_a_made_up_session_is_none(client: TestClient) -> None:
    client.cookies.set(COOKIE, "made-up")
    assert client.get("/ui/en/").status_code == 401


def test_a_revoked_key_ends_its_sessions(client: TestClient, keys: Keys) -> None:
    client.post("/ui/login", data={"key": KEY})
    assert client.get("/ui/en/").status_code == 200
    keys.valid.clear()
    assert client.get("/ui/en/").status_code == 401


def test_signing_out_ends_the_session_itself(client: TestClient) -> None:
    client.post("/ui/login", data={"key": KEY})
    session = client.cookies[COOKIE]
    client.get("/ui/logout")
    client.cookies.set(COOKIE, session)
    assert client.get("/ui/en/").status_code == 401


def test_another_sites_page_cannot_act_for_a_visitor(client: TestClient) -> None:
    client.post("/ui/login", data={"key": KEY})
    assert client.post("/ui/en/run", headers={"origin": "https://evil.example"}).status_code == 403
    assert client.post("/ui/en/run", headers={"origin": "null"}).status_code == 403
    assert client.post("/ui/en/run", headers={"origin": "https://here"}).status_code == 200
    assert client.post("/ui/en/run").status_code == 200


def test_the_page_may_load_nothing_from_elsewhere(client: TestClient) -> None:
    client.post("/ui/login", data={"key": KEY})
    for path in ("/ui/login", "/ui/en/", "/ui/nowhere"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "connect-src 'self'" in policy
        assert "http" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
    assert "max-age" in client.get("/ui/en/assets/script.js").headers["cache-control"]


@pytest.mark.parametrize(("path", "target"), [("/ui", "/ui/zh/"), ("/ui/", "/ui/zh/"), ("/ui/en", "/ui/en/")])
def test_an_unfinished_address_leads_to_the_page(client: TestClient, path: str, target: str) -> None:
    client.post("/ui/login", data={"key": KEY})
    assert client.get(path, headers=HTML).headers["location"] == target


def test_who_asks_too_often_is_told_to_wait_in_their_language(keys: Keys) -> None:
    asked: list[str] = []

    def admit(key_id: str) -> None:
        asked.append(key_id)
        if len(asked) > 2:
            raise BusyError("wait", retry_after_s=1.5)

    app = application(
        Sessions(lambda key: Visitor("Ada", frozenset(), "k1") if key == KEY else None), admit=admit
    )
    client = TestClient(app, base_url="https://here", headers=HTML)
    client.post("/ui/login", data={"key": KEY})
    assert [client.get("/ui/zh/").status_code for _ in range(5)] == [200] * 5, "looking costs nothing"
    answers = [client.post("/ui/en/run") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert answers[-1].headers["retry-after"] == "2"
    assert "请稍候" in answers[-1].json()["detail"]
    assert asked == ["k1"] * 3


@pytest.fixture
def timed(keys: Keys) -> tuple[Sessions, Callable[[float], None]]:
    now = [0.0]
    return Sessions(keys.sign_in, clock=lambda: now[0]), lambda seconds: now.__setitem__(0, seconds)


def test_a_session_ends_by_itself(timed: tuple[Sessions, Callable[[float], None]]) -> None:
    sessions, set_time = timed
    token = sessions.start(KEY)
    assert token is not None
    set_time(SESSION_SECONDS - 1)
    assert sessions.visitor(token) == EVERYTHING
    set_time(SESSION_SECONDS)
    assert sessions.visitor(token) is None


def test_sessions_are_bounded(timed: tuple[Sessions, Callable[[float], None]]) -> None:
    sessions, _ = timed
    tokens = [sessions.start(KEY) for _ in range(MAX_SESSIONS + 1)]
    assert sessions.visitor(str(tokens[0])) is None
    assert sessions.visitor(str(tokens[-1])) == EVERYTHING


def test_without_keys_everybody_comes_in() -> None:
    assert Sessions(None).visitor("") == EVERYTHING
    assert Sessions(None).start("anything") is None
