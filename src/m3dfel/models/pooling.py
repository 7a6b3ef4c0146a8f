"""Pooling: how the instances of a bag, related or not, become one vector.

Every pooling is a sum over the instances, so that a bag vector splits exactly into what each
instance adds to it. The convolution is the paper's; mean and maximum are the classical poolings of
multi-instance learning, gated attention that of Ilse et al. ("Attention-based Deep Multiple
Instance Learning", ICML 2018).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from m3dfel.errors import InputError


class MeanPooling(nn.Module):
    """The mean of the instances: (B, N, C) → (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)

    def contributions(self, x: Tensor) -> Tensor:
        """Return what each instance adds to the bag vector: (B, N, C) → same."""
        return x / x.shape[1]


class MaxPooling(nn.Module):
    """The largest value of each channel over the instances: (B, N, C) → (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(1)

    def contributions(self, x: Tensor) -> Tensor:
        """Return what each instance adds to the bag vector: (B, N, C) → same.

        A channel is added by the first instance in which it is largest.
        """
        chosen = F.one_hot(x.argmax(1), x.shape[1]).transpose(1, 2)
        return x * chosen


class AttentionPooling(nn.Module):
    """A weighted mean whose weights the instances earn by gated attention: (B, N, C) → (B, C).

    Args:
        channels: C.
        hidden: channels of the attention.
    """

    def __init__(self, channels: int, hidden: int = 128) -> None:
        super().__init__()
        self.value = nn.Linear(channels, hidden)  # V
        self.gate = nn.Linear(channels, hidden)  # U
        self.weight = nn.Linear(hidden, 1, bias=False)  # w

    def forward(self, x: Tensor) -> Tensor:
        return self.contributions(x).sum(1)

    def contributions(self, x: Tensor) -> Tensor:
        """Return what each instance adds to the bag vector: (B, N, C) → same."""
        scores: Tensor = self.weight(self.value(x).tanh() * self.gate(x).sigmoid())
        return scores.softmax(1) * x


class ConvPooling(nn.Conv1d):
    """DLIAM's convolution along the channels, summed over the instances: (B, N, C) → (B, C).

    Args:
        bag_size: N.
    """

    def __init__(self, bag_size: int) -> None:
        super().__init__(bag_size, 1, kernel_size=3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).squeeze(1)

    def contributions(self, x: Tensor) -> Tensor:
        """Return what each instance adds to the bag vector, less the bias: (B, N, C) → same."""
        kernels = self.weight.transpose(0, 1)
        return F.conv1d(x, kernels, padding=1, groups=x.shape[1])


def make_pooling(
    name: str, channels: int, bag_size: int
) -> MeanPooling | MaxPooling | AttentionPooling | ConvPooling:
    """Return the pooling of that name for bags (B, `bag_size`, `channels`).

    Raises:
        InputError: no pooling of that name.
    """
    if name == "conv1d":
        return ConvPooling(bag_size)
    if name == "mean":
        return MeanPooling()
    if name == "max":
        return MaxPooling()
    if name == "attention":
        return AttentionPooling(channels)
    raise InputError(f"the pooling is {name!r} but must be conv1d, mean, max or attention")
