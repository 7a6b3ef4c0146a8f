"""The training loss: cross entropy plus the intensity-aware loss.

L = L_CE + λ·L_IA (Li et al., "Intensity-Aware Loss for Dynamic Facial Expression Recognition in the
Wild", AAAI 2023). Low-intensity expressions are easily mistaken for one other class, so L_IA
compares the target with its strongest rival only. Targets can be votes. For imbalanced classes
there are class weights and logit adjustment (Menon et al., "Long-tail Learning via Logit
Adjustment", ICLR 2021); for noisy labels agreement, the focal loss and relabeling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from m3dfel.errors import InputError

Targets: TypeAlias = Int[Tensor, " B"] | Float[Tensor, "B C"]
"""The class of each clip, 0 to C - 1; or the fraction of its votes for each class, with sum 1."""


def intensity_aware_loss(logits: Float[Tensor, "B C"], targets: Targets) -> Float[Tensor, " B"]:
    """Return the intensity-aware loss of each clip.

    P_IA = e^{x_t} / (e^{x_t} + e^{x_max}), where x_t is the target's logit and x_max the largest of
    the other logits; L_IA = -log P_IA = softplus(x_max - x_t), which does not overflow. It is
    computed in float32 whatever the type of the logits.

    With votes, it is the mean over the annotators of the loss against the emotion that each chose.
    If two emotions got all the votes, it is smallest where e^{x_1} : e^{x_2} is the ratio of their
    votes, as the cross entropy is. Comparing only the winner with its rival would drive the two
    apart however narrow the vote.

    Args:
        logits: any floating type, C ≥ 2.
        targets: labels or votes.

    Returns:
        float32, 0 or more; log 2 if the target and its strongest rival have the same logit.
    """
    x = logits.float()
    if targets.is_floating_point():
        return (targets * F.softplus(_strongest_rivals(x) - x)).sum(1)
    index = targets.unsqueeze(1)
    target = x.gather(1, index).squeeze(1)
    rival = x.scatter(1, index, float("-inf")).amax(1)
    return F.softplus(rival - target)


def _strongest_rivals(logits: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
    """Return for each class the largest logit of the others."""
    (first, second), (best, _) = (column.split(1, 1) for column in logits.topk(2, 1))
    classes = torch.arange(logits.shape[1], device=logits.device)
    return torch.where(classes == best, second, first)


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

    def forward(self, logits: Float[Tensor, "B C"], targets: Targets) -> Float[Tensor, ""]:
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
        agreement: γ; the loss of a clip is multiplied by (1 - H/ln C)^γ, H the entropy of its
            votes; a clip with a label instead of votes counts fully. 0 turns it off.
        focal: γ of the focal loss (Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017):
            the cross entropy of each class is multiplied by (1 - p)^γ, p its probability. 0 turns
            it off.

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
        agreement: float = 0.0,
        focal: float = 0.0,
    ) -> None:
        super().__init__()
        self.ial_weight = ial_weight
        self.label_smoothing = label_smoothing
        self.agreement, self.focal = agreement, focal
        weights = adjustment = None
        if class_weights == "inverse":
            counts = _positive_counts(class_counts)
            weights = counts.sum() / (len(counts) * counts)
        if logit_adjustment:
            counts = _positive_counts(class_counts)
            adjustment = logit_adjustment * (counts / counts.sum()).log()
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("adjustment", adjustment, persistent=False)

    def forward(self, logits: Float[Tensor, "B C"], targets: Targets) -> Float[Tensor, ""]:
        """Return the loss of a batch.

        Args:
            logits: any floating type.
            targets: labels or votes.
        """
        voted = targets.is_floating_point()
        x = logits.float()
        if self.adjustment is not None:
            x = x + self.adjustment
        if self.focal:
            loss = focal_cross_entropy(x, targets, self.focal, self.label_smoothing)
        else:
            loss = F.cross_entropy(
                x, targets, label_smoothing=self.label_smoothing, reduction="none"
            )
        if self.ial_weight:
            loss = loss + self.ial_weight * intensity_aware_loss(x, targets)
        if self.weights is not None:
            loss = loss * (targets @ self.weights if voted else self.weights[targets])
        if self.agreement and voted:
            loss = loss * agreement(targets) ** self.agreement
        return loss.mean()


def focal_cross_entropy(
    logits: Float[Tensor, "B C"], targets: Targets, gamma: float, label_smoothing: float = 0.0
) -> Float[Tensor, " B"]:
    """Return -Σ_c q_c (1 - p_c)^γ log p_c of each clip, q the smoothed targets (Lin et al., 2017).

    Args:
        logits: float32.
        targets: labels or votes.
        gamma: γ; 0 gives the cross entropy.
        label_smoothing: from 0 to below 1.
    """
    classes = logits.shape[1]
    q = targets if targets.is_floating_point() else F.one_hot(targets, classes)
    q = (1 - label_smoothing) * q + label_smoothing / classes
    log_p = logits.log_softmax(1)
    # Above zero, where the power has a gradient whatever γ.
    others = (-log_p.expm1()).clamp(min=torch.finfo(log_p.dtype).tiny)
    return -(q * others**gamma * log_p).sum(1)


def agreement(votes: Float[Tensor, "B C"]) -> Float[Tensor, " B"]:
    """Return 1 - H/ln C of each clip, H the entropy of its votes: 1 if all annotators agree."""
    entropy = -torch.xlogy(votes, votes).sum(1)
    return (1 - entropy / math.log(votes.shape[1])).clamp(min=0)


def relabel(targets: Targets, logits: Float[Tensor, "B C"], margin: float) -> Targets:
    """Replace the targets that a model confidently contradicts by what it says.

    After Wang et al., "Suppressing Uncertainties for Large-Scale Facial Expression Recognition",
    CVPR 2020, equation 5, without their ranking of the clips.

    Args:
        targets: labels or votes.
        logits: of the model, without the logit adjustment of training.
        margin: a target is replaced if the probability of another class exceeds that of the target
            (of the class with most votes) by more than this.
    """
    p = logits.detach().float().softmax(1)
    best, answer = p.max(1)
    own = targets.argmax(1) if targets.is_floating_point() else targets
    contradicted = best - p.gather(1, own[:, None]).squeeze(1) > margin
    if not targets.is_floating_point():
        return torch.where(contradicted, answer, targets)
    certain = F.one_hot(answer, p.shape[1]).to(targets)
    return torch.where(contradicted[:, None], certain, targets)


def _positive_counts(class_counts: Sequence[int | float] | None) -> Tensor:
    if class_counts is None or min(class_counts) <= 0:
        raise InputError(
            "class weights and logit adjustment need training clips of every class, but the counts "
            f"are {class_counts}: shorten data.labels, or turn both off"
        )
    return torch.tensor(class_counts, dtype=torch.float32)
