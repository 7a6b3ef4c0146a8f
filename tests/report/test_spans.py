import pandas as pd
import pytest

from m3dfel.report.spans import span_table
from made_up import made_up_prediction


def rows(prediction) -> list[tuple]:
    table = span_table(prediction)
    return list(table[["person", "start_s", "end_s", "emotion"]].itertuples(index=False, name=None))


def test_the_spans_of_each_person_add_up_to_the_video():
    prediction = made_up_prediction((0, 4), (1, 5), duration_s=10)
    assert rows(prediction) == [
        *[(1, 0, 2.25, "happiness"), (1, 2.25, 4, "fear"), (1, 4, 10, "no face")],
        *[(2, 0, 1, "no face"), (2, 1, 3.25, "happiness"), (2, 3.25, 5, "fear")],
        (2, 5, 10, "no face"),
    ]
    table = span_table(prediction)
    assert table.groupby("person")["duration_s"].sum().tolist() == [10, 10]
    assert table["confidence"].isna().tolist() == (table["emotion"] == "no face").tolist()


def test_clips_without_a_certain_emotion_say_why():
    prediction = made_up_prediction((0, 4))
    prediction.clips.loc[:1, ["emotion", "confidence"]] = None
    prediction.clips.loc[:1, "mark"] = "too small"
    prediction.clips.loc[2, "mark"] = "uncertain"
    table = span_table(prediction)
    assert table["emotion"].tolist() == ["too small", "uncertain", "fear"]
    assert table["confidence"].tolist() == pytest.approx([float("nan"), 0.7, 0.7], nan_ok=True)


def test_tracks_of_one_person_are_one_row_of_spans_without_overlap():
    """Tracks from 0 to 4 s, from a cut at 4 s on, and, by a slip, already from 7.9 s on."""
    prediction = made_up_prediction((0, 4), (4.001, 8), (7.9, 9), duration_s=9.015)
    prediction.clips["person"] = 1
    prediction.clips["emotion"] = "fear"
    prediction.clips.loc[prediction.clips["track"] == 2, "confidence"] = 0.9
    (row,) = span_table(prediction).itertuples(index=False)
    assert (row.start_s, row.end_s, row.duration_s) == (0, 9.015, 9.015)
    assert row.confidence == pytest.approx((0.7 * 5 + 0.9 * 4) / 9, abs=0.01)


def test_without_a_face_there_are_no_spans():
    table = span_table(made_up_prediction(duration_s=3))
    assert isinstance(table, pd.DataFrame)
    assert table.empty
