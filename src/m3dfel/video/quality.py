"""Whether a face can be read at all: large enough, facing the camera, sharp.

Beside the track, before the model: what a model says of a face it was never shown is a guess with a
number to it, so such frames are marked and not answered. The thresholds are those at which the
bundled model begins to fail (docs/MODEL_CARD.md says how they were measured).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from m3dfel._opencv import cv2
from m3dfel.video.align import TEMPLATE, similarity
from m3dfel.video.tracks import Track

TOO_SMALL = "too small"
TURNED_AWAY = "turned away"
BLURRED = "blurred"

# Pixels between the eyes of a face that looks straight ahead.
LEAST_EYE_DISTANCE = 12.0
# Variance of the Laplacian over the variance of the picture, both in grey levels of the crop.
LEAST_SHARPNESS = 0.0075

Marks = npt.NDArray[np.str_]


def quality_marks(track: Track) -> Marks:
    """Return what hinders reading the face in each frame (T,), empty where nothing does.

    One of `too small`, `turned away` and `blurred`, the first that holds.
    """
    frames = zip(track.landmarks, track.crops, strict=True)
    return np.array([_mark(landmarks, crop) for landmarks, crop in frames], dtype=np.str_)


def _mark(landmarks: npt.NDArray[np.float32], crop: npt.NDArray[np.uint8]) -> str:
    if eye_distance(landmarks) < LEAST_EYE_DISTANCE:
        return TOO_SMALL
    if turned_away(landmarks):
        return TURNED_AWAY
    if sharpness(crop) < LEAST_SHARPNESS:
        return BLURRED
    return ""


def eye_distance(landmarks: npt.NDArray[np.float32]) -> float:
    """Return the pixels between the eyes, were the face turned to the camera.

    Args:
        landmarks: (5, 2), pixels: left eye, right eye, nose, left and right mouth corner.
    """
    scale = np.linalg.norm(similarity(TEMPLATE, landmarks)[:, 0])
    return float(scale * (TEMPLATE[1, 0] - TEMPLATE[0, 0]))


def turned_away(landmarks: npt.NDArray[np.float32]) -> bool:
    """Return whether the nose stands beyond an eye or a mouth corner, to the side, up or down.

    Args:
        landmarks: (5, 2), pixels, as above.
    """
    matrix = similarity(landmarks, TEMPLATE)
    left_eye, right_eye, nose, left_mouth, right_mouth = landmarks @ matrix[:, :2].T + matrix[:, 2]
    left, right = (left_eye + left_mouth)[0] / 2, (right_eye + right_mouth)[0] / 2
    top, bottom = (left_eye + right_eye)[1] / 2, (left_mouth + right_mouth)[1] / 2
    return not (left < nose[0] < right and top < nose[1] < bottom)


def sharpness(crop: npt.NDArray[np.uint8]) -> float:
    """Return the strength of fine detail in a face's crop beside that of its light and shade.

    Args:
        crop: uint8 RGB (S, S, 3).

    Returns:
        The variance of the Laplacian over that of the grey levels; 0 for a crop of one shade.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    shades = float(grey.var())
    return float(cv2.Laplacian(grey, cv2.CV_64F).var()) / shades if shades else 0.0
