"""A baseline: an LSTM reads the instances in order, as in the field's CNN + LSTM.

After ResNet-18 on single frames it makes ResNet-18 + LSTM. The result is the mean of its states
rather than the last one, so that every instance keeps its part of the evidence.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from m3dfel.models.aggregation import Aggregation
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.pooling import MeanPooling


@AGGREGATIONS.register("lstm")
class LSTMAggregation(Aggregation):
    """One LSTM layer, then the mean: (B, N, F) → (B, F)."""

    def __init__(self, features: int, bag_size: int) -> None:
        super().__init__(features, MeanPooling())
        self.lstm = nn.LSTM(features, features, batch_first=True)

    def relate(self, features: Float[Tensor, "B N F"]) -> Float[Tensor, "B N F"]:
        return self.lstm(features)[0]
