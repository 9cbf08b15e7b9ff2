"""The page in an application: both languages are built, and every way in asks for the key."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount

from vultus.errors import InputError
from vultus.interfaces import Detector, Embedder
from vultus.pipeline import FaceRecognizer
from vultus.ui import mount_ui
from vultus.ui.desk import Desk
from vultus.ui.serving import make_app, with_key
from vultus.ui.visitor import EVERYTHING

KEY = "a key of many characters"


@pytest.fixture(scope="module")
def app(parts: tuple[Detector, Embedder], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """Building it takes seconds: once for all tests here."""
    app = FastAPI()

    @app.get("/v1/other")
    def other() -> str:
        return "not ours"

    detector, embedder = parts
    path = tmp_path_factory.mktemp("served") / "people.db"
    with FaceRecognizer(path, detector=detector, embedder=embedder) as recognizer:
        mount_ui(app, recognizer, path="/ui", sign_in=with_key(KEY))
        yield app


def ways(routes: list[Any]) -> Iterator[tuple[str, str]]:
    """Every method and path, with something in the place of names."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from ways(included.routes)
        elif not isinstance(route, Mount):
            path = route.path.replace("{", "").replace("}", "").replace(":path", "")
            yield from ((method, path) for method in route.methods)


def test_no_path_of_the_page_answers_without_the_key(app: FastAPI) -> None:
    mounted = {route.path: route.app for route in app.routes if isinstance(route, Mount)}
    assert set(mounted) == {"/ui/en", "/ui/zh"}
    client = TestClient(app, follow_redirects=False)
    for prefix, page in mounted.items():
        found = set(ways(page.routes))  # type: ignore[attr-defined]  # Gradio's application
        assert {path for _, path in found} > {"/", "/config", "/gradio_api/upload", "/gradio_api/queue/join"}
        answers = {way: client.request(way[0], prefix + way[1]).status_code for way in sorted(found)}
        assert {way for way, status in answers.items() if status != 401} == set()


def test_a_browser_that_asks_for_an_icon_gets_one(app: FastAPI) -> None:
    answer = TestClient(app).get("/favicon.ico")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.text.startswith("<svg")


def test_other_routes_stay_as_they_are(app: FastAPI) -> None:
    assert TestClient(app).get("/v1/other").json() == "not ours"


@pytest.mark.parametrize(("language", "words"), [("en", "Find faces"), ("zh", "检测人脸")])
def test_the_page_speaks_both_languages_and_names_no_font_of_others(
    app: FastAPI, language: str, words: str
) -> None:
    client = TestClient(app, base_url="https://here")
    client.post("/ui/login", data={"key": KEY})
    page = client.get(f"/ui/{language}/").text
    assert words in page
    assert "fonts.googleapis" not in page
    assert '"analytics_enabled":false' in page.replace(" ", "")
    assert "https://" not in client.get(f"/ui/{language}/theme.css").text


def test_without_a_key_only_this_computers_names_are_answered(desk: Desk) -> None:
    app = make_app(desk.recognizer, key=None)
    assert TestClient(app, base_url="http://127.0.0.1").get("/en/").status_code == 200
    assert TestClient(app, base_url="http://evil.example").get("/en/").status_code == 400


def test_a_key_is_compared_whole() -> None:
    sign_in = with_key(KEY)
    assert sign_in(KEY) == EVERYTHING
    assert [sign_in(wrong) for wrong in ("", KEY[:-1], KEY + "x", "ключ")] == [None] * 4


def test_an_engine_without_a_gallery_is_refused_before_the_first_visitor(desk: Desk) -> None:
    engine = FaceRecognizer(detector=desk.recognizer.detector, embedder=desk.recognizer.embedder)
    with pytest.raises(InputError, match="no gallery"):
        mount_ui(FastAPI(), engine)
