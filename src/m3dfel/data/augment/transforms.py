"""Transforms of uint8 clips, with the same random parameters for all frames of a clip.

They bring a clip to the frame size of the model; the model normalizes it, on its own device.
Training follows the paper (random resized crop, flip, color jitter); evaluation only resizes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from m3dfel import torchvision_compat as torchvision
from m3dfel.config import AugmentConfig
from m3dfel.opencv import cv2

Transform: TypeAlias = Callable[[Tensor], Tensor]


def resize_middle(clip: Tensor, size: int, zoom: float = 1.0) -> Tensor:
    """Return a clip or a picture for evaluation: uint8 (…, H, W) → uint8 (…, size, size).

    Args:
        clip: with frames of any size.
        size: height and width of the result in pixels.
        zoom: 1 or more; only the middle 1/zoom of the width and height is kept.
    """
    middle = [round(side / zoom) for side in clip.shape[-2:]]
    cropped = torchvision.v2.functional.center_crop(clip, middle)
    return torchvision.v2.functional.resize(cropped, [size, size], antialias=True)


def training_transform(size: int, augment: AugmentConfig, *, crop: bool = True) -> Transform:
    """Return the random transform for training: uint8 (T, K, H, W) → uint8 (T, K, size, size).

    Args:
        size: height and width of the result in pixels.
        augment: which random changes, and how strong.
        crop: False for clips of this size that are already cropped at random (clips from stills).
    """
    steps: list[Transform] = [random_crop(size, augment)] if crop else []
    if augment.flip:
        steps.append(torchvision.v2.RandomHorizontalFlip(augment.flip))
    if augment.jitter:
        steps.append(color_jitter(augment))
    steps += degradations(augment)
    return torchvision.v2.Compose(steps) if steps else torchvision.v2.Identity()


def random_crop(size: int, augment: AugmentConfig) -> Any:
    """Return the random crop, resized to `size`: torchvision's `RandomResizedCrop`."""
    return torchvision.v2.RandomResizedCrop(
        size, scale=augment.crop_scale, ratio=augment.crop_ratio, antialias=True
    )


def color_jitter(augment: AugmentConfig) -> Any:
    """Return torchvision's `ColorJitter`."""
    return torchvision.v2.ColorJitter(*[augment.jitter] * 3, hue=min(augment.jitter, 0.5))


def degradations(augment: AugmentConfig) -> list[Transform]:
    """Return the random changes that make a clip of its final size worse."""
    steps: list[Transform] = []
    if augment.blur:
        steps.append(torchvision.v2.RandomApply([_lower_resolution], augment.blur))
    if augment.compress:
        steps.append(torchvision.v2.RandomApply([_compress], augment.compress))
    if augment.noise:
        steps.append(partial(_add_noise, max_std=augment.noise))
    if augment.erase:
        steps.append(torchvision.v2.RandomErasing(augment.erase, scale=(0.02, 0.2)))
    return steps


def _lower_resolution(clip: Tensor) -> Tensor:
    """Make a clip look like a small face: reduce it to 35 to 90 % and enlarge it again."""
    size = clip.shape[-1]
    small = round(size * (0.35 + 0.55 * float(torch.rand(()))))
    shrunk = torchvision.v2.functional.resize(clip, [small, small], antialias=True)
    return torchvision.v2.functional.resize(shrunk, [size, size], antialias=True)


def _compress(clip: Tensor) -> Tensor:
    """Make a clip look like a compressed video: JPEG of a random quality from 15 to 70."""
    quality = int(torch.randint(15, 71, ()))
    # One tall picture, as OpenCV knows it: BGR, channels last.
    pictures = clip.permute(0, 2, 3, 1).flip(3)
    tall = pictures.flatten(0, 1).numpy()
    _, data = cv2.imencode(".jpg", tall, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = torch.from_numpy(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
    return decoded.reshape(pictures.shape).flip(3).permute(0, 3, 1, 2)


def _add_noise(clip: Tensor, max_std: float) -> Tensor:
    """Add camera noise to a clip: different in every frame, of one random strength per clip.

    Args:
        clip: uint8.
        max_std: largest standard deviation, in gray levels of 0 to 255.
    """
    std = max_std * float(torch.rand(()))
    noise = torch.randn(clip.shape, dtype=torch.float32) * std
    return (clip + noise).round_().clamp_(0, 255).to(torch.uint8)


def mixup(clips: Tensor, alpha: float, seed: int) -> tuple[Tensor, Tensor, float]:
    """Blend each clip of a batch with a partner (mixup, Zhang et al., ICLR 2018).

    Args:
        clips: float (B, T, 3, S, S), normalized.
        alpha: parameter of the Beta distribution of the weight; 0 turns mixup off.
        seed: seed of the weight and the partners.

    Returns:
        The blended clips, the indices of their partners, int64 (B,), and the weight of the clips,
        0.5 to 1: the weight of the loss against their own targets; the loss against the partners'
        targets has the rest.
    """
    if not alpha:
        return clips, torch.arange(len(clips), device=clips.device), 1.0
    rng = np.random.default_rng(seed)
    sample = rng.beta(alpha, alpha)
    weight = float(max(sample, 1 - sample))
    partners = torch.from_numpy(rng.permutation(len(clips))).to(clips.device)
    return torch.lerp(clips[partners], clips, weight), partners, weight
