import json
import os
import signal
import threading
from pathlib import Path

import pandas as pd
import pytest

from m3dfel.errors import InputError
from m3dfel.live import session as live
from m3dfel.live.session import run_live
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import Frame, read_video
from small_videos import ScriptedDetector, noise_video, small_model

FRAMES = 40


def recognizer(frames: int = FRAMES) -> Recognizer:
    return Recognizer(
        small_model(), detector=ScriptedDetector((0, set(range(frames)))), smooth_s=0.1
    )


def lines_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_lines_of_json_are_the_table_of_a_prediction(film: Path, capsys):
    run_live(recognizer(), str(film), lines=True)
    output = capsys.readouterr()
    records = lines_of(output.out)
    clips = recognizer()(film).clips
    columns = ["track", "start_s", "end_s", "emotion", "confidence", "mark"]
    pd.testing.assert_frame_equal(pd.DataFrame(records)[columns], clips[columns])
    assert all(len(record["box"]) == 4 for record in records)
    assert "█" not in output.err


def test_a_recording_is_the_annotated_video_of_what_was_seen(film: Path, tmp_path: Path, capsys):
    run_live(recognizer(), str(film), lines=True, recording=tmp_path / "out" / "me.mp4")
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["me.mp4"]
    frames, original = read_video(tmp_path / "out" / "me.mp4"), read_video(film)
    times_s = [frame.time_s for frame in frames]
    assert times_s == pytest.approx([frame.time_s for frame in original], abs=1e-3)


def test_a_recording_replaces_neither_its_source_nor_a_video_of_the_user(
    film: Path, tmp_path: Path
):
    content = film.read_bytes()
    with pytest.raises(InputError, match="would overwrite the video it is made from"):
        run_live(recognizer(), str(film), recording=film, overwrite=True)
    (tmp_path / "me.mp4").write_bytes(content)
    with pytest.raises(InputError, match=r"me\.mp4 was not written by m3dfel"):
        run_live(recognizer(), str(film), recording=tmp_path / "me.mp4")
    assert film.read_bytes() == (tmp_path / "me.mp4").read_bytes() == content


def test_ctrl_c_ends_cleanly_and_keeps_what_was_recorded(tmp_path: Path, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGINT)
    threads = threading.active_count()

    def camera(number: int):
        picture = noise_video(1, side=128)[0].image
        for index in range(10_000):
            if index == 60:
                os.kill(os.getpid(), signal.SIGINT)
            yield Frame(index, index / 25, picture)

    monkeypatch.setattr(live, "read_camera", camera)
    run_live(recognizer(10_000), 0, lines=True, recording=tmp_path / "me.mp4")
    seen = len(list(read_video(tmp_path / "me.mp4")))
    assert 60 <= seen < 200
    assert lines_of(capsys.readouterr().out)[-1]["end_s"] == pytest.approx(seen / 25, abs=0.081)
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["me.mp4"]
    assert signal.getsignal(signal.SIGINT) == before
    assert threading.active_count() == threads


def test_a_camera_that_fails_leaves_what_was_recorded(tmp_path: Path, monkeypatch, capsys):
    def camera(number: int):
        yield from noise_video(30, side=128)
        raise InputError("camera 0 sends no more pictures")

    monkeypatch.setattr(live, "read_camera", camera)
    with pytest.raises(InputError, match="no more pictures"):
        run_live(recognizer(), 0, lines=True, recording=tmp_path / "me.mp4")
    assert len(list(read_video(tmp_path / "me.mp4"))) == 30


def test_a_reader_that_goes_away_ends_the_stream(film: Path, monkeypatch):
    class ClosedPipe:
        def write(self, text: str) -> None:
            raise BrokenPipeError

        def flush(self) -> None:
            pass

        def fileno(self) -> int:
            return self.number

        number = os.open(os.devnull, os.O_WRONLY)

    monkeypatch.setattr("sys.stdout", ClosedPipe())
    run_live(recognizer(), str(film), lines=True)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"recording": Path("me.avi")}, "give a name that ends in .mp4"),
        ({"recording": Path(__file__) / "me.mp4"}, "cannot write to"),
    ],
)
def test_a_recording_that_cannot_be_written_is_an_input_error(settings, sentence, film: Path):
    with pytest.raises(InputError, match=sentence):
        run_live(recognizer(), str(film), **settings)
