"""Mark unreadable faces: too small, turned away from the camera, or blurred.

Part of tracking, before the model. On such faces a model only guesses, however confident it looks,
so these frames are marked and get no answer. The thresholds are those at which the bundled model
starts to fail (docs/MODEL_CARD.md says how they were measured).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from m3dfel.opencv import cv2
from m3dfel.video.align import TEMPLATE, similarity
from m3dfel.video.marks import BLURRED, TOO_SMALL, TURNED_AWAY

# Pixels between the eyes, as if the face looked straight ahead.
MIN_EYE_DISTANCE = 12.0
# Variance of the Laplacian divided by the variance of the crop, both in gray levels.
MIN_SHARPNESS = 0.0075


def quality_mark(landmarks: npt.NDArray[np.float32], crop: npt.NDArray[np.uint8]) -> str:
    """Return why a face is unreadable: empty if it is not.

    The first that applies of `too small`, `turned away` and `blurred`.

    Args:
        landmarks: (5, 2), pixels: left eye, right eye, nose, left and right mouth corner.
        crop: uint8 RGB (S, S, 3), aligned.
    """
    if eye_distance(landmarks) < MIN_EYE_DISTANCE:
        return TOO_SMALL
    if turned_away(landmarks):
        return TURNED_AWAY
    if sharpness(crop) < MIN_SHARPNESS:
        return BLURRED
    return ""


def eye_distance(landmarks: npt.NDArray[np.float32]) -> float:
    """Return the distance between the eyes in pixels, as if the face looked into the camera.

    Args:
        landmarks: (5, 2), pixels: left eye, right eye, nose, left and right mouth corner.
    """
    scale = np.linalg.norm(similarity(TEMPLATE, landmarks)[:, 0])
    return float(scale * (TEMPLATE[1, 0] - TEMPLATE[0, 0]))


def turned_away(landmarks: npt.NDArray[np.float32]) -> bool:
    """Return whether the nose lies beyond the eyes and mouth corners, sideways, up or down.

    Args:
        landmarks: (5, 2), pixels: left eye, right eye, nose, left and right mouth corner.
    """
    matrix = similarity(landmarks, TEMPLATE)
    left_eye, right_eye, nose, left_mouth, right_mouth = landmarks @ matrix[:, :2].T + matrix[:, 2]
    left, right = (left_eye + left_mouth)[0] / 2, (right_eye + right_mouth)[0] / 2
    top, bottom = (left_eye + right_eye)[1] / 2, (left_mouth + right_mouth)[1] / 2
    return not (left < nose[0] < right and top < nose[1] < bottom)


def sharpness(crop: npt.NDArray[np.uint8]) -> float:
    """Return how much fine detail a crop shows, in relation to its contrast.

    Args:
        crop: uint8 RGB (S, S, 3).

    Returns:
        The variance of the Laplacian divided by that of the gray levels; 0 for a uniform crop.
    """
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    contrast = float(gray.var())
    return float(cv2.Laplacian(gray, cv2.CV_64F).var()) / contrast if contrast else 0.0
