"""The page as people use it: Debian's Chromium on the real server.

Skipped where there is no Chromium: `apt-get install chromium`, or name one in VULTUS_CHROMIUM.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")

CHROMIUM = os.environ.get("VULTUS_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
PICTURES = os.environ.get("VULTUS_PICTURES")  # a folder for screenshots
KEY = "a-key-for-the-browser-tests"
PATIENCE_MS = 90_000  # machines are busy: no test is about time
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US"}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "locale": "zh-CN",
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 2,
}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
expect = playwright.expect


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `vultus ui` in a process of its own."""
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "vultus", "ui", "--port", "0", "--gallery", str(folder / "people.db")]
    settings = {"VULTUS_UI_KEY": KEY, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with (
        (folder / "errors.txt").open("w") as errors,
        subprocess.Popen(
            command, env=os.environ | settings, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.search(r"http://[\d.:]+", said)
            assert found, said + (folder / "errors.txt").read_text()
            yield found.group()
        finally:
            process.terminate()  # it ends though pages are open


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Visit:
    """A window, what it asked for, and what went wrong in it."""

    def __init__(self, browser: Any, server: str, window: dict[str, Any]) -> None:
        self.server = server
        self.context = browser.new_context(base_url=server, **window)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)

    def _heard(self, line: Any) -> None:
        if line.type == "error":
            self.errors.append(f"{line.text} {line.location['url']}".rstrip())

    def sign_in(self) -> None:
        self.page.goto(f"/login?key={KEY}")
        expect(self.page.locator("#detect-start")).to_be_visible(timeout=PATIENCE_MS)

    def go(self, address: str) -> None:
        """Leave the page for another one of ours.

        Gradio's client says of a page that is left that its streams broke, which is no failure: the page
        is closed first, and what it said after it had to go is not counted.
        """
        assert self.errors == []
        self.page.goto("about:blank")
        self.page.evaluate("0")  # what was said before comes before this answer
        self.errors.clear()
        self.page.goto(address)

    def open_tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    def upload(self, field: str, *files: str) -> None:
        """Choose files, and wait until the server has them."""
        with self.page.expect_response(re.compile("/upload")):
            self.page.set_input_files(f"{field} input[type=file]", list(files))

    def told(self, place: str, words: str) -> None:
        expect(self.page.locator(place)).to_contain_text(words, timeout=PATIENCE_MS)

    def picture(self, name: str) -> None:
        """Keep how it looks, for whoever wants to see it."""
        if PICTURES:
            self.page.wait_for_timeout(800)  # until what is new has faded in
            self.page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)

    @property
    def elsewhere(self) -> list[str]:
        own = (self.server, "data:", "blob:")
        return [address for address in self.asked if not address.startswith(own)]


@pytest.fixture(scope="module")
def visit(browser: Any, server: str) -> Iterator[Visit]:
    """A window that is signed in; every test works in a tab of its own."""
    visit = Visit(browser, server, DESKTOP)
    visit.sign_in()
    yield visit
    assert visit.elsewhere == []
    assert visit.errors == []
    visit.context.close()


def test_the_keyboard_is_enough_and_a_wrong_key_is_not(browser: Any, server: str) -> None:
    visit = Visit(browser, server, DESKTOP)
    page = visit.page
    page.goto("/")
    expect(page).to_have_url(re.compile("/login$"))
    page.keyboard.type("not the key")  # the field has the focus
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This key is not valid")
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/en/$"))
    expect(page.get_by_role("heading", name="Vultus")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#detect-start")).to_be_visible(timeout=PATIENCE_MS)

    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Compare":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Compare", exact=True)).to_have_attribute("aria-selected", "true")
    page.locator("#compare-start").focus()
    page.keyboard.press("Enter")
    visit.told("#compare-told", "Choose a photo first")
    expect(page.locator("#compare-told").get_by_role("alert")).to_be_visible()

    page.get_by_role("link", name="Sign out").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/login$"))
    assert visit.elsewhere == []
    visit.context.close()


def test_faces_are_found_and_a_bad_file_is_said_to_be_bad(visit: Visit, album: dict[str, str]) -> None:
    page = visit.page
    visit.upload("#detect-photo", album["twice"])
    page.click("#detect-start")
    visit.told("#detect-told", "2 faces found")
    visit.picture("detect")
    expect(page.locator("#detect-picture img")).to_be_visible()
    page.get_by_role("button", name=re.compile("clear|remove", re.IGNORECASE)).first.click()
    visit.upload("#detect-photo", album["broken"])
    page.click("#detect-start")
    visit.told("#detect-told", "This file cannot be used as a photo")
    visit.told("#detect-told", "broken.jpg")
    expect(page.locator("#detect-picture img")).to_have_count(0)  # no old answer beside a new error


def test_two_photos_are_compared(visit: Visit, album: dict[str, str]) -> None:
    visit.open_tab("Compare")
    visit.upload("#compare-first", album["person"])
    visit.upload("#compare-second", album["changed"])
    visit.page.click("#compare-start")
    visit.told("#compare-told", "The same person")
    expect(visit.page.get_by_role("img", name=re.compile("Similarity 0.9.*Threshold"))).to_be_visible()
    visit.picture("compare")


def test_a_person_is_enrolled_recognised_renamed_and_deleted(visit: Visit, album: dict[str, str]) -> None:
    page = visit.page
    visit.open_tab("People")
    page.get_by_label("Name", exact=True).fill("Eileen")
    visit.upload("#enrol-photos", album["person"])
    page.click("#enrol-start")
    visit.told("#enrol-told", "Eileen is enrolled")
    visit.told("#header", "People 1")

    visit.open_tab("Recognise")
    visit.upload("#recognise-photo", album["twice"])
    page.click("#recognise-start")
    visit.told("#recognise-told", "2 known, 0 unknown")
    visit.told("#recognise-rows", "Eileen")
    asked = len(visit.asked)
    page.locator("#recognise-photo").get_by_role("button", name="Remove Image").click()
    for old in ("#recognise-told", "#recognise-rows"):
        expect(page.locator(old)).not_to_contain_text(re.compile(r"\w"), timeout=PATIENCE_MS)
    expect(page.locator("#recognise-picture img")).to_have_count(0)
    # The browser wipes it by itself: what the server wiped came after the answer to a quick click, at times.
    assert not [address for address in visit.asked[asked:] if "/queue/join" in address]

    visit.go("/en/")  # somebody else looks
    visit.open_tab("People")
    page.locator("#people-faces button:has(img)").click()
    expect(page.get_by_label("New name")).to_have_value("Eileen", timeout=PATIENCE_MS)
    page.get_by_label("New name").fill("Eileen Collins")
    page.keyboard.press("Enter")
    visit.told("#person-told", "Eileen is now called Eileen Collins")
    visit.picture("people")

    page.click("#person-delete")
    visit.told("#delete-question", "Delete Eileen Collins with 1 enrolled photos?")
    page.click("#delete-no")
    expect(page.locator("#delete-yes")).to_be_hidden()
    visit.told("#header", "People 1")
    page.click("#person-delete")
    page.click("#delete-yes")
    visit.told("#person-told", "Eileen Collins is deleted")
    visit.told("#header", "People 0")
    visit.told("#people-told", "Nobody is enrolled yet")


def test_an_unknown_face_is_enrolled_in_two_clicks_and_then_known(
    visit: Visit, album: dict[str, str], clip: str
) -> None:
    page = visit.page
    visit.open_tab("Recognise")
    visit.upload("#recognise-photo", album["person"])
    page.click("#recognise-start")
    visit.told("#recognise-told", "0 known, 1 unknown")
    visit.picture("unknown")
    expect(page.get_by_label("Face 1", exact=True)).to_be_checked()  # which is already chosen
    page.get_by_label("Name", exact=True).and_(page.locator("#unknown-name *")).fill("Eileen")
    page.click("#unknown-enrol")
    visit.told("#unknown-told", "Eileen is enrolled")
    visit.told("#recognise-told", "1 known, 0 unknown")  # looked at again by itself
    visit.told("#recognise-rows", "Eileen")
    expect(page.locator("#unknown-enrol")).to_be_hidden()
    visit.told("#header", "People 1")
    visit.picture("enrolled")

    page.locator("#recognise-video-tab-button").click()
    page.click("#video-start")
    visit.told("#video-told", "Choose a video first")
    visit.upload("#video-file", clip)
    page.get_by_label(re.compile("^number input for Frames")).fill("8")
    page.keyboard.press("Tab")
    page.click("#video-start")
    visit.told("#video-told", "1 known, 0 unknown faces, in 8 frames")
    for words in ("Eileen", "0:01.0", "0:02.4"):
        visit.told("#video-rows", words)
    expect(page.locator("#video-frames img")).to_have_count(1)
    visit.picture("video")


def test_on_a_phone_everything_fits_and_speaks_chinese(
    browser: Any, server: str, album: dict[str, str]
) -> None:
    visit = Visit(browser, server, PHONE)
    visit.sign_in()
    page = visit.page
    expect(page).to_have_url(re.compile("/zh/$"))
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    for tab in ("比对", "人员", "识别", "报告", "检测"):
        page.get_by_role("tab", name=tab, exact=True).tap()
        expect(page.get_by_role("tab", name=tab, exact=True)).to_have_attribute("aria-selected", "true")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"], tab
    visit.upload("#detect-photo", album["person"])
    page.locator("#detect-start").tap()
    visit.told("#detect-told", "找到 1 张人脸")
    visit.picture("phone")
    visit.go("/en/")  # longer words
    expect(page.locator("#detect-start")).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]
    assert visit.elsewhere == []
    assert visit.errors == []
    visit.context.close()
