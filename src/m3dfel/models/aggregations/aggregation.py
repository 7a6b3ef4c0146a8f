"""Aggregation: what stands between the backbone and the classifier and joins a bag's instances.

It relates the instances to each other, then pools them. This one relates nothing, and with its
poolings it is plain multi-instance learning; DLIAM, LSTM and Transformer relate in their own ways.
"""

from __future__ import annotations

from torch import Tensor, nn

from m3dfel.models.pooling import make_pooling


class Aggregation(nn.Module):
    """Join a bag: instance features (B, N, F) → bag vector (B, C).

    Args:
        channels: C of the related instances; F here, where nothing is related.
        bag_size: N.
        pooling: `conv1d`, `mean`, `max` or `attention`.
    """

    def __init__(self, channels: int, bag_size: int, pooling: str = "mean") -> None:
        super().__init__()
        self.out_features = channels
        self.pooling = make_pooling(pooling, channels, bag_size)

    def forward(self, features: Tensor) -> Tensor:
        return self.pooling(self.relate(features))

    def relate(self, features: Tensor) -> Tensor:
        """Return the instances as they enter the pooling: (B, N, F) → (B, N, C)."""
        return features
