"""The clearest moment of each emotion in a video, and pictures of faces.

Below the analysis of the page: which frames to show, and what to cut out of them.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass, field

import pandas as pd

from m3dfel._opencv import cv2
from m3dfel.recognition.exports import BOX
from m3dfel.recognition.prediction import Prediction
from m3dfel.video.decode import Frame, Picture

# Side of a picture in pixels, and in sides of the face's box.
_SIDE, _SIDES_OF_BOX = 240, 1.7
_JPEG = [int(cv2.IMWRITE_JPEG_QUALITY), 85]


@dataclass(frozen=True)
class View:
    """A face in one frame.

    Attributes:
        face: its number.
        frame: index of the frame.
        time_s: when the frame is shown.
        box: x1, y1, x2, y2 in pixels.
    """

    face: int
    frame: int
    time_s: float
    box: tuple[float, ...]


@dataclass(frozen=True)
class Moment:
    """The moment of a video that speaks most for an emotion.

    Attributes:
        emotion: one that was recognised somewhere in the video.
        probability: of the emotion in the clip around the moment.
        view: the face at this moment.
    """

    emotion: str
    probability: float
    view: View


def clearest_moments(prediction: Prediction) -> list[Moment]:
    """Return where the evidence for each emotion is strongest, in the order of the label set.

    Only clips that are recognised as the emotion count, uncertain ones do not.
    """
    evidence = prediction.instances[[f"evidence_{label}" for label in prediction.labels]]
    # Softmax depends on differences only, so the mean over the emotions carries no meaning.
    evidence = evidence.sub(evidence.mean(axis=1), axis=0)
    clips = prediction.clips.loc[prediction.instances["clip"]].reset_index(drop=True)
    recognised = clips["emotion"].where(clips["mark"] == "")
    moments = []
    for label in prediction.labels:
        strength = evidence.loc[recognised == label, f"evidence_{label}"]
        if not strength.empty:
            row = strength.idxmax()
            instance = prediction.instances.loc[row]
            middle_s = float(instance["start_s"] + instance["end_s"]) / 2
            view = _view_at(prediction, int(instance["face"]), middle_s)
            moments.append(Moment(label, float(clips.loc[row, "confidence"]), view))
    return moments


def portraits(prediction: Prediction) -> list[View]:
    """Return each face where the detector is surest of it, in a frame without mark if any."""
    views = []
    for _, rows in prediction.faces.groupby("face"):
        readable = rows[rows["mark"] == ""]
        best = rows if readable.empty else readable
        views.append(_view(best.loc[best["score"].idxmax()]))
    return views


def _view_at(prediction: Prediction, face: int, time_s: float) -> View:
    rows = prediction.faces[prediction.faces["face"] == face]
    return _view(rows.loc[(rows["time_s"] - time_s).abs().idxmin()])


def _view(row: pd.Series) -> View:
    box = tuple(float(row[side]) for side in BOX)
    return View(int(row["face"]), int(row["frame"]), float(row["time_s"]), box)


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
    return cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)


def _embedded(picture: Picture) -> str:
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _JPEG)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"
