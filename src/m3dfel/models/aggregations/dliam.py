"""DLIAM: the dynamic long-term instance aggregation module (Wang et al., CVPR 2023).

It joins the instance features of a bag into one vector by weak long-term relations: BiLSTM,
self-attention, DMIN, a gate, and a convolution that sums over the instances. For ablations each
part can be left out or replaced.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from m3dfel.models.aggregation import Aggregation
from m3dfel.models.norms import make_norm
from m3dfel.models.pooling import make_pooling
from m3dfel.registry import AGGREGATIONS

HEADS = 8


@AGGREGATIONS.register("dliam")
class DLIAM(Aggregation):
    """Join a bag: instance features (B, N, F) → bag vector (B, 2F), or (B, F) without BiLSTM.

    Args:
        features: F, features per instance; also the hidden size of the BiLSTM in each direction.
        bag_size: N.
        bilstm: without it, X is the instance features.
        mhsa: without the self-attention, A is X.
        norm: normalization of A.
        pooling: sum over the instances.
        unbiased: compute DMIN's variances as in the published code.
    """

    def __init__(
        self,
        features: int,
        bag_size: int,
        *,
        bilstm: bool = True,
        mhsa: bool = True,
        norm: Literal["dmin", "none", "batch", "layer", "instance"] = "dmin",
        pooling: Literal["conv1d", "mean", "max", "attention"] = "conv1d",
        unbiased: bool = False,
    ) -> None:
        channels = 2 * features if bilstm else features
        super().__init__(channels, make_pooling(pooling, channels, bag_size))
        self.lstm = (
            nn.LSTM(features, features, num_layers=2, bidirectional=True, batch_first=True)
            if bilstm
            else None
        )
        self.qkv = nn.Linear(channels, 3 * channels, bias=False) if mhsa else None
        self.norm = make_norm(norm, channels, unbiased)

    def relate(self, features: Float[Tensor, "B N F"]) -> Float[Tensor, "B N C"]:
        x = self.lstm(features)[0] if self.lstm else features  # X
        a = self.attend(x) if self.qkv else x  # A
        gated: Tensor = x * self.norm(a).sigmoid()  # X · σ(Â)
        return gated

    def attend(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        """Relate every instance to all others by multi-head self-attention.

        There is no projection after the heads, as in the published code.
        """
        assert self.qkv
        q, k, v = self.qkv(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
