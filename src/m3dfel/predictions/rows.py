"""Collect the rows of a prediction while its video is read."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from m3dfel.predictions.prediction import Prediction
from m3dfel.predictions.update import Update
from m3dfel.report.recognized import table_columns
from m3dfel.report.spans import with_probabilities
from m3dfel.video.tracks import TrackedFace

Column: TypeAlias = npt.NDArray[Any] | list[Any]


class TrackRows:
    """The rows of one track in the tables of a prediction.

    All numbers are in two long arrays, which takes a third of the memory of objects; with 7 labels
    and 4 instances a clip, 14 MB an hour.

    Args:
        track: its number, from 1.
        labels: C, how many labels the model has.
        bag_size: N, instances a clip.
        movements: K, how many movements the model has learned.
    """

    def __init__(self, track: int, labels: int, bag_size: int, movements: int = 0) -> None:
        self.track, self.frame_marks = track, list[str]()
        self._frames, self._clips = array("d"), array("d")
        self._emotions, self._clip_marks = list[str | None](), list[str]()
        self._clip = np.dtype(
            [
                ("span", "f8", 2),
                ("confidence", "f8"),
                ("probabilities", "f8", labels),
                ("raw", "f8", labels),
                ("movements", "f8", movements),
                ("borders", "f8", bag_size + 1),
                ("evidence", "f8", (bag_size, labels)),
            ]
        )

    def __len__(self) -> int:
        """The number of clips."""
        return len(self._clip_marks)

    def add_frame(self, face: TrackedFace) -> None:
        """Add the face in one more frame."""
        box = face.detection.box.astype(np.float64).round(2).tolist()
        score = round(float(face.detection.score), 4)
        self._frames.extend([face.frame.index, round(face.frame.time_s, 6), *box, score])
        self.frame_marks.append(face.mark)

    def add_clip(self, update: Update) -> None:
        """Add the answer for one more clip."""
        self._emotions.append(update.emotion)
        self._clip_marks.append(update.mark)
        confidence = np.nan if update.confidence is None else update.confidence
        self._clips.extend([update.start_s, update.end_s, confidence])
        self._clips.extend(update.probabilities.tolist())
        self._clips.extend(update.raw.tolist())
        self._clips.extend(update.movements.values())
        self._clips.extend(update.borders_s.tolist())
        self._clips.extend(update.evidence.ravel().tolist())

    def box(self, frame: int) -> tuple[float, ...]:
        """Return left, top, right and bottom of the face in its frame of this index."""
        return tuple(self._frames[7 * frame + 2 : 7 * frame + 6])

    def clips(self) -> list[Column]:
        """Return the columns of the table `clips`; the track is a person of its own."""
        clips = np.frombuffer(self._clips, self._clip)
        track = np.full(len(self), self.track)
        answers = [self._emotions, clips["confidence"], *clips["probabilities"].T, self._clip_marks]
        rest = [*clips["raw"].T, *clips["movements"].T]
        return [track, track, *clips["span"].T, *answers, *rest]

    def instances(self, first_clip: int) -> list[Column]:
        """Return the columns of the table `instances`.

        Args:
            first_clip: row of the first clip in the table `clips`.
        """
        clips = np.frombuffer(self._clips, self._clip)
        borders_s, evidence = clips["borders"], clips["evidence"]
        numbers = np.indices(evidence.shape[:2]).reshape(2, -1)
        spans = [borders_s[:, :-1].ravel(), borders_s[:, 1:].ravel()]
        by_label = evidence.reshape(-1, evidence.shape[2]).T
        track = np.full(numbers.shape[1], self.track)
        return [track, first_clip + numbers[0], numbers[1], *spans, *by_label]

    def frames(self) -> list[Column]:
        """Return the columns of the table `frames`."""
        numbers = np.array(self._frames).reshape(-1, 7)
        track = np.full(len(numbers), self.track)
        return [track, track, numbers[:, 0].astype(np.int64), *numbers[:, 1:].T, self.frame_marks]


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
    first_clips = accumulate(map(len, tracks), initial=0)
    columns = table_columns(labels, movements)
    clips = _table(columns["clips"], [track.clips() for track in tracks])
    frames = _table(columns["frames"], [track.frames() for track in tracks])
    return Prediction(
        source,
        labels,
        clips,
        _table(
            columns["instances"],
            [track.instances(clip) for track, clip in zip(tracks, first_clips, strict=False)],
        ),
        with_probabilities(frames, clips, labels),
        duration_s=round(max([duration_s, *clips["end_s"]]), 3),
        note=note,
        movements=movements,
    )


def _table(names: Sequence[str], parts: Sequence[list[Column]]) -> pd.DataFrame:
    """Return the columns of all tracks below each other."""
    if not parts:
        return pd.DataFrame(columns=list(names))
    joined = [
        np.concatenate(column) if isinstance(column[0], np.ndarray) else [*chain(*column)]
        for column in zip(*parts, strict=True)
    ]
    return pd.DataFrame(dict(zip(names, joined, strict=True)))
