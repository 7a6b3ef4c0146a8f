"""The training loss: cross entropy plus the intensity-aware loss.

L = L_CE + λ·L_IA (Li et al., "Intensity-Aware Loss for Dynamic Facial Expression Recognition in the
Wild", AAAI 2023). Low-intensity expressions are easily mistaken for one other class, so L_IA
compares the target with its strongest rival only. Targets can be votes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from m3dfel.config import LossConfig
from m3dfel.errors import InputError
from m3dfel.models.m3dfel import M3DFEL

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


def movement_loss(
    estimates: Float[Tensor, "B N K"],
    movements: Float[Tensor, "B T K"],
    deviations: Float[Tensor, " K"],
) -> Float[Tensor, ""]:
    """Return the squared error of movements in units of their variance, over all that are known.

    It is 1 where nothing is learned but the mean, so that rare movements count as much as others.

    Args:
        estimates: for each instance.
        movements: in each frame, NaN where unknown; an instance shows the mean over its frames.
        deviations: the standard deviation of each movement.
    """
    instances = movements.unflatten(1, (estimates.shape[1], -1)).nanmean(2)
    known = instances.isfinite()
    # Where nothing is known, NaN would spoil the gradient even with a weight of 0.
    errors = (estimates.float() - instances.where(known, estimates)) / deviations
    return errors.square().sum() / known.sum().clamp(min=1)


class TrainingModel(nn.Module):
    """What training needs of a model, in one pass: the logits of clips, and their movements.

    Args:
        model: of which the parts that learn will have gradients.
        parts: the names of those, such as `classifier` or `backbone.4`; empty for all.

    Raises:
        InputError: the model has no such part, or none of them learns by gradients.
    """

    def __init__(self, model: M3DFEL, parts: Sequence[str] = ()) -> None:
        super().__init__()
        self.model = model
        modules = dict(model.named_modules())
        if unknown := [part for part in parts if part not in modules]:
            names = ", ".join(name for name, _ in model.named_children())
            raise InputError(
                f"optim.parts names {unknown[0]!r}, which the model does not have: use {names}, or "
                "a part of one, such as backbone.4"
            )
        model.requires_grad_(not parts)
        for part in parts:
            modules[part].requires_grad_(True)
        if model.movement_classifier:
            model.movement_classifier.requires_grad_(False)  # it learns after the last epoch
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise InputError(
                f"optim.parts names {', '.join(parts)} alone, which does not learn in an epoch: "
                "name a part that does, such as classifier"
            )
        self.frozen = [
            module
            for module in modules.values()
            if {parameter.requires_grad for parameter in module.parameters()} == {False}
        ]

    def train(self, mode: bool = True) -> TrainingModel:
        super().train(mode)
        for module in self.frozen:
            module.eval()  # the statistics of its batch normalization are part of what it knows
        return self

    def forward(
        self, clips: Shaped[Tensor, "B T 3 S S"]
    ) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B N K"]]:
        features = self.model.instance_features(clips)
        return self.model.fuse(features), self.model.estimate_movements(features)


class TrainingLoss(nn.Module):
    """All that training minimizes: `M3DFELLoss`, and the error of the movements.

    Args:
        config: the weights of its parts.
        deviations: the standard deviation of each movement; empty if they are not learned.
    """

    deviations: Tensor

    def __init__(self, config: LossConfig, deviations: Sequence[float] = ()) -> None:
        super().__init__()
        self.emotion = M3DFELLoss(config.ial_weight, config.label_smoothing)
        self.movement_weight = config.movements
        self.register_buffer("deviations", torch.tensor(deviations))

    def forward(
        self, outputs: tuple[Tensor, Tensor], targets: Targets, movements: Tensor | None
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch.

        Args:
            outputs: of a `TrainingModel`.
            targets: labels or votes.
            movements: as for `movement_loss`; None if they are not learned.
        """
        logits, estimates = outputs
        loss: Tensor = self.emotion(logits, targets)
        if movements is not None:
            error = movement_loss(estimates, movements, self.deviations)
            loss = loss + self.movement_weight * error
        return loss
