"""A face, wherever and however it stands in the image, brought to one place, size and angle.

Between detection and the clip: the five landmarks are laid onto a fixed template by a similarity
transform, so that the model sees expressions and not head positions. The template is that of the
stills in the shared data, which trains and tests on the very same kind of crop.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from m3dfel._opencv import cv2

# Where a crop of side 1 has its left and right eye, nose, left and right mouth corner, as (x, y);
# left and right as seen in the image.
TEMPLATE = np.array([(45, 52), (83, 52), (64, 74), (48, 93), (80, 93)], dtype=np.float64) / 128


def align_face(
    image: npt.NDArray[np.uint8],
    landmarks: npt.NDArray[np.float32],
    size: int,
    zoom: float = 1.0,
) -> npt.NDArray[np.uint8]:
    """Return the face as a square crop with its landmarks on the template.

    What lies outside the image is filled by mirroring it. A face larger than the crop is averaged
    down, not merely sampled, so that fine texture does not flicker.

    Args:
        image: uint8 RGB (H, W, 3).
        landmarks: (5, 2), pixels: left eye, right eye, nose, left and right mouth corner.
        size: S, side of the crop in pixels.
        zoom: show only the middle 1/zoom of the template's width and height, as large.

    Returns:
        uint8 RGB (S, S, 3).
    """
    matrix = similarity(landmarks, ((TEMPLATE - 0.5) * zoom + 0.5) * size)
    shrinking = 1 / math.hypot(matrix[0, 0], matrix[1, 0])
    finer = max(1, math.ceil(shrinking))
    crop = cv2.warpAffine(
        image,
        _finer(matrix, finer),
        (size * finer, size * finer),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    if finer > 1:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, dtype=np.uint8)


def similarity(
    source: npt.NDArray[np.floating], target: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Return the similarity transform that brings points closest to others in least squares.

    Taken as complex numbers z → w, turning, scaling and shifting are one line w = a·z + b, and a
    is an ordinary regression coefficient.

    Args:
        source: (K, 2), K ≥ 2 points, not all the same.
        target: (K, 2), where they should come to lie.

    Returns:
        (2, 3) matrix M with M @ (x, y, 1) the point's new place.
    """
    z, w = (np.asarray(points, dtype=np.float64) @ (1, 1j) for points in (source, target))
    spread = z - z.mean()
    a = np.vdot(spread, w) / np.vdot(spread, spread).real
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _finer(matrix: npt.NDArray[np.float64], times: int) -> npt.NDArray[np.float64]:
    """The same transform onto a grid so many times finer, pixel centres kept in place."""
    finer = matrix * times
    finer[:, 2] += (times - 1) / 2
    return finer
