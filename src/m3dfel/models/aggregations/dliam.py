"""DLIAM: the dynamic long-term instance aggregation module (Wang et al., CVPR 2023).

It joins the instance features of a bag into one vector by weak long-term relations: BiLSTM,
self-attention, DMIN, a gate, and a convolution that sums over the instances. For ablations each
part can be left out or replaced. `init="mean"` is ours: the same module, initialized so that it
begins as the mean of the instances and learns relations from there.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from m3dfel.errors import InputError
from m3dfel.models.aggregation import Aggregation
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.dmin import DMIN
from m3dfel.models.norms import NORMS
from m3dfel.models.pooling import ConvPooling, MeanPooling, make_pooling

HEADS = 8

Part: TypeAlias = Literal["residual", "gate", "kernel"]
_MEAN: tuple[Part, ...] = ("residual", "gate", "kernel")


@AGGREGATIONS.register("dliam")
class DLIAM(Aggregation):
    """Join a bag: instance features (B, N, F) → bag vector (B, 2F), or (B, F) without BiLSTM.

    As published, with F the features and N the bag size:

        X = BiLSTM(F),  A = MHSA(X),  Â = DMIN(A),  Z = Σ_n k_n ∗ (X_n ⊙ σ(Â_n)) + b

    A module that starts as the mean differs in three parts, each of which can be chosen alone:

        residual:  X = [F, F] + s ⊙ BiLSTM(F), s one learned number per channel, 0 at the start
        gate:      2σ(Â) instead of σ(Â), with γ = 0 in DMIN at the start, so that the gate is 1
        kernel:    k_n = [0, 1/N, 0] and b = 0 at the start

    With all three Z = [mean(F), mean(F)] before the first step. The published module has to find
    its way from random relations, and often stays at chance for many epochs (docs/experiments.md).

    Attributes:
        starts_as_mean: whether Z = [mean(F), mean(F)] before the first step.

    Args:
        features: F, features per instance; also the hidden size of the BiLSTM in each direction.
        bag_size: N.
        bilstm: without it, X is the instance features.
        mhsa: without the self-attention, A is X.
        norm: normalization of A.
        pooling: sum over the instances.
        unbiased: compute DMIN's variances as in the published code.
        init: `published`, `mean`, or a list of the parts that start as the mean; those that this
            module lacks are ignored.

    Raises:
        InputError: the heads of the self-attention cannot divide the channels, or the gate is to
            start open, but the norm has no γ.
    """

    def __init__(
        self,
        features: int,
        bag_size: int,
        *,
        bilstm: bool = True,
        mhsa: bool = True,
        norm: Literal["dmin", "none", "batch", "layer", "instance"] = "dmin",
        pooling: Literal["conv1d", "conv1d-shared", "mean", "max", "attention"] = "conv1d",
        unbiased: bool = False,
        init: Literal["published", "mean"] | list[Part] = "published",
    ) -> None:
        channels = 2 * features if bilstm else features
        super().__init__(channels, make_pooling(pooling, channels, bag_size))
        self.lstm = (
            nn.LSTM(features, features, num_layers=2, bidirectional=True, batch_first=True)
            if bilstm
            else None
        )
        if mhsa and channels % HEADS:
            raise InputError(
                f"the {HEADS} heads of DLIAM's self-attention cannot divide {channels} channels: "
                "choose a backbone whose number of features is a multiple of 8"
            )
        self.qkv = nn.Linear(channels, 3 * channels, bias=False) if mhsa else None
        self.norm = DMIN(channels, unbiased) if norm == "dmin" else NORMS[norm](channels)
        parts = {"published": (), "mean": _MEAN}[init] if isinstance(init, str) else init
        self.residual_scale = None
        if "residual" in parts and bilstm:
            self.residual_scale = nn.Parameter(torch.zeros(channels))  # s
        self.gate_gain = 2 if "gate" in parts else 1
        if "gate" in parts:
            _zero_scale(self.norm, norm)
        if "kernel" in parts and isinstance(self.pooling, ConvPooling):
            self.pooling.init_as_mean()
        averages = isinstance(self.pooling, (ConvPooling, MeanPooling))
        self.starts_as_mean = bilstm and averages and set(_MEAN) <= set(parts)

    def relate(self, features: Float[Tensor, "B N F"]) -> Float[Tensor, "B N C"]:
        x = self.lstm(features)[0] if self.lstm else features  # X
        if self.residual_scale is not None:
            x = features.repeat(1, 1, 2) + self.residual_scale * x
        a = self.attend(x) if self.qkv else x  # A
        return x * (self.gate_gain * self.norm(a).sigmoid())  # X · σ(Â)

    def attend(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        """Relate every instance to all others by multi-head self-attention.

        There is no projection after the heads, as in the published code.
        """
        assert self.qkv
        q, k, v = self.qkv(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _zero_scale(norm: nn.Module, name: str) -> None:
    """Make a normalization return its shift, 0 at the start, whatever its input."""
    scales = [p for part, p in norm.named_parameters() if part.endswith(("gamma", "weight"))]
    if not scales:
        raise InputError(f"the gate of DLIAM cannot start open with the norm {name!r}: it has no γ")
    for scale in scales:
        nn.init.zeros_(scale)
