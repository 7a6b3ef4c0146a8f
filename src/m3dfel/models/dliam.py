"""DLIAM: the dynamic long-term instance aggregation module (Wang et al., CVPR 2023).

It stands between the backbone and the classifier and joins a bag's instance features into one bag
vector, by weak long-term relations: BiLSTM, self-attention, DMIN, a gate, and a convolution that
sums over the instances.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from m3dfel.models.dmin import DMIN


class DLIAM(nn.Module):
    """Aggregate a bag: instance features (B, N, F) → bag vector (B, 2F).

    Args:
        features: F, features an instance; the BiLSTM's hidden size in each direction.
        bag_size: N.
        heads: heads of the self-attention; must divide 2F.
        unbiased: DMIN's variances as in the published code.
    """

    def __init__(
        self, features: int, bag_size: int, heads: int = 8, unbiased: bool = False
    ) -> None:
        super().__init__()
        channels = 2 * features
        self.heads = heads
        self.out_features = channels
        self.lstm = nn.LSTM(features, features, num_layers=2, bidirectional=True, batch_first=True)
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.dmin = DMIN(channels, unbiased)
        self.conv = nn.Conv1d(bag_size, 1, kernel_size=3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        z: Tensor = self.conv(self.gate(features)).squeeze(1)  # Z
        return z

    def gate(self, features: Tensor) -> Tensor:
        """Return the instances as they enter the aggregation: (B, N, F) → (B, N, 2F)."""
        x, _ = self.lstm(features)  # X
        a = self.attend(x)  # A
        gated: Tensor = x * self.dmin(a).sigmoid()  # X · σ(Â)
        return gated

    def attend(self, x: Tensor) -> Tensor:
        """Let every instance look at all the others: multi-head self-attention, (B, N, C) → same.

        There is no projection behind the heads, as in the published code.
        """
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    def contributions(self, features: Tensor) -> Tensor:
        """Return what each instance adds to the bag vector: (B, N, F) → (B, N, 2F).

        The aggregation is linear in the instances, so that their contributions and its bias sum to
        the bag vector exactly.
        """
        gated = self.gate(features)
        bags, instances, _ = gated.shape
        kernels = self.conv.weight.view(instances, 1, -1)
        alone = F.conv1d(gated, kernels, padding=1, groups=instances)
        return alone.view(bags, instances, -1)


class MeanAggregation(nn.Module):
    """Aggregate a bag without a thought, by the mean of its instances: (B, N, F) → (B, F).

    Args:
        features: F.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.out_features = features

    def forward(self, features: Tensor) -> Tensor:
        return features.mean(1)

    def contributions(self, features: Tensor) -> Tensor:
        """Return what each instance adds to the bag vector: (B, N, F) → same."""
        return features / features.shape[1]
