import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import probe
from m3dfel.web.analysis import Analysis, Unsuitable, analyze
from m3dfel.web.result import render_result
from small_videos import ScriptedDetector, small_model


def one_face() -> Recognizer:
    return Recognizer(small_model(), detector=ScriptedDetector((0, set(range(50)))))


def do_nothing(step: str, progress: float) -> None:
    pass


def analyzed(video: Path, recognizer: Recognizer | None = None, max_s=60.0, report=do_nothing):
    results = video.with_name("results")
    return analyze(video, results, recognizer or one_face(), max_s, "en", report)


@pytest.fixture
def analysis(noise: Path) -> Analysis:
    return analyzed(noise)


def test_everything_can_be_downloaded_under_the_name_of_the_video(analysis: Analysis):
    names = {name: path.name for name, path in analysis.files.items()}
    assert names == {
        "video": "noise_annotated.mp4",
        "png": "noise.png",
        "xlsx": "noise.xlsx",
        "csv": "noise.csv",
        "json": "noise.json",
        "srt": "noise.srt",
        "vtt": "noise.vtt",
        "eaf": "noise.eaf",
        "boris": "noise_boris.csv",
        "zip": "noise_m3dfel.zip",
    }
    with ZipFile(analysis.files["zip"]) as archive:
        assert set(archive.namelist()) == set(names.values()) - {"noise_m3dfel.zip"}
    assert probe(analysis.files["video"]).duration_s == pytest.approx(2)
    assert analysis.prediction.duration_s == pytest.approx(2)
    assert not analysis.is_cut_off
    assert Prediction.load(analysis.files["json"]).clips.equals(analysis.prediction.clips)


def test_downloads_do_not_name_the_folder_on_the_server(analysis: Analysis):
    assert json.loads(analysis.files["json"].read_text())["source"] == "noise.mp4"
    folder = str(analysis.files["json"].parents[1])
    for name in ("json", "csv", "srt", "vtt", "eaf", "boris"):
        assert folder not in analysis.files[name].read_text()
    assert 'RELATIVE_MEDIA_URL="noise.mp4"' in analysis.files["eaf"].read_text()


def test_a_file_that_ends_early_is_cut_off(noise: Path, monkeypatch):
    stated = probe(noise).__class__(96, 96, 25.0, 10.0)
    monkeypatch.setattr("m3dfel.web.analysis.probe", lambda path: stated)
    analysis = analyzed(noise)
    assert analysis.is_cut_off
    assert "The file ends after 2.0 of 10.0 s" in render_result(analysis, "j0b", "en")


def test_every_person_and_moment_has_a_picture(analysis: Analysis):
    assert [view.person for view in analysis.portraits] == [1]
    views = [*analysis.portraits, *(moment.view for moment in analysis.moments)]
    assert analysis.pictures.keys() == set(views)


def test_progress_never_goes_back_and_ends_at_one(noise: Path, capfd):
    recognizer = Recognizer(small_model(), detector=ScriptedDetector((0, set(range(50)))))
    reports: list[tuple[str, float]] = []
    analyzed(noise, recognizer, report=lambda *report: reports.append(report))
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
        analyzed(noise, report=report)
    assert not list(noise.parent.rglob("*_annotated.mp4"))


def test_what_cannot_be_shown_has_a_reason(noise: Path, tmp_path: Path):
    text = tmp_path / "text.mp4"
    text.write_text("Not a video, but a text.\n" * 20)
    nobody = Recognizer(small_model(), detector=ScriptedDetector())
    for video, recognizer, max_s, reason in (
        (text, one_face(), 60, "unreadable"),
        (noise, nobody, 60, "no_face"),
        (noise, one_face(), 1.9, "too_long"),
    ):
        with pytest.raises(Unsuitable) as caught:
            analyzed(video, recognizer, max_s)
        assert caught.value.reason == reason


def test_a_picture_larger_than_8k_is_refused_before_it_is_decoded(noise: Path, monkeypatch):
    huge = probe(noise).__class__(16384, 8640, 25.0, 0.1)
    monkeypatch.setattr("m3dfel.web.analysis.probe", lambda path: huge)
    with pytest.raises(Unsuitable) as caught:
        analyzed(noise)
    assert caught.value.reason == "too_many_pixels"


def test_a_length_that_the_file_does_not_state_is_measured(noise: Path, monkeypatch):
    """As in recordings of a camera."""
    unstated = probe(noise).__class__(96, 96, 25.0, None)
    monkeypatch.setattr("m3dfel.web.analysis.probe", lambda path: unstated)
    with pytest.raises(Unsuitable, match="too_long"):
        analyzed(noise, max_s=1.5)
    assert analyzed(noise).prediction.duration_s == pytest.approx(2, abs=0.05)
