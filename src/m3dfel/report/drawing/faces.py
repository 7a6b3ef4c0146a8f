"""The faces of a prediction, as the annotated video shows them in each frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import gaussian_filter1d

from m3dfel.report.recognized import BOX, Recognized
from m3dfel.report.spans import Values, probabilities_at
from m3dfel.report.words import translate

_STEADY_FRAMES = 1.5  # standard deviation of the Gaussian that steadies the boxes
_FREE_S = 0.3  # a face takes over the card of one that left at least this long ago


@dataclass(frozen=True, eq=False)
class Face:
    """What is drawn of one track.

    Attributes:
        person: whose face it is, from 1.
        slot: index of its card and of its lane in the timeline.
        clips: its rows of the prediction's clips.
        frames: (T,), indices of the frames that show it.
        boxes: (T, 4), in pixels of the source.
        probabilities: (T, C), NaN where the face is unreadable.
        marks: (T,), as in the prediction's clips, in the language of the video.
    """

    person: int
    slot: int
    clips: pd.DataFrame
    frames: npt.NDArray[np.int64]
    boxes: Values
    probabilities: Values
    marks: npt.NDArray[np.str_]

    def index_at(self, frame: int) -> int | None:
        """Return the index of a frame, or of the last one before it; None while it is away."""
        if not self.frames[0] <= frame <= self.frames[-1]:
            return None
        return int(np.searchsorted(self.frames, frame, side="right")) - 1

    def best(self, index: int) -> int | None:
        """Return the most probable emotion in a frame; None where the face is unreadable."""
        probabilities = self.probabilities[index]
        return None if np.isnan(probabilities[0]) else int(probabilities.argmax())

    def recognized(self, index: int) -> int | None:
        """Return the recognized emotion in a frame; None if it is uncertain or unreadable."""
        return None if self.marks[index] else self.best(index)


def faces_of(prediction: Recognized, lang: str = "en") -> list[Face]:
    """Return the faces of a video, with slots that no two of them have at the same time.

    Args:
        prediction: the recognized faces of the video.
        lang: language of the marks, `en` or `zh`.
    """
    faces, free_from_s, slots = [], list[float](), dict[int, int]()
    for track in prediction.clips["track"].unique().tolist():
        clips = prediction.clips[prediction.clips["track"] == track]
        clips = clips.assign(mark=[translate(lang, mark) for mark in clips["mark"]])
        rows = prediction.frames[prediction.frames["track"] == track]
        times_s = rows["time_s"].to_numpy(float)
        free = [slot for slot, time_s in enumerate(free_from_s) if time_s <= times_s[0]]
        person = int(clips["person"].iloc[0])
        slot = free[0] if free else len(free_from_s)
        if slots.get(person) in free:
            slot = slots[person]
        slots[person] = slot
        free_from_s[slot : slot + 1] = [times_s[-1] + _FREE_S]
        probabilities, marks = probabilities_at(clips, prediction.labels, times_s)
        marks = np.array([translate(lang, mark) for mark in marks], str)
        boxes = rows[BOX].to_numpy(float)
        boxes = gaussian_filter1d(boxes, _STEADY_FRAMES, axis=0, mode="nearest")
        frames = rows["frame"].to_numpy(np.int64)
        faces.append(Face(person, slot, clips, frames, boxes, probabilities.T, marks))
    return faces
