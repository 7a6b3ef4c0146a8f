"""The normalizations that DLIAM's own, DMIN, is compared with in ablations.

All take and return a bag of instances (B, N, C) and have a learned scale and shift for each
channel; they differ in what they take mean and variance over.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from m3dfel.errors import InputError
from m3dfel.models.dmin import DMIN


class BatchNorm(nn.Module):
    """Over all instances of all bags, channel by channel: (B, N, C) → same.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Three-dimensional as the backbone's, so that processes share its statistics alike.
        self.norm = nn.BatchNorm3d(channels)

    def forward(self, input: Tensor) -> Tensor:
        volumes = input.transpose(1, 2)[..., None, None]
        normalized: Tensor = self.norm(volumes)
        return normalized.flatten(2).transpose(1, 2)


class InstanceNorm(nn.LayerNorm):
    """Over the instances of a bag, channel by channel: (B, N, C) → same.

    torch's own refuses a bag of one instance; this one gives it the shift alone.
    """

    def forward(self, input: Tensor) -> Tensor:
        over_instances = F.layer_norm(input.transpose(1, 2), input.shape[1:2], eps=self.eps)
        return over_instances.transpose(1, 2) * self.weight + self.bias


def make_norm(name: str, channels: int, unbiased: bool = False) -> nn.Module:
    """Return `dmin`, `batch`, `layer` (over the channels of an instance), `instance` or `none`.

    Args:
        name: of the normalization.
        channels: C.
        unbiased: DMIN's variances as in the published code.

    Raises:
        InputError: no normalization of that name.
    """
    if name == "dmin":
        return DMIN(channels, unbiased)
    if name == "batch":
        return BatchNorm(channels)
    if name == "layer":
        return nn.LayerNorm(channels)
    if name == "instance":
        return InstanceNorm(channels)
    if name == "none":
        return nn.Identity()
    raise InputError(f"the norm is {name!r} but must be dmin, batch, layer, instance or none")
