"""Clips from still pictures.

A smooth random camera motion (shift, scale, rotation, light) turns a picture into a clip. The face
moves as well: the jaw as in speech, the brows, and every frame a little as in tracks of real faces.
The clip can also begin or end with a neutral picture of the same person: a set of stills then
trains a video model under a weak label.

Creating a clip must take much less time than training on it, so NumPy and OpenCV do the work, on as
many channels as the picture has (measured in `benchmarks/speed.py`).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from m3dfel.opencv import cv2

Values = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]

# The largest shift of an aligned face, in half-widths of the picture.
_MAX_SHIFT = 0.12

# Standard deviations of the alignment from frame to frame, in half-widths and radians.
_TREMBLE = 0.008

# What moves in a face: center (x, y), extent (x, y) and largest movement down, in half-widths of an
# aligned picture.
_JAW = ((0.0, 0.65), (0.35, 0.22), 0.07)
_BROWS = ((0.0, -0.45), (0.4, 0.15), 0.04)


def moving_clip(
    picture: Tensor,
    frames: int,
    size: int,
    crop_scale: tuple[float, float] = (0.7, 1.0),
    neutral: Tensor | None = None,
) -> Tensor:
    """Return a clip in which the picture moves a little: uint8 (T, K, size, size).

    There is one random camera path per clip, and in half of the clips the face itself moves; beyond
    its border, the picture is mirrored. With `neutral`, the clip begins, ends, or begins and ends
    with that picture, and blends from one picture to the other within about two frames. The random
    numbers come from torch's generator.

    Args:
        picture: the expressive picture, uint8 (K, H, W), K channels.
        frames: T, the number of frames.
        size: height and width of the clip in pixels.
        crop_scale: smallest and largest fraction of the picture's area that the random crop keeps.
        neutral: a neutral picture of the same person, uint8 (K, H, W), or None.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, ())))
    weight = np.ones(frames) if neutral is None else _expression_weight(rng, frames)
    points = _points(_camera_path(rng, frames, crop_scale), size)
    if frames > 1 and rng.random() < 0.5:
        _move_face(rng, points)
    clip = _film(picture, points)
    if neutral is not None:
        # Both pictures are aligned to the same template, so one camera path fits both.
        w = weight.astype(np.float32).reshape(-1, 1, 1, 1)
        clip = w * clip + (1 - w) * _film(neutral, points)
    lit = np.clip(_light(rng, clip) + 0.5, 0, 255).astype(np.uint8)
    return torch.from_numpy(lit).permute(0, 3, 1, 2)


def _points(paths: Values, size: int) -> Points:
    """Return where in the picture each pixel of the clip looks, (2, T, size, size).

    Coordinates x and y from -1 to 1, the borders of the picture; `paths` are affine maps (T, 2, 3).
    """
    centers = (np.arange(size) + 0.5) * 2 / size - 1
    grid = np.stack([*np.meshgrid(centers, centers), np.ones((size, size))]).astype(np.float32)
    points = paths.astype(np.float32) @ grid.reshape(3, -1)
    return np.ascontiguousarray(points.reshape(-1, 2, size, size).swapaxes(0, 1))


def _move_face(rng: np.random.Generator, points: Points) -> None:
    """Let the jaw and the brows move, in place."""
    frames = points.shape[1]
    time = np.linspace(0, 1, frames)
    speech = np.sin(2 * math.pi * (rng.uniform(1, 4) * time + rng.random()))
    jaw = rng.random() * speech + _smooth_path(rng, frames, 0.5)
    brows = _smooth_path(rng, frames, 1.0)
    x, y = points
    for (center, extent, limit), motion in ((_JAW, jaw), (_BROWS, brows)):
        distance = ((x - center[0]) / extent[0]) ** 2 + ((y - center[1]) / extent[1]) ** 2
        y -= (limit * motion).astype(np.float32).reshape(-1, 1, 1) * np.exp(-0.5 * distance)


def _film(picture: Tensor, points: Points) -> npt.NDArray[np.float32]:
    """Return the picture as seen at the points, (T, size, size, K), from 0 to 255."""
    _, frames, size, _ = points.shape
    still = _shrink(picture.permute(1, 2, 0).numpy(), size)
    # Pixel centers lie half a pixel inside; OpenCV has no clips, but takes one tall picture.
    x, y = (
        ((p + 1) * (side / 2) - 0.5).reshape(-1, size)
        for p, side in zip(points, still.shape[1::-1], strict=True)
    )
    tall = cv2.remap(still, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return tall.reshape(frames, size, size, -1).astype(np.float32)


def _shrink(still: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    # Bilinear sampling would skip pixels of a picture far larger than the clip.
    factor = still.shape[1] // (2 * size) + 1
    if factor == 1:
        return np.ascontiguousarray(still)
    smaller = cv2.resize(still, None, None, 1 / factor, 1 / factor, cv2.INTER_AREA)
    return np.asarray(smaller, dtype=np.uint8)


def _light(rng: np.random.Generator, clip: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Change contrast and brightness of the clip, with a little flicker."""
    mean = clip.mean()
    contrast = math.exp(rng.uniform(-0.35, 0.35))
    flicker = np.exp(rng.uniform(-0.25, 0.25) + _smooth_path(rng, len(clip), 0.05))
    brightness = flicker.astype(np.float32).reshape(-1, 1, 1, 1)
    return np.asarray(((clip - mean) * contrast + mean) * brightness)


def _camera_path(rng: np.random.Generator, frames: int, crop_scale: tuple[float, float]) -> Values:
    """Return one affine matrix per frame, (T, 2, 3), in coordinates of -1 to 1."""
    side = math.sqrt(rng.uniform(*crop_scale))
    scale = side * np.exp(_smooth_path(rng, frames, 0.03))
    angle = rng.uniform(-0.15, 0.15) + _smooth_path(rng, frames, 0.05)
    limit = min(1 - side, _MAX_SHIFT)
    x, y = (rng.uniform(-limit, limit) + _smooth_path(rng, frames, 0.04) for _ in range(2))
    if frames > 1:
        tremble = _TREMBLE * rng.random() * rng.standard_normal((4, frames))
        x, y, angle, scale = (
            x + tremble[0],
            y + tremble[1],
            angle + tremble[2],
            scale * (1 + tremble[3]),
        )
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.stack([np.stack([cos, -sin, x], -1), np.stack([sin, cos, y], -1)], 1)


def _smooth_path(rng: np.random.Generator, frames: int, amplitude: float) -> Values:
    """Return a slow random motion around 0, (T,): a drift plus at most one period of a wave."""
    time = np.linspace(-1, 1, frames)
    drift, wave = rng.uniform(-amplitude, amplitude, 2)
    return np.asarray(
        drift * time + wave * np.sin(math.pi * (rng.random() * time + 2 * rng.random()))
    )


def _expression_weight(rng: np.random.Generator, frames: int) -> Values:
    """Return the weight of the expressive picture in each frame, 0 to 1, (T,)."""
    length = rng.uniform(0.25, 0.75)
    start = rng.uniform(0, 1 - length)
    # A third of the clips each: the expression lasts to the end, is there from the start, or both
    # begins and ends within the clip.
    kind = rng.integers(3)
    time = (np.arange(frames) + 0.5) / frames
    blend = 2 / frames
    rises = np.clip((time - (1 - length if kind == 0 else start)) / blend + 0.5, 0, 1)
    falls = np.clip(((length if kind == 1 else start + length) - time) / blend + 0.5, 0, 1)
    return np.asarray([rises, falls, np.minimum(rises, falls)][kind])
