"""The clearest moment of each emotion in a video, and pictures of faces.

Below the analysis of the page: which frames to show, and what to cut out of them.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from m3dfel.opencv import cv2
from m3dfel.predictions.prediction import Prediction
from m3dfel.report.evidence import relative_evidence
from m3dfel.report.recognized import BOX, per_label
from m3dfel.video.decode import Frame, Picture

# Side of a picture in pixels, and in sides of the face's box.
_SIDE, _SIDES_OF_BOX = 240, 1.7
_JPEG = [int(cv2.IMWRITE_JPEG_QUALITY), 85]


@dataclass(frozen=True)
class View:
    """A face in one frame.

    Attributes:
        person: whose face it is, from 1.
        frame: index of the frame.
        time_s: when the frame is shown.
        box: x1, y1, x2, y2 in pixels.
    """

    person: int
    frame: int
    time_s: float
    box: tuple[float, ...]


@dataclass(frozen=True)
class Moment:
    """The moment of a video that speaks most for an emotion.

    Attributes:
        emotion: one that was recognized somewhere in the video.
        probability: of the emotion, in the clip whose middle is nearest to the moment.
        view: the face at this moment.
    """

    emotion: str
    probability: float
    view: View


def clearest_moments(prediction: Prediction) -> list[Moment]:
    """Return where the evidence for each emotion is strongest, in the order of the label set.

    Only clips that are recognized as the emotion count, uncertain ones do not.
    """
    instances = prediction.instances
    clips = prediction.clips.iloc[instances["clip"].to_numpy(int)]
    recognized = np.where(clips["mark"] == "", clips["emotion"], "")
    evidence = relative_evidence(
        instances[per_label("evidence", prediction.labels)].to_numpy(float)
    )
    moments = []
    for index, label in enumerate(prediction.labels):
        rows = np.flatnonzero(recognized == label)
        if len(rows):
            row = int(rows[evidence[rows, index].argmax()])
            face = int(instances["track"].iloc[row])
            time_s = float(instances[["start_s", "end_s"]].iloc[row].mean())
            around = clips[(recognized == label) & (clips["track"] == face).to_numpy()]
            nearest = (around[["start_s", "end_s"]].mean(axis=1) - time_s).abs().argmin()
            probability = float(around["confidence"].iloc[nearest])
            moments.append(Moment(label, probability, _view_at(prediction, face, time_s)))
    return moments


def portraits(prediction: Prediction) -> list[View]:
    """Return each person where the face is surest to be one, in a frame without mark if any."""
    views = []
    for _, rows in prediction.frames.groupby("person"):
        readable = rows[rows["mark"] == ""]
        best = rows if readable.empty else readable
        views.append(_view(best, int(best["score"].to_numpy(float).argmax())))
    return views


def _view_at(prediction: Prediction, face: int, time_s: float) -> View:
    rows = prediction.frames[prediction.frames["track"] == face]
    return _view(rows, int(np.abs(rows["time_s"].to_numpy(float) - time_s).argmin()))


def _view(rows: pd.DataFrame, index: int) -> View:
    row = rows.iloc[index]
    box = tuple(float(row[side]) for side in BOX)
    return View(int(row["person"]), int(row["frame"]), float(row["time_s"]), box)


@dataclass(eq=False)
class Gallery:
    """Collects pictures of faces while the frames of their video pass by.

    Attributes:
        views: what to collect.
        pictures: the pictures so far, as URLs of embedded JPEGs.
    """

    views: list[View]
    pictures: dict[View, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._in_frame: dict[int, list[View]] = defaultdict(list)
        for view in self.views:
            self._in_frame[view.frame].append(view)

    def collect(self, frame: Frame) -> None:
        """Cut the faces that are wanted out of a frame."""
        for view in self._in_frame.get(frame.index, ()):
            self.pictures[view] = _embedded(_cut_out(frame.image, view.box))


def _cut_out(image: Picture, box: tuple[float, ...]) -> Picture:
    """Return a square around a box, moved into the image where it would reach beyond."""
    x1, y1, x2, y2 = box
    height, width = image.shape[:2]
    side = round(min(_SIDES_OF_BOX * max(x2 - x1, y2 - y1), height, width))
    left = round(min(max((x1 + x2 - side) / 2, 0), width - side))
    top = round(min(max((y1 + y2 - side) / 2, 0), height - side))
    square = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _embedded(picture: Picture) -> str:
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _JPEG)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"
