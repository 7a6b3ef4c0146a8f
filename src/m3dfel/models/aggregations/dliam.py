"""DLIAM: the dynamic long-term instance aggregation module (Wang et al., CVPR 2023).

It stands between the backbone and the classifier and joins a bag's instance features into one bag
vector, by weak long-term relations: BiLSTM, self-attention, DMIN, a gate, and a convolution that
sums over the instances. For ablations each part can be left out or exchanged.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from m3dfel.models.aggregations.aggregation import Aggregation
from m3dfel.models.norms import make_norm

HEADS = 8


class DLIAM(Aggregation):
    """Join a bag: instance features (B, N, F) → bag vector (B, 2F), or (B, F) without BiLSTM.

    Args:
        features: F, features an instance; the BiLSTM's hidden size in each direction.
        bag_size: N.
        bilstm: without it, X is the instance features.
        mhsa: without the self-attention, A is X.
        norm: `dmin`, `none`, `batch`, `layer` or `instance`.
        pooling: `conv1d`, `mean`, `max` or `attention`.
        unbiased: DMIN's variances as in the published code.
    """

    def __init__(
        self,
        features: int,
        bag_size: int,
        bilstm: bool = True,
        mhsa: bool = True,
        norm: str = "dmin",
        pooling: str = "conv1d",
        unbiased: bool = False,
    ) -> None:
        channels = 2 * features if bilstm else features
        super().__init__(channels, bag_size, pooling)
        self.lstm = (
            nn.LSTM(features, features, num_layers=2, bidirectional=True, batch_first=True)
            if bilstm
            else None
        )
        self.qkv = nn.Linear(channels, 3 * channels, bias=False) if mhsa else None
        self.norm = make_norm(norm, channels, unbiased)

    def relate(self, features: Tensor) -> Tensor:
        x = self.lstm(features)[0] if self.lstm else features  # X
        a = self.attend(x) if self.qkv else x  # A
        gated: Tensor = x * self.norm(a).sigmoid()  # X · σ(Â)
        return gated

    def attend(self, x: Tensor) -> Tensor:
        """Let every instance look at all the others: multi-head self-attention, (B, N, C) → same.

        There is no projection behind the heads, as in the published code.
        """
        assert self.qkv
        q, k, v = self.qkv(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
