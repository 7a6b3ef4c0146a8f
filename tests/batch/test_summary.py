from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from m3dfel.batch.summary import find_predictions, summarize
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from small_videos import ScriptedDetector, noise_video, small_model


def three_emotions(prediction: Prediction) -> Prediction:
    """Person 1: happiness, sadness from 1 s, unreadable from 1.5 s. Person 2 is always angry."""
    clips = prediction.clips.copy()
    middle_s = (clips["start_s"] + clips["end_s"]) / 2
    clips["mark"], clips["emotion"] = "", "anger"
    one = clips["person"] == 1
    clips.loc[one, "emotion"] = "happiness"
    clips.loc[one & (middle_s > 1), "emotion"] = "sadness"
    clips.loc[one & (middle_s > 1.5), "mark"] = "turned away"
    clips.loc[one & (middle_s > 1.5), ["emotion", "confidence"]] = None
    clips.loc[clips["track"] == 3, "person"] = 2
    return replace(prediction, clips=clips)


def test_one_row_for_each_video_and_person(prediction: Prediction):
    nobody = Recognizer(small_model(), detector=ScriptedDetector())(noise_video(8))
    table = summarize([three_emotions(prediction), nobody])
    assert table["person"].tolist() == [1, 2, pd.NA]
    one, two, none = (row for _, row in table.iterrows())
    assert one["seen_s"] == pytest.approx(2, abs=0.01)
    assert one["time_happiness"] == pytest.approx(0.5, abs=0.06)
    assert one["time_sadness"] == pytest.approx(0.25, abs=0.06)
    assert one["time_turned_away"] == pytest.approx(0.25, abs=0.06)
    assert one["duration_s"] == 4
    assert one["seen_of_video"] == pytest.approx(0.5, abs=0.01)
    assert one["readable_of_seen"] == pytest.approx(1 - one["time_turned_away"], abs=1e-3)
    assert two["seen_s"] == pytest.approx(3, abs=0.01), "without the gap between the two tracks"
    assert two["time_anger"] == 1
    times = table.filter(like="time_").loc[:1]
    assert times.sum(axis=1).tolist() == pytest.approx([1, 1], abs=1e-3)
    assert [f"time_{e}" for e in EMOTIONS] == list(times.columns[:7])
    assert "no face was found" in none["note"]


def test_a_folder_without_predictions_is_an_input_error(tmp_path: Path):
    with pytest.raises(InputError, match="there is no prediction in"):
        find_predictions(tmp_path)


def test_a_file_is_summarized_like_its_prediction_without_reading_its_tables(
    prediction: Prediction, tmp_path: Path
):
    prediction.save(tmp_path / "film.json")
    whole = (tmp_path / "film.json").read_text()
    (tmp_path / "film.json").write_text(whole[: whole.index('"instances"')])
    from_file = summarize(find_predictions(tmp_path))
    pd.testing.assert_frame_equal(from_file, summarize([prediction]))
