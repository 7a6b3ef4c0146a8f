"""A baseline: a Transformer encoder over the instances.

After ResNet-18 on single frames it is the idea of the temporal part of Former-DFER (Zhao and Liu,
"Former-DFER: Dynamic Facial Expression Recognition Transformer", ACM MM 2021): three layers of
eight heads and learned positions. The result is the mean of its states rather than a class token,
so that every instance keeps its part of the evidence.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from m3dfel.errors import InputError
from m3dfel.models.aggregation import Aggregation
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.pooling import MeanPooling

HEADS = 8


@AGGREGATIONS.register("transformer")
class TransformerAggregation(Aggregation):
    """Three encoder layers, then the mean: (B, N, F) → (B, F).

    Args:
        features: F; must be a multiple of 8.
        bag_size: N.

    Raises:
        InputError: F is not a multiple of 8.
    """

    def __init__(self, features: int, bag_size: int) -> None:
        super().__init__(features, MeanPooling())
        if features % HEADS:
            raise InputError(
                f"the {HEADS} heads of the Transformer cannot divide {features} features: choose a "
                "backbone whose number of features is a multiple of 8"
            )
        layer = nn.TransformerEncoderLayer(
            features, nhead=HEADS, dim_feedforward=2 * features, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=3)
        self.positions = nn.Parameter(0.02 * torch.randn(bag_size, features))

    def relate(self, features: Float[Tensor, "B N F"]) -> Float[Tensor, "B N F"]:
        return self.encoder(features + self.positions)
