"""Multi-instance learning by pooling alone: mean, maximum and gated attention."""

from __future__ import annotations

from m3dfel.models.aggregation import Aggregation
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.pooling import AttentionPooling, MaxPooling, MeanPooling


@AGGREGATIONS.register("mean")
class MeanAggregation(Aggregation):
    """The mean of the instances: (B, N, F) → (B, F)."""

    def __init__(self, features: int, bag_size: int) -> None:
        super().__init__(features, MeanPooling())


@AGGREGATIONS.register("max")
class MaxAggregation(Aggregation):
    """The largest value of each feature over the instances: (B, N, F) → (B, F)."""

    def __init__(self, features: int, bag_size: int) -> None:
        super().__init__(features, MaxPooling())


@AGGREGATIONS.register("attention")
class AttentionAggregation(Aggregation):
    """A mean weighted by gated attention: (B, N, F) → (B, F)."""

    def __init__(self, features: int, bag_size: int) -> None:
        super().__init__(features, AttentionPooling(features))
