import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import Frame, read_video
from m3dfel.video.encode import write_video
from small_videos import ScriptedDetector, noise_video, small_model

CSV_COLUMNS = [
    *("track", "person", "start_s", "end_s", "emotion", "confidence"),
    *(*(f"p_{e}" for e in EMOTIONS), "mark"),
]
RAW = [f"raw_{e}" for e in EMOTIONS]


def test_saved_files_hold_the_whole_prediction(prediction: Prediction, tmp_path: Path):
    prediction.source = "holiday.mp4"
    prediction.save(tmp_path / "out")
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == [f"holiday.{suffix}" for suffix in ("csv", "json", "parquet", "png")]
    table = pd.read_csv(tmp_path / "out" / "holiday.csv")
    assert list(table.columns) == CSV_COLUMNS
    table["mark"] = table["mark"].astype(object).fillna("")
    pd.testing.assert_frame_equal(table, prediction.clips[CSV_COLUMNS], check_dtype=False)

    parquet = pd.read_parquet(tmp_path / "out" / "holiday.parquet")
    second = parquet[parquet["track"] == 2].iloc[0]
    assert second[["x1", "y1", "x2", "y2"]].tolist() == pytest.approx([70, 4, 110, 44])
    own = prediction.instances[prediction.instances["clip"] == second.name]
    assert list(second["evidence_fear"]) == pytest.approx(own["evidence_fear"].tolist())

    record = json.loads((tmp_path / "out" / "holiday.json").read_text())
    assert record["source"] == "holiday.mp4"
    assert record["labels"] == list(EMOTIONS)
    assert record["clips"][0]["x2"] == pytest.approx(40)
    loaded = Prediction.load(tmp_path / "out" / "holiday.json")
    for name in ("clips", "instances", "frames"):
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(prediction, name))


def test_a_prediction_without_faces_is_saved_with_its_note(tmp_path: Path):
    prediction = Recognizer(small_model(), detector=ScriptedDetector())(noise_video(8))
    assert list(prediction.clips.columns) == CSV_COLUMNS + RAW
    assert prediction.clips.empty
    assert "no face was found in frames" in prediction.note
    prediction.save(tmp_path)
    assert (tmp_path / "frames.csv").read_text().strip() == ",".join(CSV_COLUMNS)
    assert pd.read_parquet(tmp_path / "frames.parquet").empty
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
    prediction.annotate(tmp_path / "annotated.mp4", frames)
    assert len(list(read_video(tmp_path / "annotated.mp4"))) == 10


def test_it_shows_itself_in_a_line():
    prediction = Recognizer(small_model())(noise_video(25), aligned=True)
    assert repr(prediction) == "Prediction('frames': 1 person in 1 track, 3 clips)"


def test_a_prediction_without_a_readable_face_is_loaded_as_it_was(tmp_path: Path):
    blank = [Frame(i, i / 25, np.full((64, 64, 3), 90, np.uint8)) for i in range(25)]
    prediction = Recognizer(small_model(), detector=ScriptedDetector((0, set(range(25)))))(blank)
    prediction.save(tmp_path, ["json"])
    assert prediction.clips["emotion"].isna().all()
    assert Prediction.load(tmp_path / "frames.json").clips.equals(prediction.clips)
