"""The page as people use it: in a real browser."""

import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageSequence
from playwright.sync_api import Browser, Page, expect, sync_playwright

from m3dfel.models.checkpoints import BUNDLED, load_model
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import read_video
from m3dfel.video.encode import write_video
from m3dfel.video.faces import CenterFace, Detection
from m3dfel.web.app import file_names, running_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    # A camera that shows a moving pattern.
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
]
# A loaded machine is slow; nothing here waits for this long otherwise.
TIMEOUT_MS = 60_000


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
        # Pages that have been closed are forgotten at once, not after half a minute.
        patch.setattr("m3dfel.web.jobs._LEFT_S", 1.0)
        patch.setattr("m3dfel.web.app._SWEEP_S", 0.1)
        with running_page(recognizer, "127.0.0.1", free_port(), **limits) as server.url:
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


def choose(page: Page, *files: Path) -> None:
    page.set_input_files("#file", files)


def wait_for_result(page: Page) -> None:
    expect(page.locator(".result")).to_be_visible()
    wait_for(lambda: page.evaluate("document.querySelector('.result video').readyState > 1"))
    page.locator(".result video").evaluate("video => video.pause()")


def time_of(page: Page) -> float:
    wait_for(lambda: page.evaluate("!document.querySelector('.result video').seeking"))
    return page.evaluate("document.querySelector('.result video').currentTime")


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_MS / 1000
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.05)


def assert_accessible(page: Page) -> None:
    """Check that axe-core finds nothing serious."""
    violations = Axe().run(page).response["violations"]
    assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []


def in_window(page: Page, selector: str) -> bool:
    box = page.locator(selector).first.bounding_box()
    return box["y"] >= 0 and box["y"] + box["height"] <= page.viewport_size["height"]


# --- a result ------------------------------------------------------------------------------------


def test_a_video_plays_with_boxes_beside_timelines_that_steer_it(page: Page, woman: Path):
    assert_accessible(page)
    choose(page, woman)
    wait_for_result(page)
    assert page.evaluate("document.activeElement.id") == "result-title"
    expect(page.locator("#spoken")).to_contain_text("Happiness")
    expect(page.locator(".verdict")).to_have_text("Happiness all the time (2.0 s).")
    video = page.locator(".result video")
    assert video.evaluate("video => video.error") is None
    assert video.evaluate("video => video.duration") == pytest.approx(2, abs=0.1)
    assert video.evaluate("video => video.videoWidth") == 320, "the video itself, not a drawn one"
    assert_accessible(page)

    lane = page.locator(".lane")
    box = lane.bounding_box()
    lane.click(position={"x": 0.75 * box["width"], "y": 20})
    assert time_of(page) == pytest.approx(1.5, abs=0.05)
    playhead = page.locator(".lane .playhead").bounding_box()
    assert playhead["x"] - box["x"] == pytest.approx(0.75 * box["width"], abs=3)
    expect(page.locator(".now")).to_have_text("now: happiness")
    for key, time_s in (("ArrowLeft", 1.0), ("Home", 0), ("PageUp", 0.2), ("End", 1.95)):
        lane.press(key)
        assert time_of(page) == pytest.approx(time_s, abs=0.06)
    assert lane.get_attribute("aria-valuetext") == "1.9 s, happiness"

    moment = page.locator(".moments button").first
    expect(moment).to_contain_text("happiness")
    moment.click()
    assert time_of(page) == pytest.approx(float(moment.get_attribute("data-seek")), abs=0.05)

    box = page.locator(".box")
    expect(box).to_contain_text("happiness")
    around, screen = box.bounding_box(), page.locator(".screen").bounding_box()
    assert screen["x"] < around["x"] + around["width"] / 2 < screen["x"] + screen["width"]
    page.get_by_label("Boxes and names").uncheck()
    expect(box).not_to_be_visible()


def test_a_video_that_the_browser_does_not_play_is_shown_annotated(
    page: Page, woman: Path, tmp_path: Path
):
    with av.open(tmp_path / "old.avi", "w") as container:
        stream = container.add_stream("mpeg4", rate=12, width=320, height=180, pix_fmt="yuv420p")
        for frame in read_video(woman):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image)))
        container.mux(stream.encode())
    choose(page, tmp_path / "old.avi")
    wait_for_result(page)
    source = page.locator(".result video").evaluate("video => video.currentSrc")
    assert source.endswith("old_annotated.mp4")
    expect(page.locator(".box")).not_to_be_visible()


def test_a_person_who_comes_back_has_one_timeline(page: Page, woman: Path, tmp_path: Path):
    """Two tracks, of which the page, the annotated video and the table say: person 1."""
    frames = [frame.image for frame in read_video(woman)]
    away = [np.full_like(frames[0], 128)] * 12
    write_video(tmp_path / "back.mp4", [*frames, *away, *frames], 12)
    choose(page, tmp_path / "back.mp4")
    wait_for_result(page)
    expect(page.locator(".person")).to_have_count(1)
    lane = page.locator(".lane")
    for part, word in ((0.2, "now: happiness"), (0.5, ""), (0.8, "now: happiness")):
        lane.click(position={"x": part * lane.bounding_box()["width"], "y": 20})
        expect(page.locator(".now")).to_have_text(word)


def test_several_people_fit_beside_the_video(
    browser: Browser, server: Server, woman: Path, tmp_path: Path
):
    frames = [np.tile(frame.image, (2, 2, 1)) for frame in read_video(woman)]
    write_video(tmp_path / "four.mp4", frames, 12)
    with open_page(browser, server, viewport={"width": 1280, "height": 720}) as page:
        choose(page, tmp_path / "four.mp4")
        wait_for_result(page)
        expect(page.locator(".person")).to_have_count(4)
        page.locator(".lane").last.click()
        assert in_window(page, ".screen")
        page.locator(".person details summary").last.click()
        page.locator(".rows").last.scroll_into_view_if_needed()
        assert in_window(page, ".screen"), "it stays in sight"
        page.locator(".files summary").click()
        assert_accessible(page)


def test_all_files_can_be_downloaded_until_the_user_is_done(
    page: Page, server: Server, woman: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr("m3dfel.web.jobs._LEFT_S", 60.0)
    choose(page, woman)
    wait_for_result(page)
    assert in_window(page, ".files .pill")
    page.locator(".files summary").click()
    names = []
    for link in page.locator(".files a").all():
        with page.expect_download() as download:
            link.click()
        names.append(download.value.suggested_filename)
        download.value.save_as(tmp_path / names[-1])
    assert names == [
        *("woman_annotated.mp4", "woman.png", "woman.xlsx", "woman.csv", "woman_m3dfel.zip"),
        *("woman.json", "woman.srt", "woman.vtt", "woman.eaf", "woman_boris.csv"),
    ]
    assert set(pd.read_csv(tmp_path / "woman.csv")["emotion"]) == {"happiness"}
    assert "happiness" in (tmp_path / "woman.srt").read_text()
    page.reload()
    wait_for_result(page)
    assert "woman_annotated.mp4" in server.files()
    page.get_by_role("button", name="Choose another file").click()
    expect(page.locator("#drop")).to_be_visible()
    wait_for(lambda: server.files() == [])


def test_a_closed_page_takes_its_files_along(browser: Browser, server: Server, woman: Path):
    server.go.set()
    with open_page(browser, server) as page:
        choose(page, woman)
        wait_for_result(page)
    wait_for(lambda: server.files() == [])


def test_the_example_needs_no_video(page: Page):
    page.get_by_role("button", name="Try an example").click()
    wait_for_result(page)
    expect(page.locator(".verdict")).to_contain_text("happiness")


def test_the_result_fits_a_phone(browser: Browser, server: Server, woman: Path):
    server.go.set()
    phone = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
    with open_page(browser, server, **phone) as page:
        choose(page, woman)
        wait_for_result(page)
        assert page.evaluate("document.scrollingElement.scrollWidth") == 360
        video, person = (page.locator(name).bounding_box() for name in (".screen", ".person"))
        assert person["y"] >= video["y"] + video["height"]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert_accessible(page)
        page.evaluate("window.scrollTo(0, 300)")
        assert in_window(page, ".screen"), "it stays in sight"


def test_a_chinese_browser_sees_a_chinese_page(browser: Browser, server: Server, woman: Path):
    server.go.set()
    with open_page(browser, server, locale="zh-CN") as page:
        expect(page.locator(".lead")).to_contain_text("选择一段有人物的视频")
        expect(page.locator("footer")).to_contain_text("《人工智能法案》第 5 条第 1 款 (f) 项")
        choose(page, woman)
        wait_for_result(page)
        expect(page.locator(".verdict")).to_have_text("始终高兴（2.0 秒）。")
        expect(page.locator(".box")).to_contain_text("高兴")
        assert_accessible(page)
        with page.expect_download() as download:
            page.locator(".files summary").click()
            page.get_by_role("link", name="SRT").click()
        assert "高兴" in Path(download.value.path()).read_text(encoding="utf-8")


def test_all_other_browsers_see_english_alone(browser: Browser, server: Server):
    with open_page(browser, server, locale="de-DE") as page:
        assert page.evaluate("document.documentElement.lang") == "en"
        expect(page.get_by_role("button", name="Choose a video or photos")).to_be_visible()


# --- photos --------------------------------------------------------------------------------------


@pytest.fixture
def photos(woman: Path, tmp_path: Path) -> list[Path]:
    """A photo of two women, and one of nobody."""
    frame = next(read_video(woman)).image
    paths = [tmp_path / "two.jpg", tmp_path / "none.png"]
    for path, image in zip(
        paths, [np.tile(frame, (1, 2, 1)), np.full_like(frame, 90)], strict=True
    ):
        Image.fromarray(image).save(path)
    return paths


def test_each_face_in_photos_has_a_box_and_an_answer(
    page: Page, server: Server, photos: list[Path], tmp_path: Path
):
    broken = tmp_path / "broken.jpg"
    broken.write_text("no photo")
    choose(page, *photos, broken)
    expect(page.locator("#result-title")).to_have_text("2 photos")
    expect(page.locator(".verdict")).to_have_text("2 × happiness")
    expect(page.locator("#spoken")).to_contain_text("2 × happiness")
    expect(page.locator(".problem").last).to_contain_text("broken.jpg")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").first).to_contain_text("happiness")
    expect(page.locator("figcaption").last).to_have_text("none.png: no face")
    picture, box = (page.locator(name).first.bounding_box() for name in (".photo img", ".box"))
    assert picture["x"] < box["x"] < picture["x"] + picture["width"] / 2
    assert_accessible(page)
    page.get_by_label("Boxes and names").uncheck()
    expect(page.locator(".box").first).not_to_be_visible()
    page.locator(".files summary").click()
    for name in ("Picture", "Table (Excel)", "Table (CSV)", "All (ZIP)", "JSON"):
        with page.expect_download() as download:
            page.locator(".files").get_by_role("link", name=name).click()
        download.value.save_as(tmp_path / "out" / download.value.suggested_filename)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("photos.csv", "photos.json", "photos.png", "photos.xlsx", "photos_m3dfel.zip")
    ]
    table = pd.read_csv(tmp_path / "out" / "photos.csv")
    assert table["file"].tolist() == ["two.jpg", "two.jpg", "none.png"]


def test_one_video_or_photos_are_taken_at_once(page: Page, woman: Path, photos: list[Path]):
    choose(page, woman, photos[0])
    expect(page.locator("#problem")).to_have_text("Please choose one video, or up to 50 photos.")
    choose(page, photos[1])
    expect(page.locator("#problem")).to_contain_text("No face was found")


# --- while it works ------------------------------------------------------------------------------


def test_work_shows_its_progress_and_can_be_stopped(page: Page, server: Server, woman: Path):
    server.go.clear()
    server.searches = 1
    choose(page, woman)
    expect(page.locator("#step")).to_have_text("Reading the faces")
    expect(page.locator("#left")).to_contain_text(" left")
    assert 0 < int(page.get_by_role("progressbar").get_attribute("aria-valuenow")) < 100
    assert "% – m3dfel" in page.title()
    assert_accessible(page)
    page.get_by_role("button", name="Stop").click()
    server.go.set()
    expect(page.locator("#drop")).to_be_visible()
    expect(page.locator("#problem")).not_to_be_visible()
    wait_for(lambda: server.files() == [])


def test_an_upload_can_be_canceled_and_leaves_nothing(page: Page, server: Server, tmp_path: Path):
    video = tmp_path / "slow.mp4"
    video.write_bytes(bytes(1_900_000))
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 100_000}
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    choose(page, video)
    expect(page.locator("#step")).to_have_text("Uploading")
    wait_for(lambda: server.files() == ["slow.mp4"])
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#drop")).to_be_visible()
    wait_for(lambda: server.files() == [])


def test_two_users_at_once_do_not_mix(browser: Browser, server: Server, woman: Path, nobody: Path):
    """Both upload at the same moment, one of them a video that takes long."""
    server.go.clear()
    server.searches = 0
    with open_page(browser, server) as first, open_page(browser, server) as second:
        choose(first, woman)
        expect(first.get_by_role("progressbar")).to_be_visible()
        choose(second, nobody)
        expect(second.get_by_role("progressbar")).to_be_visible()
        with open_page(browser, server) as third:
            choose(third, woman)
            expect(third.locator("#step")).to_contain_text("number 1 in the queue")
        server.go.set()
        expect(second.locator("#problem")).to_contain_text("No face")
        expect(first.locator(".person")).to_have_count(1)
        expect(first.locator("#problem")).not_to_be_visible()


# --- what cannot be shown ------------------------------------------------------------------------


def test_problems_are_said_in_clear_words(page: Page, server: Server, nobody: Path, tmp_path: Path):
    text, long, large = (tmp_path / f"{name}.mp4" for name in ("text", "long", "large"))
    text.write_text("Not a video, but a text.\n" * 20)
    write_video(long, np.zeros((13, 16, 16, 3), np.uint8), 1)
    large.write_bytes(bytes(2_000_001))
    notes = tmp_path / "notes.txt"
    notes.write_text("notes")
    for video, sentence in (
        (text, "cannot be read as a video"),
        (nobody, "No face was found"),
        (long, "longer than 0.2 minutes"),
        (large, "larger than 2 MB"),
        (notes, "“notes.txt” is neither a video nor a photo"),
    ):
        choose(page, video)
        expect(page.locator("#problem")).to_contain_text(sentence)
        expect(page.locator("#drop")).to_be_visible()
    assert_accessible(page)
    wait_for(lambda: server.files() == [])


def test_a_bug_is_admitted_and_logged(page: Page, server: Server, woman: Path, caplog, monkeypatch):
    monkeypatch.setattr(server, "broken", True)
    choose(page, woman)
    expect(page.locator("#problem")).to_contain_text("Something went wrong")
    assert "ZeroDivisionError" in caplog.text
    wait_for(lambda: server.files() == [])


def test_a_page_says_that_its_server_has_gone(page: Page, server: Server, woman: Path):
    server.go.clear()
    server.searches = 1
    choose(page, woman)
    expect(page.locator("#step")).to_have_text("Reading the faces")
    page.route("**/jobs/**", lambda route: route.abort())
    expect(page.locator("#lost")).to_contain_text("The connection to m3dfel is lost")
    assert_accessible(page)
    page.unroute("**/jobs/**")
    server.go.set()
    wait_for_result(page)
    expect(page.locator("#lost")).not_to_be_visible()


def test_a_recording_of_the_camera_is_taken_like_a_video(browser: Browser, server: Server):
    """The browser's false camera shows no face."""
    server.go.set()
    with open_page(browser, server, viewport={"width": 1280, "height": 720}) as page:
        page.get_by_role("button", name="Record yourself").click()
        record = page.locator("#shoot")
        expect(record).to_be_visible()
        expect(record).to_have_text("Start recording")
        assert in_window(page, "#shoot")
        assert_accessible(page)
        page.evaluate(COUNT_RECORDED)
        record.click()
        # On a loaded machine, the recording arrives late.
        wait_for(lambda: page.evaluate("window.recorded > 20_000"))
        expect(record).to_have_text("Stop and analyze")
        record.click()
        expect(page.locator("#problem")).to_contain_text("No face was found")


COUNT_RECORDED = """() => {
  const { start } = MediaRecorder.prototype;
  window.recorded = 0;
  MediaRecorder.prototype.start = function (...words) {
    this.addEventListener("dataavailable", (event) => (window.recorded += event.data.size));
    return start.apply(this, words);
  };
}"""


# --- other websites ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}]
)
def test_other_websites_cannot_use_the_page(server: Server, headers: dict[str, str]):
    request = urllib.request.Request(f"{server.url}uploads?name=a.mp4&size=4", b"data", headers)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)
    assert "a.mp4" not in server.files()


def test_no_other_website_can_show_the_page(server: Server):
    with urllib.request.urlopen(server.url) as response:
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["jobs/x/files/../../y", "jobs/x/video", "..%2fapp.py", "app.py"])
def test_only_files_of_a_job_are_served(server: Server, path: str):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(server.url + path)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("holiday.mp4", "holiday.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\a.mov", "a.mov"),
        ("视频 1.mp4", "视频 1.mp4"),
        (".mp4", "mp4"),
        ("..", "video"),
        ("a" * 300 + ".mp4", "a" * 60 + ".mp4"),
    ],
)
def test_an_upload_keeps_its_name_but_not_its_folder(name: str, kept: str):
    assert file_names([name]) == [kept]


def test_uploads_of_the_same_name_are_kept_apart():
    names = ["a.jpg", "image.jpg", "camera/image.jpg", "IMAGE.jpg"]
    assert file_names(names) == ["a.jpg", "image.jpg", "image (2).jpg", "IMAGE (3).jpg"]


@pytest.mark.parametrize("query", ["", "name=a.mp4", "name=a.mp4&size=-1", "name=a.mp4&size=x"])
def test_an_upload_has_to_name_its_files(server: Server, query: str):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(urllib.request.Request(f"{server.url}uploads?{query}", b"data"))


def test_an_upload_that_ends_early_leaves_nothing(server: Server):
    request = urllib.request.Request(f"{server.url}uploads?name=a.mp4&size=9", b"data")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)
    assert "a.mp4" not in server.files()


def test_what_a_killed_page_left_behind_is_removed(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    old, new = tmp_path / "m3dfel-page-old", tmp_path / "m3dfel-page-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "secret.mp4").touch()
    os.utime(old, (0, 0))
    with running_page(Recognizer, "127.0.0.1", free_port(), max_minutes=10, max_mb=500):
        assert not old.exists()
        assert new.exists()
