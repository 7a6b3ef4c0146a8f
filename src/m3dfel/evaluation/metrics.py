"""Metrics of a classifier: WAR, UAR, recall, confusion matrix, calibration, fit to votes.

WAR (weighted average recall) is the accuracy, UAR (unweighted average recall) the mean recall of
the classes that have clips. All values are fractions, not percentages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor

from m3dfel.errors import InputError
from m3dfel.torchvision_compat import import_torchvision

import_torchvision()  # torchmetrics imports it too

from torchmetrics.functional.classification import (  # noqa: E402
    multiclass_calibration_error,
    multiclass_confusion_matrix,
)

CALIBRATION_BINS = 15
_TEMPERATURES = (0.1, 10.0)


@dataclass(frozen=True)
class Metrics:
    """Metrics of a model on some clips.

    Attributes:
        labels: the label set, in the order of the matrices' rows and columns.
        war: weighted average recall: the fraction of clips classified correctly.
        uar: unweighted average recall: the mean recall of the classes that have clips.
        recall: of each emotion; None if it has no clips.
        support: number of clips of each emotion.
        confusion: rows are true emotions, columns predicted ones; each row sums to 1, or to 0 if
            the emotion has no clips.
        confusion_counts: the confusion matrix in numbers of clips.
        ece: expected calibration error over 15 bins.
        loss: mean cross entropy.
    """

    labels: list[str]
    war: float
    uar: float
    recall: dict[str, float | None]
    support: dict[str, int]
    confusion: list[list[float]]
    confusion_counts: list[list[int]]
    ece: float
    loss: float

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as plain values, ready for JSON."""
        return asdict(self)


def compute_metrics(logits: Tensor, targets: Tensor, labels: Sequence[str]) -> Metrics:
    """Compare a model's logits with the true labels.

    Args:
        logits: float (M, C), M ≥ 1.
        targets: int64 (M,), 0 to C - 1.
        labels: the C emotions, in the order of the logits.

    Raises:
        InputError: logits that are not finite.
    """
    broken = int((~logits.isfinite()).any(1).sum())
    if broken:
        raise InputError(
            f"the model's output for {broken} of {len(targets)} clips is not a number: lower "
            "optim.lr or set optim.clip_norm, and train again"
        )
    counts = multiclass_confusion_matrix(logits, targets, num_classes=len(labels))
    support = counts.sum(1)
    rows = counts.double() / support.clamp(min=1).unsqueeze(1)
    recall = rows.diagonal()
    present = support > 0
    ece = multiclass_calibration_error(
        logits.softmax(1), targets, num_classes=len(labels), n_bins=CALIBRATION_BINS
    )
    return Metrics(
        labels=list(labels),
        war=int(counts.diagonal().sum()) / len(targets),
        uar=float(recall[present].mean()),
        recall={label: float(recall[i]) if present[i] else None for i, label in enumerate(labels)},
        support={label: int(support[i]) for i, label in enumerate(labels)},
        confusion=rows.tolist(),
        confusion_counts=counts.tolist(),
        ece=float(ece),
        loss=float(F.cross_entropy(logits, targets)),
    )


def compare_with_votes(logits: Tensor, votes: Tensor) -> dict[str, float]:
    """Return how far a model's probabilities are from the votes of annotators.

    Args:
        logits: float (M, C), M ≥ 1.
        votes: float (M, C), the fraction of each clip's votes for each class, with sum 1.

    Returns:
        clips: number of clips with votes.
        cross_entropy: mean cross entropy against the votes, in nats, as `Metrics.loss`.
        jensen_shannon: mean Jensen-Shannon divergence from the votes (Lin, "Divergence Measures
            Based on the Shannon Entropy", 1991), in bits: 0 if both are the same, 1 if they have no
            emotion in common.
    """
    q, log_p = votes.double(), logits.double().log_softmax(1)
    p = log_p.exp()
    mean = (p + q) / 2
    divergence = torch.xlogy(q, q) + p * log_p - 2 * torch.xlogy(mean, mean)
    return {
        "clips": len(q),
        "cross_entropy": float(-(q * log_p).sum(1).mean()),
        "jensen_shannon": float(divergence.sum(1).mean()) / (2 * math.log(2)),
    }


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """Return the temperature, from 0.1 to 10, that minimizes the cross entropy of the clips.

    Dividing the logits by it (temperature scaling; Guo et al., "On Calibration of Modern Neural
    Networks", ICML 2017) keeps the ranking of the emotions and makes confidence match accuracy.

    Args:
        logits: float (M, C).
        targets: int64 (M,), 0 to C - 1.
    """
    x = logits.double()
    low, high = map(math.log, _TEMPERATURES)
    fitted = minimize_scalar(
        lambda t: float(F.cross_entropy(x / math.exp(t), targets)), bounds=(low, high)
    )
    return math.exp(fitted.x)
