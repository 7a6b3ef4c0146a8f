"""Describe what faces look like, to find out which tracks show the same person.

Below `persons`. Any `AppearanceEncoder` works, such as a network for face recognition; the default
needs no trained network.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from m3dfel.opencv import cv2

Crops: TypeAlias = npt.NDArray[np.uint8]
Vectors: TypeAlias = npt.NDArray[np.float32]


class AppearanceEncoder(Protocol):
    """Turns pictures of faces into vectors: the more alike two faces, the larger the dot product.

    An embedding of your own fits if it has this form.

    Attributes:
        size: S, side in pixels of the crops it takes.
        zoom: of the crops, as in `align_face`.
        min_similarity: the dot product of two vectors above which they show the same person.
    """

    size: int
    zoom: float
    min_similarity: float

    def __call__(self, crops: Crops) -> Vectors:
        """Return unit vectors (K, D) of crops, uint8 RGB (K, S, S, 3)."""
        ...


class AppearanceDescriptor:
    """The default encoder: how a face is shaded, where its edges run, and its colors.

    Needs no trained network. It tells people apart who are seen by the same camera within minutes,
    by face, hair, clothes and light together, and is no face recognition: in other light or years
    later, it takes the same person for another. Its three parts are unit vectors:

    - the shades of the face at 12×12 pixels,
    - histograms of oriented gradients on 8×8 cells (Dalal and Triggs, 2005),
    - a histogram of the colors of face, hair and clothes.

    The dot product of two faces is 3/8, 3/8 and 2/8 of the three cosines. On pairs of photographs
    of different people, 0.3 % are above `min_similarity` (if their colors agree entirely).
    """

    size = 128
    zoom = 0.6
    min_similarity = 0.74

    _PARTS = (3 / 8, 3 / 8, 2 / 8)
    # Left, top, right and bottom, in sides of the template, of the face without background.
    _FACE = (0.14, 0.19, 0.86, 0.92)

    def __call__(self, crops: Crops) -> Vectors:
        """Return unit vectors (K, D) of crops, uint8 RGB (K, S, S, 3)."""
        return np.stack([self._vector(crop) for crop in crops])

    def _vector(self, crop: Crops) -> Vectors:
        gray = np.asarray(cv2.cvtColor(self._face(crop), cv2.COLOR_RGB2GRAY), np.uint8)
        parts = _shades(gray), _edges(gray), _colors(crop)
        weighted = [np.sqrt(weight) * part for weight, part in zip(self._PARTS, parts, strict=True)]
        return np.concatenate(weighted).astype(np.float32)

    def _face(self, crop: Crops) -> npt.NDArray[np.uint8]:
        """Return the face alone, 64×64."""
        corners = ((np.array(self._FACE) - 0.5) * self.zoom + 0.5) * self.size
        left, top, right, bottom = corners.round().astype(int)
        face = cv2.resize(crop[top:bottom, left:right], (64, 64), interpolation=cv2.INTER_LINEAR)
        return np.asarray(face, np.uint8)


def _shades(gray: npt.NDArray[np.uint8]) -> Vectors:
    small = cv2.resize(gray, (12, 12), interpolation=cv2.INTER_AREA).astype(np.float32)
    return _unit(small.ravel() - small.mean())


def _edges(gray: npt.NDArray[np.uint8]) -> Vectors:
    cells, directions = 8, 9
    smooth = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 1.0)
    x, y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    direction = (np.arctan2(y, x) % np.pi / np.pi * directions).astype(int) % directions
    cell = np.arange(len(gray)) * cells // len(gray)
    index = (cell[:, None] * cells + cell) * directions + direction
    strength = np.bincount(index.ravel(), np.hypot(x, y).ravel(), cells * cells * directions)
    by_cell = strength.reshape(-1, directions)
    # Strong edges of one cell do not outweigh all others, and noise in a plain one is no edge.
    levels = np.sqrt(by_cell / (by_cell.sum(1, keepdims=True) + 20)).ravel()
    return _unit(levels - levels.mean())


def _colors(crop: npt.NDArray[np.uint8]) -> Vectors:
    """Return a histogram of the colors in the middle of a crop, where there is no background."""
    side = len(crop)
    middle = crop[side // 10 : -side // 20, side // 4 : -side // 4]
    lab = cv2.cvtColor(middle, cv2.COLOR_RGB2LAB)
    histogram = cv2.calcHist([lab], [0, 1, 2], None, [6, 12, 12], [0, 256, 104, 152, 104, 152])
    # Smoothed, so that a slightly different color is not another one.
    return _unit(np.sqrt(gaussian_filter(histogram, 1.0)).ravel())


def _unit(vector: Vectors) -> Vectors:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
