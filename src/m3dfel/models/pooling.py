"""Poolings: how the instances of a bag become one vector.

Every pooling is a sum over the instances, so a bag vector splits exactly into what each instance
contributes. The convolution is the paper's; mean and maximum are the classical poolings of
multi-instance learning, gated attention is by Ilse et al. ("Attention-based Deep Multiple Instance
Learning", ICML 2018).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


@runtime_checkable
class Pooling(Protocol):
    """What all poolings have in common: (B, N, C) → (B, C)."""

    def __call__(self, x: Float[Tensor, "B N C"], /) -> Float[Tensor, "B C"]: ...

    def contributions(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        """Return what each instance adds to the bag vector, apart from a bias."""
        ...


class MeanPooling(nn.Module):
    """The mean of the instances: (B, N, C) → (B, C)."""

    def forward(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B C"]:
        return x.mean(1)

    def contributions(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        return x / x.shape[1]


class MaxPooling(nn.Module):
    """The largest value of each channel over the instances: (B, N, C) → (B, C)."""

    def forward(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B C"]:
        return x.amax(1)

    def contributions(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        """Return what each instance adds to the bag vector.

        A channel is contributed by the first instance in which it is largest.
        """
        chosen = F.one_hot(x.argmax(1), x.shape[1]).transpose(1, 2)
        return x * chosen


class AttentionPooling(nn.Module):
    """A mean weighted by gated attention: (B, N, C) → (B, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 128
        self.value = nn.Linear(channels, hidden)  # V
        self.gate = nn.Linear(channels, hidden)  # U
        self.weight = nn.Linear(hidden, 1, bias=False)  # w

    def forward(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B C"]:
        return self.contributions(x).sum(1)

    def contributions(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        scores: Tensor = self.weight(self.value(x).tanh() * self.gate(x).sigmoid())
        return scores.softmax(1) * x


class ConvPooling(nn.Conv1d):
    """DLIAM's convolution along the channels, summed over the instances: (B, N, C) → (B, C).

    Args:
        bag_size: N.
        shared: one kernel for all instances, so that none is preferred by its index; they are then
            averaged instead of summed. Not part of the published model.
    """

    def __init__(self, bag_size: int, shared: bool = False) -> None:
        super().__init__(1 if shared else bag_size, 1, kernel_size=3, padding=1)
        self.bag_size = bag_size

    def forward(self, input: Float[Tensor, "B N C"]) -> Float[Tensor, "B C"]:
        shared = self.in_channels < self.bag_size
        return super().forward(input.mean(1, keepdim=True) if shared else input).squeeze(1)

    def contributions(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        """Return what each instance adds to the bag vector, apart from the bias."""
        kernels = self.weight.transpose(0, 1)
        if self.in_channels < self.bag_size:
            kernels = kernels.expand(self.bag_size, 1, 3) / self.bag_size
        return F.conv1d(x, kernels, padding=1, groups=x.shape[1])

    def init_as_mean(self) -> None:
        """Initialize the kernels so that the bag vector is the mean of the instances."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)
        nn.init.constant_(self.weight[:, :, 1], 1 / self.in_channels)


def make_pooling(name: str, channels: int, bag_size: int) -> Pooling:
    """Return a pooling of bags (B, N, C): `conv1d`, `conv1d-shared`, `mean`, `max` or `attention`.

    Args:
        name: of the pooling.
        channels: C.
        bag_size: N.
    """
    if name in ("conv1d", "conv1d-shared"):
        return ConvPooling(bag_size, shared=name == "conv1d-shared")
    if name == "attention":
        return AttentionPooling(channels)
    return MaxPooling() if name == "max" else MeanPooling()
