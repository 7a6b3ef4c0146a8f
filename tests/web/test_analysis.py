import json
from pathlib import Path

import pytest

from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import probe
from m3dfel.web.analysis import Analysis, UnsuitableVideo, analyze
from small_videos import ScriptedDetector, small_model


def one_face() -> Recognizer:
    return Recognizer(small_model(), detector=ScriptedDetector((0, set(range(50)))))


def do_nothing(step: str, progress: float) -> None:
    pass


@pytest.fixture
def analysis(noise: Path) -> Analysis:
    return analyze(noise, one_face(), 60, do_nothing)


def test_everything_that_can_be_downloaded_lies_beside_the_video(analysis: Analysis, noise: Path):
    names = {name: path.name for name, path in analysis.files.items()}
    assert names == {
        "video": "noise_annotated.mp4",
        "csv": "noise.csv",
        "json": "noise.json",
        "srt": "noise.srt",
        "vtt": "noise.vtt",
        "eaf": "noise.eaf",
    }
    assert all(
        path.parent == noise.parent and path.stat().st_size for path in analysis.files.values()
    )
    assert probe(analysis.files["video"]).duration_s == pytest.approx(2)
    assert analysis.duration_s == pytest.approx(2)
    assert Prediction.load(analysis.files["json"]).clips.equals(analysis.prediction.clips)


def test_downloads_do_not_name_the_folder_on_the_server(analysis: Analysis):
    assert json.loads(analysis.files["json"].read_text())["source"] == "noise.mp4"
    assert 'RELATIVE_MEDIA_URL="noise.mp4"' in analysis.files["eaf"].read_text()


def test_every_person_and_moment_has_a_picture(analysis: Analysis):
    assert [view.person for view in analysis.portraits] == [1]
    views = [*analysis.portraits, *(moment.view for moment in analysis.moments)]
    assert analysis.pictures.keys() == set(views)


def test_progress_never_goes_back_and_ends_at_one(noise: Path, capfd):
    recognizer = Recognizer(small_model(), detector=ScriptedDetector((0, set(range(50)))))
    reports: list[tuple[str, float]] = []
    analyze(noise, recognizer, 60, lambda *report: reports.append(report))
    steps, progress = zip(*reports, strict=True)
    assert list(dict.fromkeys(steps)) == ["reading", "drawing"]
    assert list(progress) == sorted(progress)
    assert progress[0] == 0
    assert progress[-1] == pytest.approx(1, abs=0.03)
    assert "reading" not in capfd.readouterr().err, "on the page, not in the terminal"


@pytest.mark.parametrize("stopped_step", ["reading", "drawing"])
def test_the_work_can_be_stopped_at_any_frame(noise: Path, stopped_step: str):
    class Stop(Exception):  # noqa: N818
        pass

    def report(step: str, progress: float) -> None:
        if step == stopped_step:
            raise Stop

    with pytest.raises(Stop):
        analyze(noise, one_face(), 60, report)
    assert [path.name for path in noise.parent.iterdir()] == ["noise.mp4"]


def test_what_cannot_be_shown_has_a_reason(noise: Path, tmp_path: Path):
    text = tmp_path / "text.mp4"
    text.write_text("Not a video, but a text.\n" * 20)
    nobody = Recognizer(small_model(), detector=ScriptedDetector())
    for video, recognizer, max_s, reason in (
        (text, one_face(), 60, "not_a_video"),
        (noise, nobody, 60, "no_face"),
        (noise, one_face(), 1.9, "too_long"),
    ):
        with pytest.raises(UnsuitableVideo) as caught:
            analyze(video, recognizer, max_s, do_nothing)
        assert str(caught.value) == reason


def test_a_length_that_the_file_does_not_state_is_measured(noise: Path, monkeypatch):
    """As in recordings of a camera."""
    unstated = probe(noise).__class__(96, 96, 25.0, None, None, 0)
    monkeypatch.setattr("m3dfel.web.analysis.probe", lambda path: unstated)
    with pytest.raises(UnsuitableVideo, match="too_long"):
        analyze(noise, one_face(), 1.5, do_nothing)
    assert analyze(noise, one_face(), 60, do_nothing).duration_s == pytest.approx(2, abs=0.05)
