"""Clip transforms: drawn once for a clip, applied alike to all its frames, on uint8.

They take a clip from reading to the frame size of the model; normalization is the model's own, on
its device. Training follows the paper (random resized crop, flip, colour jitter); evaluation only
resizes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from m3dfel._torchvision import v2
from m3dfel.config import AugmentConfig


def evaluation_transform(size: int, zoom: float = 1.0) -> nn.Module:
    """Return the transform of evaluation: uint8 (T, K, H, W) → uint8 (T, K, size, size).

    Args:
        size: height and width of the result in pixels.
        zoom: the middle 1/zoom of the width and height is what is resized, 1 or more.
    """
    resize = v2.Resize((size, size), antialias=True)
    return v2.Compose([_Middle(zoom), resize]) if zoom > 1 else resize


def training_transform(size: int, augment: AugmentConfig, *, crop: bool = True) -> nn.Module:
    """Return the random transform of training: uint8 (T, K, H, W) → uint8 (T, K, size, size).

    Args:
        size: height and width of the result in pixels.
        augment: kinds and strengths of the changes.
        crop: False for clips that come cropped at random already, as clips made of stills do.
    """
    steps: list[nn.Module] = []
    if crop:
        steps.append(
            v2.RandomResizedCrop(
                size, scale=augment.crop_scale, ratio=augment.crop_ratio, antialias=True
            )
        )
    if augment.flip:
        steps.append(v2.RandomHorizontalFlip(augment.flip))
    if augment.jitter:
        steps.append(v2.ColorJitter(*[augment.jitter] * 3, hue=min(augment.jitter, 0.5)))
    if augment.blur:
        steps.append(v2.RandomApply([LowResolution(size)], augment.blur))
    if augment.noise:
        steps.append(CameraNoise(augment.noise))
    if augment.erase:
        steps.append(v2.RandomErasing(augment.erase, scale=(0.02, 0.2)))
    return v2.Compose(steps) if steps else v2.Identity()


class _Middle(nn.Module):
    def __init__(self, zoom: float) -> None:
        super().__init__()
        self.zoom = zoom

    def forward(self, clip: Tensor) -> Tensor:
        sides = [round(side / self.zoom) for side in clip.shape[-2:]]
        return v2.functional.center_crop(clip, sides)


class LowResolution(nn.Module):
    """Make a uint8 clip look like that of a small face: shrunk to 35 to 90 %, enlarged again.

    Args:
        size: height and width of the clip in pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, clip: Tensor) -> Tensor:
        small = round(self.size * (0.35 + 0.55 * float(torch.rand(()))))
        shrunk = v2.functional.resize(clip, [small, small], antialias=True)
        return v2.functional.resize(shrunk, [self.size, self.size], antialias=True)


class CameraNoise(nn.Module):
    """Add noise to a uint8 clip: new in every frame, of one strength drawn for the clip.

    Args:
        largest: largest standard deviation in grey levels of 0 to 255.
    """

    def __init__(self, largest: float) -> None:
        super().__init__()
        self.largest = largest

    def forward(self, clip: Tensor) -> Tensor:
        strength = self.largest * float(torch.rand(()))
        noise = torch.randn(clip.shape, dtype=torch.float32) * strength
        return (clip + noise).round_().clamp_(0, 255).to(torch.uint8)


def mixup(clips: Tensor, targets: Tensor, alpha: float, seed: int) -> tuple[Tensor, Tensor, float]:
    """Blend each clip of a batch with a partner (mixup, Zhang et al., ICLR 2018).

    Args:
        clips: float (B, T, 3, S, S), normalized.
        targets: int64 (B,).
        alpha: of the Beta distribution that the share comes from; 0 blends nothing.
        seed: of all that is drawn.

    Returns:
        The blended clips, the targets of their partners (B,), and the share of the clips
        themselves, 0.5 to 1: the loss against their own targets counts so much, that against the
        partners' the rest.
    """
    if not alpha:
        return clips, targets, 1.0
    rng = np.random.default_rng(seed)
    drawn = rng.beta(alpha, alpha)
    share = float(max(drawn, 1 - drawn))
    partners = torch.from_numpy(rng.permutation(len(clips))).to(clips.device)
    return torch.lerp(clips[partners], clips, share), targets[partners], share
