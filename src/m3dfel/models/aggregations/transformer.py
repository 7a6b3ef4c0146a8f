"""A baseline's aggregation: a Transformer encoder over the instances.

With ResNet-18 on single frames before it, it is the idea of Former-DFER's temporal part (Zhao and
Liu, "Former-DFER: Dynamic Facial Expression Recognition Transformer", ACM MM 2021): three layers of
eight heads and learned places. Its answer is the mean of its states rather than a class token, so
that every instance keeps its share of the evidence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m3dfel.models.aggregations.aggregation import Aggregation


class TransformerAggregation(Aggregation):
    """Three encoder layers, then the mean: (B, N, F) → (B, F).

    Args:
        features: F; must be a multiple of 8.
        bag_size: N.
    """

    def __init__(self, features: int, bag_size: int) -> None:
        super().__init__(features, bag_size)
        layer = nn.TransformerEncoderLayer(
            features, nhead=8, dim_feedforward=2 * features, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=3)
        self.places = nn.Parameter(0.02 * torch.randn(bag_size, features))

    def relate(self, features: Tensor) -> Tensor:
        return self.encoder(features + self.places)
