"""A baseline's aggregation: an LSTM reads the instances in order (as in CNN + LSTM of the field).

With ResNet-18 on single frames before it, it is ResNet-18 + LSTM. Its answer is the mean of its
states rather than the last one, so that every instance keeps its share of the evidence.
"""

from __future__ import annotations

from torch import Tensor, nn

from m3dfel.models.aggregations.aggregation import Aggregation


class LSTMAggregation(Aggregation):
    """One LSTM layer, then the mean: (B, N, F) → (B, F).

    Args:
        features: F.
        bag_size: N.
    """

    def __init__(self, features: int, bag_size: int) -> None:
        super().__init__(features, bag_size)
        self.lstm = nn.LSTM(features, features, batch_first=True)

    def relate(self, features: Tensor) -> Tensor:
        states: Tensor = self.lstm(features)[0]
        return states
