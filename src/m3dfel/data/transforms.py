"""Clip transforms: drawn once for a clip, applied alike to all its frames, on uint8.

They take a clip from reading to the frame size of the model; normalization is the model's own, on
its device. Training follows the paper (random resized crop, flip, colour jitter); evaluation only
resizes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m3dfel._torchvision import v2
from m3dfel.config import AugmentConfig


def evaluation_transform(size: int) -> nn.Module:
    """Return the transform of evaluation: uint8 (T, 3, H, W) → uint8 (T, 3, size, size)."""
    return v2.Resize((size, size), antialias=True)


def training_transform(size: int, augment: AugmentConfig, *, crop: bool = True) -> nn.Module:
    """Return the random transform of training: uint8 (T, 3, H, W) → uint8 (T, 3, size, size).

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
    if augment.noise:
        steps.append(CameraNoise(augment.noise))
    if augment.erase:
        steps.append(v2.RandomErasing(augment.erase, scale=(0.02, 0.2)))
    return v2.Compose(steps) if steps else v2.Identity()


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
