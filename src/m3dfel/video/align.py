"""Align a face: rotate, scale and shift it so that its landmarks lie on a fixed template.

Between detection and the clip, so that the model sees expressions and not head positions. The
template is that of the still pictures the bundled model was trained on, so training and prediction
see the same kind of crop.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from m3dfel.opencv import cv2

# Positions (x, y) of the left and right eye, nose, left and right mouth corner in a crop of side 1;
# left and right as seen in the image.
TEMPLATE = np.array([(45, 52), (83, 52), (64, 74), (48, 93), (80, 93)], dtype=np.float64) / 128


def align_face(
    image: npt.NDArray[np.uint8],
    landmarks: npt.NDArray[np.float32],
    size: int,
    zoom: float = 1.0,
) -> npt.NDArray[np.uint8]:
    """Return the face as a square crop with its landmarks on the template.

    Pixels outside the image are filled by mirroring it. A face larger than the crop is scaled down
    by averaging, not by sampling single pixels, so that fine texture does not flicker.

    Args:
        image: uint8 RGB (H, W, 3).
        landmarks: (5, 2), pixels: left eye, right eye, nose, left and right mouth corner.
        size: S, side of the crop in pixels.
        zoom: enlarge the middle 1/zoom of the template's width and height to fill the crop.

    Returns:
        uint8 RGB (S, S, 3).
    """
    matrix = similarity(landmarks, ((TEMPLATE - 0.5) * zoom + 0.5) * size)
    shrinking = 1 / math.hypot(matrix[0, 0], matrix[1, 0])
    factor = max(1, math.ceil(shrinking))
    part, matrix = _shown_part(image, matrix, size)
    # OpenCV takes half the time for four channels.
    crop = cv2.warpAffine(
        cv2.cvtColor(part, cv2.COLOR_RGB2RGBA),
        _onto_finer_grid(matrix, factor),
        (size * factor, size * factor),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    if factor > 1:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB), dtype=np.uint8)


def similarity(
    source: npt.NDArray[np.floating], target: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Return the least-squares similarity transform from one set of points to another.

    With points as complex numbers, rotation, scaling and shift together are w = a·z + b, and a is
    an ordinary regression coefficient.

    Args:
        source: (K, 2), K ≥ 2 points, not all the same.
        target: (K, 2), the points they should map to.

    Returns:
        (2, 3) matrix M that maps a point (x, y) to M @ (x, y, 1).
    """
    z, w = (np.asarray(points, dtype=np.float64) @ (1, 1j) for points in (source, target))
    centered = z - z.mean()
    a = np.vdot(centered, w) / np.vdot(centered, centered).real
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _shown_part(
    image: npt.NDArray[np.uint8], matrix: npt.NDArray[np.float64], size: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Return the part of an image that a crop shows, and the transform from it to the crop.

    Where the crop reaches beyond the image, this is the whole image.
    """
    corners = np.array([(-1, -1), (size, -1), (-1, size), (size, size)], dtype=np.float64)
    (shown,) = cv2.transform(corners[None], cv2.invertAffineTransform(matrix))
    (left, top), (right, bottom) = np.floor(shown.min(0)), np.ceil(shown.max(0)) + 1
    if left < 0 or top < 0 or right > image.shape[1] or bottom > image.shape[0]:
        return image, matrix
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ (left, top)
    return image[int(top) : int(bottom), int(left) : int(right)], moved


def _onto_finer_grid(matrix: npt.NDArray[np.float64], factor: int) -> npt.NDArray[np.float64]:
    """Return the same transform onto a grid `factor` times finer, with the same pixel centers."""
    finer = matrix * factor
    finer[:, 2] += (factor - 1) / 2
    return finer
