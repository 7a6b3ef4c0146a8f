"""Clips from still pictures.

A smooth random camera motion (shift, scale, rotation, light) turns a picture into a clip. The clip
can also begin or end with a neutral picture of the same person: a set of stills then trains a video
model under a weak label, while the frames that show the expression are known.

Creating a clip must take much less time than training on it, so NumPy and OpenCV do the work, on as
many channels as the picture has (measured in `benchmarks/speed.py`).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from m3dfel._opencv import cv2

Values = npt.NDArray[np.float64]

# The largest shift of an aligned face, in half-widths of the picture.
_MAX_SHIFT = 0.12


def static_clip(picture: Tensor, frames: int) -> Tensor:
    """Return a clip without motion, for evaluation: uint8 (T, K, H, W)."""
    return picture.expand(frames, *picture.shape)


def moving_clip(
    picture: Tensor,
    frames: int,
    size: int,
    crop_scale: tuple[float, float] = (0.7, 1.0),
    neutral: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return a clip in which the picture moves a little, and which frames show it.

    There is one random camera path per clip; beyond its border, the picture is mirrored. With
    `neutral`, the clip begins, ends, or begins and ends with that picture, and blends from one
    picture to the other within about two frames. The random numbers come from torch's generator.

    Args:
        picture: the expressive picture, uint8 (K, H, W), K channels.
        frames: T, the number of frames.
        size: height and width of the clip in pixels.
        crop_scale: smallest and largest fraction of the picture's area that the random crop keeps.
        neutral: a neutral picture of the same person, uint8 (K, H, W), or None.

    Returns:
        The clip, uint8 (T, K, size, size), and its target frames, bool (T,): those in which the
        expressive picture has more weight than the neutral one.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, ())))
    weight = np.ones(frames) if neutral is None else _expression_weight(rng, frames)
    paths = _camera_path(rng, frames, crop_scale)
    clip = _film(picture, paths, size)
    if neutral is not None:
        # Both pictures are aligned to the same template, so one camera path fits both.
        w = weight.astype(np.float32).reshape(-1, 1, 1, 1)
        clip = w * clip + (1 - w) * _film(neutral, paths, size)
    lit = np.clip(_light(rng, clip) + 0.5, 0, 255).astype(np.uint8)
    return torch.from_numpy(lit).permute(0, 3, 1, 2), torch.from_numpy(weight > 0.5)


def _film(picture: Tensor, paths: Values, size: int) -> npt.NDArray[np.float32]:
    """Return the picture as seen along the camera path, (T, size, size, K), from 0 to 255."""
    still = _shrink(picture.permute(1, 2, 0).numpy(), size)
    height, width = still.shape[:2]
    frames = [
        cv2.warpAffine(
            still,
            _in_pixels(matrix, width, height, size),
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        for matrix in paths
    ]
    return np.stack(frames).reshape(len(paths), size, size, -1).astype(np.float32)


def _in_pixels(matrix: Values, width: int, height: int, size: int) -> Values:
    """Convert an affine map from coordinates of -1 to 1 to pixels: from the clip to the picture.

    -1 and 1 are the borders of the picture; pixel centres lie half a pixel inside.
    """
    half = np.array([width, height]) / 2
    linear = matrix[:, :2] * half[:, None] * 2 / size
    origin = half * (matrix @ (1 / size - 1, 1 / size - 1, 1) + 1) - 0.5
    return np.column_stack([linear, origin])


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
