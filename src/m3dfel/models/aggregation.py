"""What every aggregation does: relate the instances of a bag to each other, then pool them.

Between the backbone and the classifier. An aggregation of your own is a subclass that overrides
`relate`, entered in the table under a name.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from m3dfel.models.pooling import Pooling


class Aggregation(nn.Module):
    """Join a bag of instances into one vector.

    Here the instances are pooled as they are, which is plain multi-instance learning; subclasses
    relate them to each other first.

    Args:
        channels: C, features per instance as they enter the pooling.
        pooling: a sum over the instances.

    Attributes:
        starts_as_mean: whether it starts as the mean of the instances, twice (see `DLIAM`).

    Example:
        >>> import torch
        >>> from m3dfel.models.aggregation import Aggregation
        >>> from m3dfel.models.aggregations import AGGREGATIONS
        >>> from m3dfel.models.pooling import MeanPooling
        >>> @AGGREGATIONS.register("centered")
        ... class Centered(Aggregation):
        ...     def __init__(self, features: int, bag_size: int) -> None:
        ...         super().__init__(features, MeanPooling())
        ...
        ...     def relate(self, features):
        ...         return features - features.mean(dim=2, keepdim=True)
        >>> Centered(features=8, bag_size=4)(torch.randn(2, 4, 8)).shape
        torch.Size([2, 8])
    """

    starts_as_mean = False

    def __init__(self, channels: int, pooling: Pooling) -> None:
        super().__init__()
        self.out_features = channels
        self.pooling = pooling

    def forward(self, features: Float[Tensor, "B N F"]) -> Float[Tensor, "B C"]:
        return self.pooling(self.relate(features))

    def relate(self, features: Float[Tensor, "B N F"]) -> Float[Tensor, "B N C"]:
        """Return the instances as they enter the pooling."""
        return features
