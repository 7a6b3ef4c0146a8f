"""The training loss: cross entropy plus the intensity-aware loss.

L = L_CE + λ·L_IA (Li et al., "Intensity-Aware Loss for Dynamic Facial Expression Recognition in the
Wild", AAAI 2023). Low-intensity expressions are easily mistaken for one other class, so L_IA
compares the target with its strongest rival only. Targets can be votes.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

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

    Args:
        ial_weight: λ; 0 turns the intensity-aware loss off.
        label_smoothing: of the cross entropy, from 0 to below 1.
    """

    def __init__(self, ial_weight: float = 0.1, label_smoothing: float = 0.1) -> None:
        super().__init__()
        self.ial_weight = ial_weight
        self.label_smoothing = label_smoothing

    def forward(self, logits: Float[Tensor, "B C"], targets: Targets) -> Float[Tensor, ""]:
        """Return the loss of a batch.

        Args:
            logits: any floating type.
            targets: labels or votes.
        """
        x = logits.float()
        loss = F.cross_entropy(x, targets, label_smoothing=self.label_smoothing, reduction="none")
        if self.ial_weight:
            loss = loss + self.ial_weight * intensity_aware_loss(x, targets)
        return loss.mean()
