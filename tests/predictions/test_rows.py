from dataclasses import replace

import numpy as np

from m3dfel.predictions.rows import TrackRows, build_prediction
from m3dfel.predictions.update import Update
from m3dfel.video.decode import Frame
from m3dfel.video.faces import Detection
from m3dfel.video.tracks import TrackedFace

LABELS = ("joy", "fear")


def rows_of(track: int, clips: int) -> TrackRows:
    """A track of three frames, with clips of 0.2 s of two instances, each 0.1 s after the last."""
    rows = TrackRows(track)
    image = np.zeros((8, 8, 3), np.uint8)
    for index in range(3):
        box = np.array([index, 0, index + 8, 8], np.float32)
        detection = Detection(box, 0.9, np.zeros((5, 2), np.float32))
        frame = Frame(index, index / 25, image)
        mark = "blurred" if index == 2 else ""
        rows.add_frame(TrackedFace(track, frame, detection, image, mark))
    for clip in range(clips):
        rows.add_clip(update(track, clip / 10))
    return rows


def update(track: int, start_s: float) -> Update:
    borders_s = np.array([start_s, start_s + 0.1, start_s + 0.2])
    return Update(
        track=track,
        start_s=borders_s[0],
        end_s=borders_s[-1],
        labels=LABELS,
        emotion="joy",
        confidence=0.75,
        probabilities=np.array([0.75, 0.25]),
        mark="",
        raw=np.array([0.5, 0.5]),
        evidence=np.array([[1.0, 2.0], [3.0, 4.0]]),
        borders_s=borders_s,
        box=(0.0, 0.0, 8.0, 8.0),
        latency_s=0.0,
    )


def test_the_tables_of_several_tracks_belong_together():
    prediction = build_prediction("film.mp4", LABELS, [rows_of(1, 1), rows_of(2, 2)], 3.0)
    clips, instances, frames = prediction.clips, prediction.instances, prediction.frames
    assert clips["track"].tolist() == [1, 2, 2]
    assert clips[["p_joy", "raw_joy"]].iloc[0].tolist() == [0.75, 0.5]
    assert instances["clip"].tolist() == [0, 0, 1, 1, 2, 2]
    assert instances["instance"].tolist() == [0, 1] * 3
    assert instances["evidence_fear"].tolist() == [2, 4] * 3
    assert instances["end_s"].iloc[1] == clips["end_s"].iloc[0]
    assert frames["x1"].tolist() == [0, 1, 2] * 2
    assert frames["mark"].tolist() == ["", "", "blurred"] * 2
    assert prediction.duration_s == 3


def test_a_track_without_clips_is_in_no_table():
    prediction = build_prediction("film.mp4", LABELS, [rows_of(1, 0), rows_of(2, 1)], 3.0)
    assert set(prediction.clips["track"]) == set(prediction.frames["track"]) == {2}
    nobody = build_prediction("film.mp4", LABELS, [rows_of(1, 0)], 3.0, note="no face")
    assert nobody.clips.empty
    assert (nobody.note, nobody.duration_s) == ("no face", 3.0)


def test_an_unreadable_clip_has_no_confidence():
    rows = rows_of(1, 0)
    rows.add_clip(replace(update(1, 0.0), emotion=None, confidence=None, mark="blurred"))
    (clip,) = build_prediction("film.mp4", LABELS, [rows], 0.2).clips.to_dict("records")
    assert clip["emotion"] is None
    assert np.isnan(clip["confidence"])
    assert clip["mark"] == "blurred"


def test_the_box_of_a_frame_of_the_track():
    assert rows_of(1, 0).box(1) == (1, 0, 9, 8)
