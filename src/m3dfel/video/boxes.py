"""The geometry of detections: how much their boxes overlap, and faces between two positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from m3dfel.video.faces import Detection

Points = npt.NDArray[np.float32]

MIN_OVERLAP = 0.3
"""Boxes that overlap less (IoU) are different faces."""


def box_overlaps(
    boxes: npt.NDArray[np.float32], others: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the IoU of every box (M, 4) with every other (K, 4): (M, K), from 0 to 1."""
    top_left = np.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.prod(np.clip(bottom_right - top_left, 0, None), axis=-1)
    return np.asarray(common / (_areas(boxes)[:, None] + _areas(others) - common))


def _areas(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))


def closest_detection(detection: Detection, others: Sequence[Detection]) -> Detection | None:
    """Return the one of the others that overlaps most with a detection; None if none does."""
    if not others:
        return None
    (overlaps,) = box_overlaps(detection.box[None], np.stack([other.box for other in others]))
    best = int(overlaps.argmax())
    return others[best] if overlaps[best] >= MIN_OVERLAP else None


def points_of(detection: Detection) -> Points:
    """Return two corners of the box and the landmarks, x and y: (7, 2)."""
    return np.concatenate([detection.box.reshape(2, 2), detection.landmarks])


def moved(detection: Detection, offset: Points) -> Detection:
    """Return a face whose corners and landmarks are moved by an offset, (7, 2)."""
    points = points_of(detection) + offset
    return Detection(points[:2].reshape(4), detection.score, points[2:])


def interpolated(one: Detection, other: Detection, weight: float) -> Detection:
    """Return a face between two positions, at a fraction from 0 to 1 of the way."""
    change = (points_of(other) - points_of(one)) * np.float32(weight)
    return replace(moved(one, change), score=one.score + weight * (other.score - one.score))
