"""The page as people use it: in a real browser."""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageSequence
from playwright.sync_api import Browser, Page, expect, sync_playwright

from m3dfel.models.checkpoints import BUNDLED, load_model
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import read_video
from m3dfel.video.encode import write_video
from m3dfel.video.faces import CenterFace, Detection
from m3dfel.web.app import running_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    # A camera that shows a moving pattern.
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
]
# A loaded machine is slow; nothing here waits for this long otherwise.
TIMEOUT_MS = 180_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        sentence = "no browser found: install Chromium, on Debian with apt-get install chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(sentence)
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Server:
    """A running page.

    Attributes:
        url: its address.
        folder: where it keeps uploads and results.
        go: while it is clear, only the first frames are searched for faces.
        searches: how many frames are searched even then.
        broken: whether the recognizer has a bug.
    """

    url: str
    folder: Path
    go: Event = field(default_factory=Event)
    searches: int = 0
    broken: bool = False

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    model, server = load_model(BUNDLED), Server("", tmp_path_factory.mktemp("temporary"))

    class WaitingDetector(CenterFace):
        def __init__(self) -> None:
            super().__init__()
            self.searches = 0

        def __call__(self, image: np.ndarray) -> list[Detection]:
            self.searches += 1
            assert self.searches <= server.searches or server.go.wait(TIMEOUT_MS / 1000)
            return super().__call__(image)

    def recognizer() -> Recognizer:
        if server.broken:
            raise ZeroDivisionError
        return Recognizer(model, detector=WaitingDetector())

    limits = {"max_minutes": 0.2, "max_mb": 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(server.folder))
        with running_page(recognizer, port=free_port(), **limits) as server.url:
            yield server
            server.go.set()
    assert list(server.folder.iterdir()) == [], "the server leaves nothing behind"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    server.go.set()
    with open_page(browser, server) as page:
        yield page


@contextmanager
def open_page(browser: Browser, server: Server, **options: Any) -> Iterator[Page]:
    """Open the page as a new user, and check that it loads nothing from elsewhere."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(server.url)
    yield page
    context.close()
    local = (server.url, "data:", "blob:")
    assert [address for address in addresses if not address.startswith(local)] == []


@pytest.fixture(scope="module")
def woman(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A woman who laughs, for two seconds: cut out of the README's animated picture."""
    film = Image.open(Path(__file__).parents[2] / "docs" / "demo.webp")
    frames = [
        np.asarray(picture.convert("RGB").crop((0, 0, 640, 360)).resize((320, 180)))
        for number, picture in enumerate(ImageSequence.Iterator(film))
        if 126 <= number < 150
    ]
    path = tmp_path_factory.mktemp("videos") / "woman.mp4"
    write_video(path, frames, 12)
    return path


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    path = tmp_path / "nobody.mp4"
    write_video(path, np.full((10, 96, 96, 3), 90, np.uint8), 10)
    return path


def drop(page: Page, video: Path) -> None:
    page.set_input_files("#m3-drop input[type=file]", video)


def time_of(page: Page) -> float:
    return page.evaluate("document.querySelector('.m3-result video').currentTime")


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_MS / 1000
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.05)


# --- a result ------------------------------------------------------------------------------------


def test_a_video_plays_beside_timelines_that_steer_it(page: Page, server: Server, woman: Path):
    drop(page, woman)
    expect(page.locator(".m3-person")).to_have_count(1)
    page.wait_for_function("document.querySelector('.m3-result video').currentTime > 0.1")
    video = page.locator(".m3-result video")
    assert video.evaluate("video => video.error") is None
    assert video.evaluate("video => video.duration") == pytest.approx(2, abs=0.1)
    assert video.evaluate("video => video.videoWidth") > 320, "cards are beside the picture"

    video.evaluate("video => video.pause()")
    lane = page.locator(".m3-lane")
    box = lane.bounding_box()
    lane.click(position={"x": 0.75 * box["width"], "y": 40})
    page.wait_for_function("!document.querySelector('.m3-result video').seeking")
    assert time_of(page) == pytest.approx(1.5, abs=0.05)
    playhead = page.locator(".m3-playhead").bounding_box()
    assert playhead["x"] - box["x"] == pytest.approx(0.75 * box["width"], abs=3)
    expect(page.locator(".m3-now")).to_have_text("happiness")

    lane.press("ArrowLeft")
    page.wait_for_function("!document.querySelector('.m3-result video').seeking")
    assert time_of(page) == pytest.approx(1.0, abs=0.05)

    moment = page.locator(".m3-moments button").first
    expect(moment).to_contain_text("happiness")
    moment.click()
    page.wait_for_function("!document.querySelector('.m3-result video').seeking")
    assert time_of(page) == pytest.approx(float(moment.get_attribute("data-seek")), abs=0.05)


def test_a_person_who_comes_back_has_one_timeline(
    page: Page, woman: Path, tmp_path: Path, server: Server
):
    """Two tracks, of which the page, the annotated video and the table say: person 1."""
    frames = [frame.image for frame in read_video(woman)]
    away = [np.full_like(frames[0], 128)] * 12
    write_video(tmp_path / "back.mp4", [*frames, *away, *frames], 12)
    drop(page, tmp_path / "back.mp4")
    expect(page.locator(".m3-person")).to_have_count(1)
    expect(page.locator(".m3-person h3")).to_contain_text("Person 1")
    happiness = page.locator(".m3-lane path[opacity]").first.get_attribute("d")
    assert happiness.count("Z") == 2, "two areas, and nothing between them"
    page.locator(".m3-result video").evaluate("video => video.pause()")
    lane = page.locator(".m3-lane")
    for part, word in ((0.2, "happiness"), (0.5, ""), (0.8, "happiness")):
        lane.click(position={"x": part * lane.bounding_box()["width"], "y": 40})
        expect(page.locator(".m3-now")).to_have_text(word)
    with page.expect_download() as download:
        page.locator(".m3-files a", has_text="CSV").click()
    table = pd.read_csv(download.value.path())
    assert (set(table["track"]), set(table["person"])) == ({1, 2}, {1})


def test_all_files_can_be_downloaded_until_the_user_is_done(
    page: Page, server: Server, woman: Path, tmp_path: Path
):
    drop(page, woman)
    links = page.locator(".m3-files a")
    expect(links).to_have_count(6)
    names = []
    for link in links.all():
        with page.expect_download() as download:
            link.click()
        names.append(download.value.suggested_filename)
        download.value.save_as(tmp_path / names[-1])
    assert names == [
        *("woman_annotated.mp4", "woman.csv", "woman.json"),
        *("woman.srt", "woman.vtt", "woman.eaf"),
    ]
    assert set(pd.read_csv(tmp_path / "woman.csv")["emotion"]) == {"happiness"}
    assert "happiness" in (tmp_path / "woman.srt").read_text()
    assert "woman.mp4" not in server.files(), "the upload is removed once it is read"
    page.get_by_role("button", name="Another video").click()
    expect(page.locator("#m3-drop")).to_be_visible()
    wait_for(lambda: server.files() == [])


def test_a_closed_page_takes_its_files_along(browser: Browser, server: Server, woman: Path):
    server.go.set()
    with open_page(browser, server) as page:
        drop(page, woman)
        expect(page.locator(".m3-person")).to_have_count(1)
        assert "woman_annotated.mp4" in server.files()
    wait_for(lambda: server.files() == [])


def test_the_result_fits_a_phone(browser: Browser, server: Server, woman: Path):
    server.go.set()
    phone = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
    with open_page(browser, server, **phone) as page:
        drop(page, woman)
        expect(page.locator(".m3-person")).to_have_count(1)
        assert page.evaluate("document.scrollingElement.scrollWidth") == 360
        video, person = (
            page.locator(name).bounding_box() for name in (".m3-result video", ".m3-person")
        )
        assert person["y"] >= video["y"] + video["height"]
        page.locator(".m3-lane").tap(position={"x": 10, "y": 40})
        page.evaluate("document.querySelector('.m3-result video').pause()")


def test_a_chinese_browser_sees_a_chinese_page(browser: Browser, server: Server, woman: Path):
    server.go.set()
    with open_page(browser, server, locale="zh-CN") as page:
        expect(page.locator("#m3-lead")).to_contain_text("拖入一段视频")
        expect(page.locator("#m3-purpose")).to_contain_text("《人工智能法案》第 5 条第 1 款 (f) 项")
        drop(page, woman)
        expect(page.locator(".m3-moments")).to_contain_text("高兴")
        expect(page.get_by_role("button", name="换一个视频")).to_be_visible()


# --- while it works ------------------------------------------------------------------------------


def test_work_shows_its_progress_and_can_be_stopped(page: Page, server: Server, woman: Path):
    server.go.clear()
    server.searches = 1
    drop(page, woman)
    expect(page.locator(".m3-step")).to_contain_text("Reading the faces")
    expect(page.locator(".m3-step")).to_contain_text(" left")
    assert 0 < int(page.get_by_role("progressbar").get_attribute("aria-valuenow")) < 100
    page.get_by_role("button", name="Stop").click()
    server.go.set()
    expect(page.locator("#m3-drop")).to_be_visible()
    expect(page.locator(".m3-problem")).to_have_count(0)
    wait_for(lambda: server.files() == [])


def test_two_users_at_once_do_not_mix(browser: Browser, server: Server, woman: Path, nobody: Path):
    """Both upload at the same moment, one of them a video that takes long."""
    server.go.clear()
    server.searches = 0
    with open_page(browser, server) as first, open_page(browser, server) as second:
        drop(first, woman)
        expect(first.get_by_role("progressbar")).to_be_visible()
        text = nobody.with_name("text.mp4")
        text.write_text("Not a video.\n")
        drop(second, text)
        expect(second.locator(".m3-problem")).to_contain_text("cannot be read as a video")
        drop(second, nobody)
        expect(second.get_by_role("progressbar")).to_be_visible()
        server.go.set()
        expect(second.locator(".m3-problem")).to_contain_text("No face")
        expect(first.locator(".m3-person")).to_have_count(1)
        expect(first.locator(".m3-problem")).to_have_count(0)


# --- what cannot be shown ------------------------------------------------------------------------


def test_problems_are_said_in_clear_words(page: Page, server: Server, nobody: Path, tmp_path: Path):
    text, long, large = (tmp_path / f"{name}.mp4" for name in ("text", "long", "large"))
    text.write_text("Not a video, but a text.\n" * 20)
    write_video(long, np.zeros((13, 16, 16, 3), np.uint8), 1)
    large.write_bytes(bytes(2_000_001))
    problem = page.locator(".m3-problem:visible")
    for video, sentence in (
        (text, "cannot be read as a video"),
        (nobody, "No face was found"),
        (long, "longer than 0.2 minutes"),
        (large, "larger than 2 MB"),
        (text, "cannot be read as a video"),
    ):
        drop(page, video)
        expect(problem).to_contain_text(sentence)
        expect(page.locator("#m3-drop")).to_be_visible()
        expect(page.get_by_test_id("toast-body")).to_have_count(0)
    wait_for(lambda: server.files() == [])


def test_a_bug_is_admitted_and_logged(page: Page, server: Server, woman: Path, caplog, monkeypatch):
    monkeypatch.setattr(server, "broken", True)
    drop(page, woman)
    expect(page.locator(".m3-problem")).to_contain_text("Something went wrong")
    assert "ZeroDivisionError" in caplog.text
    wait_for(lambda: server.files() == [])


def test_a_recording_of_the_camera_is_taken_like_a_video(page: Page):
    """The browser's false camera shows no face."""
    page.evaluate(COUNT_RECORDED)
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    record = page.locator("#m3-drop .capture-button")
    record.click()
    # On a loaded machine, the recording arrives late.
    page.wait_for_function("window.recorded > 20_000")
    record.click()
    expect(page.locator(".m3-problem")).to_contain_text("No face was found")


COUNT_RECORDED = """() => {
  const { start } = MediaRecorder.prototype;
  window.recorded = 0;
  MediaRecorder.prototype.start = function (...words) {
    this.addEventListener("dataavailable", (event) => (window.recorded += event.data.size));
    return start.apply(this, words);
  };
}"""
