"""What training minimizes: cross entropy and the intensity-aware loss.

L = L_CE + λ·L_IA (Li et al., "Intensity-Aware Loss for Dynamic Facial Expression Recognition in the
Wild", AAAI 2023). Low-intensity expressions look like another class; L_IA therefore compares the
target with its strongest rival alone. For uneven classes there are class weights and logit
adjustment (Menon et al., ICLR 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3dfel.errors import InputError


def intensity_aware_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the intensity-aware loss of each clip.

    P_IA = e^{x_t} / (e^{x_t} + e^{x_max}) with x_t the target's logit and x_max the largest of the
    others; L_IA = -log P_IA = softplus(x_max - x_t), which no logit can make overflow. It is
    computed in float32 whatever the logits come in.

    Args:
        logits: (B, C), C ≥ 2.
        targets: int64 (B,), 0 to C - 1.

    Returns:
        float32 (B,), each 0 or more; log 2 where the target and its strongest rival are level.
    """
    x = logits.float()
    place = targets.unsqueeze(1)
    target = x.gather(1, place).squeeze(1)
    rival = x.scatter(1, place, float("-inf")).amax(1)
    return F.softplus(rival - target)


class IntensityAwareLoss(nn.Module):
    """The mean of `intensity_aware_loss` over the clips: (B, C), (B,) → ()."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return intensity_aware_loss(logits, targets).mean()


class M3DFELLoss(nn.Module):
    """Cross entropy with label smoothing plus λ times the intensity-aware loss.

    The mean runs over the clips, weights or not, so that the mean over several processes is that of
    their clips together.

    Args:
        ial_weight: λ; 0 leaves the intensity-aware loss out.
        label_smoothing: of the cross entropy, 0 to below 1.
        class_counts: how often training shows each class, in any unit; needed by
            the two settings below.
        class_weights: `inverse` weighs a clip by its class's inverse frequency, scaled so that the
            mean weight of a training clip is 1; `none` weighs all alike.
        logit_adjustment: τ; τ·log(prior) is added to the logits in training, so that the network
            itself learns to answer as if the classes were even. 0 leaves it out.

    Raises:
        InputError: uneven classes shall be evened but a class has no training clip.
    """

    weights: Tensor | None
    adjustment: Tensor | None

    def __init__(
        self,
        ial_weight: float = 0.1,
        label_smoothing: float = 0.1,
        class_counts: Sequence[float] | None = None,
        class_weights: str = "none",
        logit_adjustment: float = 0.0,
    ) -> None:
        super().__init__()
        self.ial_weight = ial_weight
        self.label_smoothing = label_smoothing
        weights = adjustment = None
        if class_weights == "inverse":
            counts = _counts(class_counts)
            weights = counts.sum() / (len(counts) * counts)
        if logit_adjustment:
            counts = _counts(class_counts)
            adjustment = logit_adjustment * (counts / counts.sum()).log()
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("adjustment", adjustment, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch: (B, C), int64 (B,) → ()."""
        x = logits.float()
        if self.adjustment is not None:
            x = x + self.adjustment
        loss = F.cross_entropy(x, targets, label_smoothing=self.label_smoothing, reduction="none")
        if self.ial_weight:
            loss = loss + self.ial_weight * intensity_aware_loss(x, targets)
        if self.weights is not None:
            loss = loss * self.weights[targets]
        return loss.mean()


def _counts(class_counts: Sequence[float] | None) -> Tensor:
    if class_counts is None or min(class_counts) <= 0:
        raise InputError(
            "class weights and logit adjustment need training clips of every class, but the counts "
            f"are {class_counts}: shorten data.labels, or turn both off"
        )
    return torch.tensor(class_counts, dtype=torch.float32)
