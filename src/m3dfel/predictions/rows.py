"""Collect the rows of a prediction while its video is read."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pandas as pd

from m3dfel.predictions.prediction import Prediction
from m3dfel.predictions.update import Update
from m3dfel.report.recognized import table_columns
from m3dfel.report.spans import with_probabilities
from m3dfel.video.tracks import TrackedFace

# Columns that are not among the numbers of a track.
_OTHERS = frozenset({"track", "person", "clip", "instance", "emotion", "mark"})


class TrackRows:
    """The rows of one track in the tables of a prediction.

    All numbers are in long arrays, in the order of the columns, which takes a third of the memory
    of objects; with 7 labels and 4 instances a clip, 14 MB an hour.

    Attributes:
        track: its number, from 1.
        emotions: of the clips; None where the face is unreadable.
        clip_marks: of the clips.
        frame_marks: of the frames.
    """

    def __init__(self, track: int) -> None:
        self.track = track
        self.emotions, self.clip_marks = list[str | None](), list[str]()
        self.frame_marks = list[str]()
        self._numbers = {name: array("d") for name in ("clips", "instances", "frames")}

    def __len__(self) -> int:
        """The number of clips."""
        return len(self.clip_marks)

    def add_frame(self, face: TrackedFace) -> None:
        """Add the face in one more frame."""
        box = face.detection.box.astype(np.float64).round(2).tolist()
        score = round(float(face.detection.score), 4)
        self._numbers["frames"].extend([face.frame.index, round(face.frame.time_s, 6), *box, score])
        self.frame_marks.append(face.mark)

    def add_clip(self, update: Update) -> None:
        """Add the answer for one more clip."""
        confidence = np.nan if update.confidence is None else update.confidence
        answer = [*update.probabilities, *update.raw, *update.movements.values()]
        self._numbers["clips"].extend([update.start_s, update.end_s, confidence, *answer])
        for span_s, evidence in zip(pairwise(update.borders_s), update.evidence, strict=True):
            self._numbers["instances"].extend([*span_s, *evidence])
        self.emotions.append(update.emotion)
        self.clip_marks.append(update.mark)

    def box(self, frame: int) -> tuple[float, ...]:
        """Return left, top, right and bottom of the face in its frame of this index."""
        return tuple(self._numbers["frames"][7 * frame + 2 : 7 * frame + 6])

    def numbers(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Return the numbers of the table `clips`, `instances` or `frames`, with the track."""
        names = [column for column in columns if column not in _OTHERS]
        numbers = np.array(self._numbers[name]).reshape(-1, len(names))
        return pd.DataFrame(numbers, columns=names).assign(track=self.track)


def build_prediction(
    source: str,
    labels: tuple[str, ...],
    tracks: Sequence[TrackRows],
    duration_s: float,
    note: str = "",
    movements: tuple[str, ...] = (),
) -> Prediction:
    """Return the rows of all tracks that have clips as tables, each track a person of its own."""
    tracks = [track for track in tracks if len(track)]
    tables = _tables(tracks, table_columns(labels, movements))
    clips = tables["clips"]
    return Prediction(
        source,
        labels,
        clips,
        tables["instances"],
        with_probabilities(tables["frames"], clips, labels),
        duration_s=round(max([duration_s, *clips["end_s"]]), 3),
        note=note,
        movements=movements,
    )


def _tables(tracks: Sequence[TrackRows], columns: dict[str, list[str]]) -> dict[str, pd.DataFrame]:
    """Return the tables with the rows of all tracks below each other, given their columns."""
    if not tracks:
        return {name: pd.DataFrame(columns=columns[name]) for name in columns}
    numbers = {
        name: pd.concat([track.numbers(name, columns[name]) for track in tracks], ignore_index=True)
        for name in columns
    }
    clips, instances, frames = numbers["clips"], numbers["instances"], numbers["frames"]
    clip, instance = np.divmod(np.arange(len(instances)), len(instances) // len(clips))
    others: dict[str, dict[str, Any]] = {
        "clips": {
            "person": clips["track"],
            "emotion": [*chain.from_iterable(track.emotions for track in tracks)],
            "mark": [*chain.from_iterable(track.clip_marks for track in tracks)],
        },
        "instances": {"clip": clip, "instance": instance},
        "frames": {
            "person": frames["track"],
            "frame": frames["frame"].astype(int),
            "mark": [*chain.from_iterable(track.frame_marks for track in tracks)],
        },
    }
    return {name: numbers[name].assign(**others[name])[columns[name]] for name in columns}
