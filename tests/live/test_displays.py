from pathlib import Path

import pytest

from m3dfel.errors import InputError
from m3dfel.live.session import run_live
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import read_video
from small_videos import ScriptedDetector, small_model


@pytest.fixture
def recognizer() -> Recognizer:
    detector = ScriptedDetector((0, set(range(40))))
    return Recognizer(small_model(), detector=detector, smooth_s=0.1)


def test_bars_show_every_emotion_of_every_face(film: Path, recognizer, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    run_live(recognizer, str(film))
    output = capsys.readouterr()
    assert output.out == ""
    assert "film.mp4: answers lag 0.6 s behind; Ctrl+C ends" in " ".join(output.err.split())
    assert "face 1" in output.err
    for emotion in ("happiness", "fear"):
        assert emotion in output.err
    run_live(Recognizer(small_model(), detector=ScriptedDetector()), str(film))
    assert "no face" in capsys.readouterr().err


class FakeWindows:
    """The windows of OpenCV, as far as they are used; the user presses q after some frames."""

    def __init__(self, frames: int) -> None:
        self.frames, self.pictures = frames, []

    def install(self, monkeypatch, build: str = "GUI:   QT5") -> None:
        from m3dfel.live.displays import cv2

        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setattr(cv2, "getBuildInformation", lambda: build)
        monkeypatch.setattr(cv2, "namedWindow", lambda *words: None)
        monkeypatch.setattr(cv2, "destroyAllWindows", lambda: None)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *words: 1.0)
        monkeypatch.setattr(cv2, "imshow", lambda name, picture: self.pictures.append(picture))
        monkeypatch.setattr(cv2, "waitKey", self.key)

    def key(self, delay: int) -> int:
        return ord("q") if len(self.pictures) >= self.frames else -1


def test_the_window_shows_boxes_and_closes_with_q(film: Path, recognizer, monkeypatch):
    windows = FakeWindows(frames=20)
    windows.install(monkeypatch)
    run_live(recognizer, str(film), window=True)
    assert 20 <= len(windows.pictures) <= 40
    original = [frame.image for frame in read_video(film)][10][:, :, ::-1]
    changed = (windows.pictures[10] != original).any(2)
    assert changed[:, :60].any()
    assert not changed[60:].any()


@pytest.mark.parametrize(("build", "sentence"), [("GUI:  NONE", "opencv-python"), ("", "screen")])
def test_without_windows_there_is_one_clear_error(
    build, sentence, film: Path, recognizer, monkeypatch
):
    FakeWindows(1).install(monkeypatch, build)
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(InputError, match=sentence):
        run_live(recognizer, str(film), window=True)
