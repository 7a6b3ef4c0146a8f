import json
import math
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction, read_header
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import Frame, read_video
from m3dfel.video.encode import write_video
from small_videos import ScriptedDetector, noise_video, small_model

SPAN_COLUMNS = ["person", "start_s", "end_s", "duration_s", "emotion", "confidence"]
P, RAW = ([f"{kind}_{e}" for e in EMOTIONS] for kind in ("p", "raw"))
CLIP_COLUMNS = ["track", "person", "start_s", "end_s", "emotion", "confidence", *P]


def test_saved_files_hold_the_whole_prediction(prediction: Prediction, tmp_path: Path):
    prediction.source = "holiday.mp4"
    prediction.save(tmp_path / "out")
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    endings = (".csv", ".json", ".png", ".xlsx", "_clips.csv", "_clips.parquet")
    assert names == [f"holiday{ending}" for ending in endings]
    spans = pd.read_csv(tmp_path / "out" / "holiday.csv")
    assert list(spans.columns) == SPAN_COLUMNS
    pd.testing.assert_frame_equal(spans, prediction.spans, check_dtype=False)
    clips = pd.read_csv(tmp_path / "out" / "holiday_clips.csv")
    assert list(clips.columns) == CLIP_COLUMNS
    pd.testing.assert_frame_equal(clips, prediction.clips[CLIP_COLUMNS], check_dtype=False)
    sheets = pd.read_excel(tmp_path / "out" / "holiday.xlsx", sheet_name=None)
    pd.testing.assert_frame_equal(sheets["spans"], spans, check_dtype=False)
    pd.testing.assert_frame_equal(sheets["clips"], clips, check_dtype=False)

    parquet = pd.read_parquet(tmp_path / "out" / "holiday_clips.parquet")
    second = parquet[parquet["track"] == 2].iloc[0]
    assert second[["x1", "y1", "x2", "y2"]].tolist() == pytest.approx([70, 4, 110, 44])
    own = prediction.instances[prediction.instances["clip"] == second.name]
    assert list(second["evidence_fear"]) == pytest.approx(own["evidence_fear"].tolist())

    record = json.loads((tmp_path / "out" / "holiday.json").read_text())
    assert record["source"] == "holiday.mp4"
    assert record["labels"] == list(EMOTIONS)
    assert record["clips"][0]["x2"] == pytest.approx(40)
    loaded = Prediction.load(tmp_path / "out" / "holiday.json")
    for name in ("clips", "instances", "frames", "spans"):
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(prediction, name))
    assert loaded.duration_s == prediction.duration_s == 4


def test_a_prediction_without_faces_is_saved_with_its_note(tmp_path: Path):
    prediction = Recognizer(small_model(), detector=ScriptedDetector())(noise_video(8))
    assert list(prediction.clips.columns) == [*CLIP_COLUMNS, "mark", *RAW]
    assert list(prediction.frames.columns[-7:]) == P
    assert prediction.duration_s == 0.32
    assert prediction.clips.empty
    assert "no face was found in frames" in prediction.note
    prediction.save(tmp_path)
    assert (tmp_path / "frames.csv").read_text().strip() == ",".join(SPAN_COLUMNS)
    assert pd.read_parquet(tmp_path / "frames_clips.parquet").empty
    assert (tmp_path / "frames.png").exists()
    assert Prediction.load(tmp_path / "frames.json").note == prediction.note


def test_an_unreadable_face_is_marked_and_gets_no_emotion(tmp_path: Path):
    """Blank for a second, then noise: only the noise gets an answer."""
    blank = [Frame(i, i / 25, np.full((64, 64, 3), 90, np.uint8)) for i in range(25)]
    noise = [Frame(25 + f.index, 1 + f.time_s, f.image) for f in noise_video(25, side=64)]
    detector = ScriptedDetector((0, set(range(50))))
    prediction = Recognizer(small_model(), detector=detector)([*blank, *noise])
    first, last = prediction.clips.iloc[0], prediction.clips.iloc[-1]
    assert (first["mark"], last["mark"]) == ("blurred", "")
    assert pd.isna(first["emotion"])
    assert pd.isna(first["p_fear"])
    assert last["emotion"] in EMOTIONS
    assert prediction.frames["mark"].tolist() == ["blurred"] * 25 + [""] * 25
    prediction.save(tmp_path)
    for name in ("frames.csv", "frames_clips.csv"):
        assert pd.read_csv(tmp_path / name)["emotion"].iloc[0] == "blurred"
    assert prediction.frames.loc[0, "p_fear"] != prediction.frames.loc[0, "p_fear"], "is missing"
    assert prediction.frames[P].iloc[-1].sum() == pytest.approx(1, abs=1e-5)
    assert "NaN" not in (tmp_path / "frames.json").read_text()
    loaded = Prediction.load(tmp_path / "frames.json")
    pd.testing.assert_frame_equal(loaded.clips, prediction.clips)


def test_a_clip_below_the_model_s_confidence_is_uncertain():
    model = small_model()
    for confidence, mark in ((0.0, ""), (1.0, "uncertain")):
        model.min_confidence = confidence
        table = Recognizer(model)(noise_video(20), aligned=True).clips
        assert set(table["mark"]) == {mark}
        assert table["emotion"].isin(EMOTIONS).all()


def test_saving_to_an_unusable_folder_is_an_input_error(prediction: Prediction, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        prediction.save(tmp_path / "file" / "out")


@pytest.mark.parametrize("name", ["mine.csv", "mine_clips.csv", "mine.xlsx", "mine.parquet"])
def test_the_name_of_a_file_chooses_its_format(name: str, prediction: Prediction, tmp_path: Path):
    prediction.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    kind = Path(name).suffix
    read = {".csv": pd.read_csv, ".xlsx": pd.read_excel, ".parquet": pd.read_parquet}[kind]
    whole = name in ("mine.csv", "mine.xlsx")
    assert len(read(tmp_path / name)) == len(prediction.spans if whole else prediction.clips)


def test_a_file_of_an_unknown_kind_is_an_input_error(prediction: Prediction, tmp_path: Path):
    with pytest.raises(InputError, match=r"ends in one of \.csv, \.xlsx, \.json, "):
        prediction.save(tmp_path / "mine.doc")


def test_notebooks_show_the_timeline(prediction: Prediction):
    html = prediction._repr_html_()
    data = html.partition("data:image/png;base64,")[2].removesuffix('">')
    assert b64decode(data).startswith(b"\x89PNG")
    assert "2 persons" in html or "3 persons" in html


def test_loading_another_file_is_an_input_error(tmp_path: Path):
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match=r"other\.json cannot be read as a prediction"):
        Prediction.load(tmp_path / "other.json")


def test_a_loaded_prediction_is_drawn_into_its_video_without_a_model(tmp_path: Path):
    video = tmp_path / "film.mp4"
    write_video(video, [frame.image for frame in noise_video(50)], 25)
    Recognizer(small_model(), detector=ScriptedDetector((0, set(range(40)))))(video).save(tmp_path)
    Prediction.load(tmp_path / "film.json").annotate(tmp_path / "annotated.mp4")
    frames = list(read_video(tmp_path / "annotated.mp4"))
    assert [frame.time_s for frame in frames] == [frame.time_s for frame in read_video(video)]


def test_frames_in_memory_are_annotated_when_given(tmp_path: Path):
    frames = noise_video(10)
    prediction = Recognizer(small_model())(frames, aligned=True)
    prediction.annotate(tmp_path / "annotated.mp4", frames, progress=False)
    assert len(list(read_video(tmp_path / "annotated.mp4"))) == 10
    with pytest.raises(InputError, match="give them as the source"):
        prediction.annotate(tmp_path / "again.mp4")
    with pytest.raises(InputError, match="frames has no frames to write"):
        prediction.annotate(tmp_path / "again.mp4", iter([]))


def test_crops_are_the_faces_of_all_frames():
    frames = noise_video(40)
    prediction = Recognizer(small_model(), detector=ScriptedDetector((0, set(range(10, 40)))))(
        frames
    )
    crops = list(prediction.crops(frames))
    assert [row for row, _ in crops] == list(prediction.frames.index)
    row, crop = crops[-1]
    left, top, right, bottom = prediction.frames.loc[row, ["x1", "y1", "x2", "y2"]].astype(int)
    assert np.array_equal(crop, frames[39].image[top:bottom, left:right])


def test_it_shows_itself_in_a_line():
    prediction = Recognizer(small_model())(noise_video(25), aligned=True)
    assert repr(prediction) == "Prediction('frames': 1 person in 1 track, 3 clips)"


def test_a_prediction_without_a_readable_face_is_loaded_as_it_was(tmp_path: Path):
    blank = [Frame(i, i / 25, np.full((64, 64, 3), 90, np.uint8)) for i in range(25)]
    prediction = Recognizer(small_model(), detector=ScriptedDetector((0, set(range(25)))))(blank)
    prediction.save(tmp_path, ["json"])
    assert prediction.clips["emotion"].isna().all()
    assert Prediction.load(tmp_path / "frames.json").clips.equals(prediction.clips)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["clips"][0].update(end_s=1e300),
        lambda record: record["clips"][0].update(start_s=-1),
        lambda record: record["clips"][0].update(start_s=None),
        lambda record: record["clips"][0].update(start_s=math.nan),
        lambda record: record["clips"][0].update(end_s=math.inf),
        lambda record: record["frames"][0].update(time_s=math.nan),
        lambda record: record["frames"][0].update(x1=math.nan),
        lambda record: record["clips"][0].update(mark=5),
        lambda record: record["clips"][0].update(mark="odd"),
        lambda record: record["clips"][0].update(emotion="odd"),
        lambda record: record["clips"][0].update(emotion=None, mark=""),
        lambda record: record.update(note="\ud800"),
        lambda record: record["frames"][0].update(x1="left"),
        lambda record: record["frames"][0].update(track=None),
        lambda record: record["instances"][0].update(evidence_fear=math.inf),
        lambda record: record["clips"][0].update(raw_fear=10**30),
        lambda record: record["frames"][0].update(x1=10**30),
        lambda record: record["frames"][0].update(x1="5"),
        lambda record: record.update(source=5),
        lambda record: record.update(source="a\0.mp4"),
        lambda record: record.update(labels=[]),
        lambda record: record.update(labels=[["fear"]]),
        lambda record: record.update(labels=["fear"] * len(record["labels"])),
        lambda record: record.update(movements=["jawOpen", "jawOpen"]),
        lambda record: record.update(duration_s="long"),
        lambda record: record.update(settings=[]),
    ],
)
def test_a_prediction_with_impossible_values_is_an_input_error(
    change: Callable[[dict[str, Any]], None], prediction: Prediction, tmp_path: Path
):
    file = tmp_path / "mine.json"
    prediction.save(file)
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"mine\.json cannot be read as a prediction"):
        Prediction.load(file)


def test_a_file_that_is_nested_without_end_is_an_input_error(tmp_path: Path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"deep\.json cannot be read as a prediction"):
        Prediction.load(tmp_path / "deep.json")


@pytest.mark.parametrize("layout", [{"indent": 4}, {"separators": (",", ":")}, {"sort_keys": True}])
def test_a_header_is_read_however_the_file_is_laid_out(
    layout: dict[str, Any], prediction: Prediction, tmp_path: Path
):
    file = tmp_path / "film.json"
    prediction = replace(prediction, note='a note, "clips": [')
    prediction.save(file)
    file.write_text(json.dumps(json.loads(file.read_text()), **layout))
    header = read_header(file)
    assert header is not None
    assert (header.note, header.labels) == (prediction.note, prediction.labels)
    pd.testing.assert_frame_equal(header.spans, prediction.spans)


def test_a_header_with_impossible_spans_is_none(prediction: Prediction, tmp_path: Path):
    prediction.save(tmp_path / "film.json")
    record = json.loads((tmp_path / "film.json").read_text())
    changes = {"person": None}, {"person": 10**30}, {"end_s": 1e300}, {"emotion": 5}
    for change in *changes, {"duration_s": "long"}:
        spans = [record["spans"][0] | change]
        (tmp_path / "film.json").write_text(json.dumps(record | {"spans": spans}))
        assert read_header(tmp_path / "film.json") is None
