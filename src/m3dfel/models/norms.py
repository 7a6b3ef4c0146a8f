"""The normalizations that DMIN, DLIAM's own, is compared with in ablations.

All map a bag of instances (B, N, C) to the same shape and have a learned scale and shift per
channel; they differ in what they take mean and variance over.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class BatchNorm(nn.Module):
    """Over all instances of all bags, per channel: (B, N, C) → (B, N, C).

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # 3D like the backbone's, so that processes share its statistics in the same way.
        self.norm = nn.BatchNorm3d(channels)

    def forward(self, input: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        volumes = input.transpose(1, 2)[..., None, None]
        normalized: Tensor = self.norm(volumes)
        return normalized.flatten(2).transpose(1, 2)


class InstanceNorm(nn.LayerNorm):
    """Over the instances of a bag, per channel: (B, N, C) → (B, N, C).

    Unlike torch's own it accepts a bag of one instance, which becomes the shift alone.
    """

    def forward(self, input: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        over_instances = F.layer_norm(input.transpose(1, 2), input.shape[1:2], eps=self.eps)
        return over_instances.transpose(1, 2) * self.weight + self.bias


NORMS: dict[str, type[nn.Module]] = {
    "batch": BatchNorm,
    "layer": nn.LayerNorm,
    "instance": InstanceNorm,
    "none": nn.Identity,
}
"""By name, each made from C; `layer` is per instance."""
