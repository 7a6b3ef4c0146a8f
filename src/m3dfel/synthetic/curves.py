"""Smooth outlines and strokes through a few knots, for `anatomy.py` and `drawing.py`.

Points are float64 (points, 2), x to the right and y down, on the 128 grid of an aligned face.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

MIDDLE = 64.0


@cache
def circle() -> Points:
    """Return the outline of a circle of radius 1 around (0, 0)."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


@cache
def _spline(knots: int, closed: bool) -> Points:
    """Return the matrix that turns knots into the points of the Catmull-Rom curve through them."""
    steps = 6
    t = np.arange(steps)[:, None] / steps
    weights = 0.5 * np.concatenate(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], 1
    )
    spans = knots if closed else knots - 1
    matrix = np.zeros((spans * steps + (not closed), knots))
    for span in range(spans):
        for j, column in enumerate(range(span - 1, span + 3)):
            knot = column % knots if closed else min(max(column, 0), knots - 1)
            matrix[span * steps : (span + 1) * steps, knot] += weights[:, j]
    if not closed:
        matrix[-1, -1] = 1
    return matrix


def curve(knots: Points | Sequence[tuple[float, float]], closed: bool = False) -> Points:
    """Return a smooth line through the knots, six points per span."""
    return _spline(len(knots), closed) @ np.asarray(knots, np.float64)


def mirrored(half: Sequence[tuple[float, float]]) -> Points:
    """Return a symmetric smooth outline, given its right half from top to bottom."""
    right = np.array(half, np.float64)
    left = right[::-1] * [-1, 1]
    return curve(np.concatenate([right, left[left[:, 0] != 0]]), closed=True) + [MIDDLE, 0]


def ribbon(line: Points, half_width: NDArray[np.float64] | float) -> Points:
    """Return the outline of a stroke along a line, with a half width for each point."""
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    offset = along[:, ::-1] * [-1, 1]
    offset *= (half_width / (np.hypot(along[:, 0], along[:, 1]) + 1e-9))[:, None]
    return np.concatenate([line + offset, (line - offset)[::-1]])


@cache
def _taper(points: int) -> NDArray[np.float64]:
    return np.sin(np.linspace(0.15, np.pi - 0.15, points))


def stroke(line: Points, half_width: float) -> Points:
    """Return the outline of a stroke that is widest in the middle and thin at its ends."""
    return ribbon(line, half_width * _taper(len(line)))


def between(first: Points, second: Points) -> Points:
    """Return the outline of the area between two lines of the same direction."""
    return np.concatenate([first, second[::-1]])
