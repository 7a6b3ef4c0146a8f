"""The training loss: cross entropy plus the intensity-aware loss.

L = L_CE + λ·L_IA (Li et al., "Intensity-Aware Loss for Dynamic Facial Expression Recognition in the
Wild", AAAI 2023). Low-intensity expressions are easily mistaken for one other class, so L_IA
compares the target with its strongest rival only. For imbalanced classes there are class weights
and logit adjustment (Menon et al., "Long-tail Learning via Logit Adjustment", ICLR 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from m3dfel.errors import InputError


def intensity_aware_loss(
    logits: Float[Tensor, "B C"], targets: Int[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """Return the intensity-aware loss of each clip.

    P_IA = e^{x_t} / (e^{x_t} + e^{x_max}), where x_t is the target's logit and x_max the largest of
    the other logits; L_IA = -log P_IA = softplus(x_max - x_t), which does not overflow. It is
    computed in float32 whatever the type of the logits.

    Args:
        logits: any floating type, C ≥ 2.
        targets: int64, 0 to C - 1.

    Returns:
        float32, 0 or more; log 2 if the target and its strongest rival have the same logit.
    """
    x = logits.float()
    index = targets.unsqueeze(1)
    target = x.gather(1, index).squeeze(1)
    rival = x.scatter(1, index, float("-inf")).amax(1)
    return F.softplus(rival - target)


class IntensityAwareLoss(nn.Module):
    """The intensity-aware loss, averaged over the clips; add it to the cross entropy.

    Example:
        The second clip costs more, because another class is almost as likely as its target.

        >>> import torch
        >>> from m3dfel import IntensityAwareLoss
        >>> from m3dfel.training.losses import intensity_aware_loss
        >>> logits = torch.tensor([[4.0, 0.0, 0.0], [0.2, 0.1, -3.0]])
        >>> targets = torch.tensor([0, 0])
        >>> intensity_aware_loss(logits, targets)
        tensor([0.0181, 0.6444])
        >>> loss = IntensityAwareLoss()(logits, targets)
        >>> round(loss.item(), 4)
        0.3313
    """

    def forward(
        self, logits: Float[Tensor, "B C"], targets: Int[Tensor, " B"]
    ) -> Float[Tensor, ""]:
        return intensity_aware_loss(logits, targets).mean()


class M3DFELLoss(nn.Module):
    """Cross entropy with label smoothing plus λ times the intensity-aware loss.

    Even with class weights, the loss is divided by the number of clips, so the mean over several
    processes equals the loss of all their clips together.

    Args:
        ial_weight: λ; 0 turns the intensity-aware loss off.
        label_smoothing: of the cross entropy, from 0 to below 1.
        class_counts: how often training samples each class, up to a constant factor; required by
            class weights and logit adjustment.
        class_weights: `inverse` weights each clip by the inverse frequency of its class, with a
            mean weight of 1 over the training clips; `none` weights all clips equally.
        logit_adjustment: τ; τ·log(prior) is added to the logits during training, so that the model
            learns to predict as if the classes were balanced. 0 turns it off.

    Raises:
        InputError: class weights or logit adjustment is on but a class has no training clips.
    """

    weights: Tensor | None
    adjustment: Tensor | None

    def __init__(
        self,
        ial_weight: float = 0.1,
        label_smoothing: float = 0.1,
        class_counts: Sequence[int | float] | None = None,
        class_weights: str = "none",
        logit_adjustment: float = 0.0,
    ) -> None:
        super().__init__()
        self.ial_weight = ial_weight
        self.label_smoothing = label_smoothing
        weights = adjustment = None
        if class_weights == "inverse":
            counts = _positive_counts(class_counts)
            weights = counts.sum() / (len(counts) * counts)
        if logit_adjustment:
            counts = _positive_counts(class_counts)
            adjustment = logit_adjustment * (counts / counts.sum()).log()
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("adjustment", adjustment, persistent=False)

    def forward(
        self, logits: Float[Tensor, "B C"], targets: Int[Tensor, " B"]
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch; the targets are int64, 0 to C - 1."""
        x = logits.float()
        if self.adjustment is not None:
            x = x + self.adjustment
        loss = F.cross_entropy(x, targets, label_smoothing=self.label_smoothing, reduction="none")
        if self.ial_weight:
            loss = loss + self.ial_weight * intensity_aware_loss(x, targets)
        if self.weights is not None:
            loss = loss * self.weights[targets]
        return loss.mean()


def _positive_counts(class_counts: Sequence[int | float] | None) -> Tensor:
    if class_counts is None or min(class_counts) <= 0:
        raise InputError(
            "class weights and logit adjustment need training clips of every class, but the counts "
            f"are {class_counts}: shorten data.labels, or turn both off"
        )
    return torch.tensor(class_counts, dtype=torch.float32)
