"""The page on its own: both languages are built, and every way in asks for the key."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount

from vultus.errors import InputError
from vultus.pipeline import FaceRecognizer
from vultus.ui import Visitor, mount_ui
from vultus.ui.desk import Desk
from vultus.ui.serving import make_app, with_key
from vultus.ui.visitor import EVERYTHING

KEY = "a key of many characters"


@pytest.fixture
def app(desk: Desk) -> FastAPI:
    return make_app(desk.recognizer, key=KEY)


def paths(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path, those of Gradio too, with something in the place of names."""
    for mount in app.routes:
        if isinstance(mount, Mount):
            for route in mount.app.routes:  # type: ignore[attr-defined]  # Gradio's application
                for method in getattr(route, "methods", None) or ["GET"]:
                    yield (
                        method,
                        mount.path + route.path.replace("{", "").replace("}", "").replace(":path", ""),
                    )


def test_no_path_answers_without_the_key(app: FastAPI) -> None:
    ways = set(paths(app))
    assert len(ways) > 100
    assert {path.split("/")[1] for _, path in ways} == {"en", "zh"}
    client = TestClient(app, follow_redirects=False)
    open_ways = {
        (method, path): answer.status_code
        for method, path in sorted(ways)
        if (answer := client.request(method, path)).status_code != 401 and not path.endswith("/logout")
    }
    assert open_ways == {}


@pytest.mark.parametrize(("language", "words"), [("en", "Find faces"), ("zh", "检测人脸")])
def test_the_page_speaks_both_languages_and_loads_nothing_from_elsewhere(
    app: FastAPI, language: str, words: str
) -> None:
    client = TestClient(app)
    client.post("/login", data={"key": KEY})
    page = client.get(f"/{language}/").text
    assert words in page
    assert "fonts.googleapis" not in page
    assert '"analytics_enabled":false' in page
    assert client.get(f"/{language}/theme.css").text.count("https://") == 0


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


def test_it_is_mounted_beside_other_routes(desk: Desk) -> None:
    app = FastAPI()

    @app.get("/v1/other")
    def other() -> str:
        return "not ours"

    mount_ui(app, desk.recognizer, path="/ui", sign_in=lambda key: Visitor("x", frozenset()) if key else None)
    client = TestClient(app, follow_redirects=False)
    assert client.get("/v1/other").json() == "not ours"
    assert client.get("/ui/en/").status_code == 401
    client.post("/ui/login", data={"key": "k"})
    assert client.get("/ui/en/").status_code in {200, 401}
