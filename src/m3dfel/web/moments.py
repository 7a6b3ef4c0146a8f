"""The clearest moment of each emotion in a video, and pictures of faces.

Below the analysis of the page: which frames to show, and what to cut out of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from m3dfel.opencv import cv2
from m3dfel.predictions.prediction import Prediction
from m3dfel.report.evidence import relative_evidence
from m3dfel.report.html import embed_image
from m3dfel.report.portraits import View, cut_out, view_of
from m3dfel.report.recognized import per_label
from m3dfel.video.decode import Frame

_JPEG = [int(cv2.IMWRITE_JPEG_QUALITY), 85]


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


def _view_at(prediction: Prediction, face: int, time_s: float) -> View:
    rows = prediction.frames[prediction.frames["track"] == face]
    return view_of(rows, int(np.abs(rows["time_s"].to_numpy(float) - time_s).argmin()))


def embedded_picture(frame: Frame, view: View) -> str:
    """Return the face of a view, cut out of its frame, as the URL of an embedded JPEG."""
    picture = cv2.cvtColor(cut_out(frame.image, view.box), cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", picture, _JPEG)
    return embed_image(jpeg.tobytes(), "jpeg")
