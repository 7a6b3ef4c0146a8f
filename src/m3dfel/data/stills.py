"""Still pictures as clips.

A face photographed once never stands quite still when it is filmed: a smooth random trajectory
(shift, scale, rotation, light) turns a picture into a clip. A clip can also open or close with a
neutral picture of the same person, so that a set of stills trains a video model under a weak label
while the frames that really carry the expression are known.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def static_clip(picture: Tensor, frames: int) -> Tensor:
    """Return the clip of a picture that does not move, for evaluation: uint8 (T, 3, H, W)."""
    return picture.expand(frames, *picture.shape)


def moving_clip(
    picture: Tensor,
    frames: int,
    size: int,
    crop_scale: tuple[float, float] = (0.7, 1.0),
    neutral: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return a clip in which the picture moves a little, and which frames show it.

    The camera's path is drawn once for the clip; the picture's border is mirrored. With `neutral`,
    the clip shows that picture first, last, or first and last, and blends from one to the other
    within about two frames.

    Args:
        picture: the expressive picture, uint8 (3, H, W).
        frames: T.
        size: height and width of the clip in pixels.
        crop_scale: share of the picture's area that the crop keeps, drawn between the two.
        neutral: a neutral picture of the same person, uint8 (3, H, W), or None.

    Returns:
        The clip, uint8 (T, 3, size, size), and its target frames, bool (T,): those in which the
        expressive picture weighs more than the neutral one.
    """
    weight = torch.ones(frames) if neutral is None else _presence(frames)
    warped = _warp(picture, frames, size, crop_scale, neutral, weight)
    return _light(warped).round_().clamp_(0, 255).to(torch.uint8), weight > 0.5


def _warp(
    picture: Tensor,
    frames: int,
    size: int,
    crop_scale: tuple[float, float],
    neutral: Tensor | None,
    weight: Tensor,
) -> Tensor:
    # Both pictures are aligned to the same template, so one camera path fits both.
    grid = F.affine_grid(_camera_path(frames, crop_scale), [frames, 3, size, size], False)
    still = _shrink(picture, size).expand(frames, -1, -1, -1)
    if neutral is not None:
        w = weight.view(-1, 1, 1, 1)
        still = w * still + (1 - w) * _shrink(neutral, size)
    return F.grid_sample(still, grid, padding_mode="reflection", align_corners=False)


def _shrink(picture: Tensor, size: int) -> Tensor:
    # Bilinear sampling reads single pixels: a picture far larger than the clip is averaged first.
    still = picture[None].float()
    factor = picture.shape[-1] // (2 * size) + 1
    return F.avg_pool2d(still, factor) if factor > 1 else still


def _light(clip: Tensor) -> Tensor:
    """Change contrast and brightness for the clip, and let the light waver a little."""
    middle = clip.mean()
    contrast = math.exp(_draw(0.35))
    brightness = (_draw(0.25) + _smooth_path(len(clip), 0.05)).exp().view(-1, 1, 1, 1)
    return ((clip - middle) * contrast + middle) * brightness


def _camera_path(frames: int, crop_scale: tuple[float, float]) -> Tensor:
    """Return one affine matrix a frame, (T, 2, 3), in the picture's coordinates of -1 to 1."""
    low, high = crop_scale
    side = math.sqrt(low + (high - low) * float(torch.rand(())))
    scale = side * _smooth_path(frames, 0.03).exp()
    angle = _draw(0.15) + _smooth_path(frames, 0.05)
    room = 1 - side
    x = _draw(room) + _smooth_path(frames, 0.04)
    y = _draw(room) + _smooth_path(frames, 0.04)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    return torch.stack([torch.stack([cos, -sin, x], -1), torch.stack([sin, cos, y], -1)], 1)


def _smooth_path(frames: int, amplitude: float) -> Tensor:
    """Return a slow random motion around 0, (T,): a drift and a sway of at most one period."""
    time = torch.linspace(-1, 1, frames)
    sway = torch.sin(math.pi * (float(torch.rand(())) * time + 2 * float(torch.rand(()))))
    return _draw(amplitude) * time + _draw(amplitude) * sway


def _draw(amplitude: float) -> float:
    return amplitude * (2 * float(torch.rand(())) - 1)


def _presence(frames: int) -> Tensor:
    """Return how much of the expressive picture each frame shows, 0 to 1, (T,)."""
    share = 0.25 + 0.5 * float(torch.rand(()))
    start = (1 - share) * float(torch.rand(()))
    # A third of the clips each: the expression stays on, was on before, or comes and goes.
    kind = int(torch.randint(3, ()))
    time = (torch.arange(frames) + 0.5) / frames
    blend = 2 / frames
    rises = ((time - (1 - share if kind == 0 else start)) / blend + 0.5).clamp(0, 1)
    falls = (((share if kind == 1 else start + share) - time) / blend + 0.5).clamp(0, 1)
    return [rises, falls, torch.minimum(rises, falls)][kind]
