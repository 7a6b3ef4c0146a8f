import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pympi
import pytest
import webvtt

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report import exports
from m3dfel.report.exports import FORMATS
from m3dfel.report.spans import emotion_spans, with_probabilities
from m3dfel.video.encode import write_video
from small_videos import ScriptedDetector, noise_video, small_model

P = [f"p_{emotion}" for emotion in EMOTIONS]


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("film") / "two faces.mp4"
    write_video(path, [frame.image for frame in noise_video(100, side=128)], 25)
    return path


@pytest.fixture(scope="module")
def two_faces(film: Path) -> Prediction:
    """One face from 0 to 2 s; one from 1 to 4 s, which cannot be read from 2 to 3 s."""
    detector = ScriptedDetector((0, set(range(50))), (70, set(range(25, 100))))
    prediction = Recognizer(small_model(), detector=detector)(film)
    clips = prediction.clips
    hidden = (clips["track"] == 2) & clips["start_s"].between(1.8, 2.5)
    clips.loc[hidden, ["emotion", "confidence", *P]] = None
    clips.loc[hidden, "mark"] = "turned away"
    return replace(
        prediction, frames=with_probabilities(prediction.frames, clips, prediction.labels)
    )


def expected_spans(prediction: Prediction, face: int) -> list[tuple[float, float, str]]:
    clips = prediction.clips[prediction.clips["track"] == face]
    return [(start_s, end_s, word) for start_s, end_s, word, _ in emotion_spans(clips)]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_one_file_also_without_a_face(
    name: str, two_faces: Prediction, tmp_path: Path
):
    nobody = Recognizer(small_model(), detector=ScriptedDetector())(noise_video(8))
    for prediction in (two_faces, nobody):
        prediction.save(tmp_path, [name])
        (path,) = tmp_path.iterdir()
        assert path.name == prediction.stem + FORMATS[name].ending
        path.unlink()


def test_an_unknown_format_is_an_input_error_before_anything_is_written(
    two_faces: Prediction, tmp_path: Path
):
    with pytest.raises(InputError, match="unknown format 'xls': use one of csv, clips, xlsx, json"):
        two_faces.save(tmp_path, ["csv", "xls"])
    assert not list(tmp_path.iterdir())


def test_srt_and_vtt_say_the_same_without_overlap(two_faces: Prediction, tmp_path: Path):
    two_faces.save(tmp_path, ["srt", "vtt"])
    vtt = webvtt.read(str(tmp_path / "two faces.vtt"))
    srt = webvtt.from_srt(str(tmp_path / "two faces.srt"))
    cues = [(cue.start, cue.end, cue.text) for cue in vtt]
    assert cues == [(cue.start, cue.end, cue.text) for cue in srt]
    assert all(before[1] <= after[0] for before, after in pairwise(cues))
    assert cues[0][0] == "00:00:00.000"
    assert cues[-1][1] == "00:00:04.000"
    assert re.fullmatch(r"1: \w+ \d+ %", cues[0][2])
    assert any(re.fullmatch(r"1: \w+ \d+ %\n2: \w+ \d+ %", text) for _, _, text in cues)
    assert any("2: (turned away)" in text for _, _, text in cues)


def test_subtitles_show_what_the_timeline_shows(two_faces: Prediction, tmp_path: Path):
    two_faces.save(tmp_path, ["vtt"])
    cues = list(webvtt.read(str(tmp_path / "two faces.vtt")))
    for face in (1, 2):
        for start_s, end_s, word in expected_spans(two_faces, face):
            middle_s = (start_s + end_s) / 2
            (text,) = [
                cue.text for cue in cues if _seconds(cue.start) <= middle_s < _seconds(cue.end)
            ]
            (line,) = [line for line in text.splitlines() if line.startswith(f"{face}: ")]
            assert word in line


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def test_a_single_face_is_not_numbered_in_subtitles(tmp_path: Path):
    prediction = Recognizer(small_model())(noise_video(30), aligned=True)
    prediction.save(tmp_path, ["srt"])
    lines = (tmp_path / "frames.srt").read_text().splitlines()
    assert lines[0] == "1"
    assert re.fullmatch(r"\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}", lines[1])
    assert re.fullmatch(r"\w+ \d+ %", lines[2])


def test_elan_reads_a_tier_for_each_person_linked_to_the_video(
    two_faces: Prediction, film: Path, tmp_path: Path
):
    two_faces.save(tmp_path, ["eaf"])
    two_faces.save(tmp_path, ["eaf"])
    assert [path.name for path in tmp_path.iterdir()] == ["two faces.eaf"], "no backup is left"
    document = pympi.Eaf(str(tmp_path / "two faces.eaf"))
    assert sorted(document.get_tier_names()) == ["person 1", "person 2"]
    for face in (1, 2):
        annotations = sorted(document.get_annotation_data_for_tier(f"person {face}"))
        assert [(start, end, word) for start, end, word, *_ in annotations] == [
            (round(1000 * start_s), round(1000 * end_s), word)
            for start_s, end_s, word in expected_spans(two_faces, face)
        ]
    (media,) = document.media_descriptors
    assert media["MEDIA_URL"] == film.as_uri()
    assert (tmp_path / media["RELATIVE_MEDIA_URL"]).samefile(film)
    assert media["MIME_TYPE"] == "video/mp4"


def test_elan_document_on_another_drive_links_the_whole_path(
    two_faces: Prediction, film: Path, tmp_path: Path, monkeypatch
):
    def fail(*_):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(exports.os.path, "relpath", fail)
    two_faces.save(tmp_path, ["eaf"])
    (media,) = pympi.Eaf(str(tmp_path / "two faces.eaf")).media_descriptors
    assert media["RELATIVE_MEDIA_URL"] == film.as_posix()


def test_elan_document_of_frames_in_memory_links_no_video(tmp_path: Path):
    Recognizer(small_model())(noise_video(30), aligned=True).save(tmp_path, ["eaf"])
    assert pympi.Eaf(str(tmp_path / "frames.eaf")).media_descriptors == []


def test_boris_table_escapes_names_that_are_not_utf_8(two_faces: Prediction, tmp_path: Path):
    replace(two_faces, source="old\udcff.mp4").save(tmp_path, ["boris"])
    (written,) = tmp_path.rglob("*_boris.csv")
    assert set(pd.read_csv(written)["Media file name"]) == {r"old\xff.mp4"}


def test_boris_table_pairs_starts_and_stops(two_faces: Prediction, tmp_path: Path):
    two_faces.save(tmp_path, ["boris"])
    table = pd.read_csv(tmp_path / "two faces_boris.csv")
    assert table["Time"].is_monotonic_increasing
    assert set(table["Media file name"]) == {"two faces.mp4"}
    for face in (1, 2):
        events = table[table["Subject"] == f"person {face}"]
        pairs = [
            events[events["Behavior type"] == kind][["Behavior", "Time"]].to_numpy().tolist()
            for kind in ("START", "STOP")
        ]
        assert [
            (start_s, stop_s, word) for (word, start_s), (_, stop_s) in zip(*pairs, strict=True)
        ] == [
            (pytest.approx(start_s, abs=1e-3), pytest.approx(end_s, abs=1e-3), word)
            for start_s, end_s, word in expected_spans(two_faces, face)
        ]
