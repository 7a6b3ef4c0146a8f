"""How good a model is: WAR, UAR, recall, confusion, calibration.

WAR (weighted average recall) is the accuracy; UAR (unweighted average recall) the mean of the
recalls of the classes that have clips. All values are fractions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor

from m3dfel import _torchvision as _torchvision  # isort: skip  # torchmetrics imports it too
from torchmetrics.functional.classification import (
    multiclass_calibration_error,
    multiclass_confusion_matrix,
)

from m3dfel.errors import InputError

CALIBRATION_BINS = 15
_TEMPERATURES = (0.1, 10.0)


@dataclass(frozen=True)
class Metrics:
    """What was measured on some clips.

    Attributes:
        labels: the label set; the order of the matrices' rows and columns.
        war: weighted average recall, the share of clips that are right.
        uar: unweighted average recall, over the classes that have clips.
        recall: of each emotion; None where there are no clips.
        support: clips of each emotion.
        confusion: rows are true emotions, columns predicted ones; each row sums to 1 (to 0 where
            there are no clips).
        confusion_counts: the same in clips.
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
    """Measure predictions against labels.

    Args:
        logits: float (M, C), M ≥ 1.
        targets: int64 (M,), 0 to C - 1.
        labels: the C emotions, in the order of the logits.

    Raises:
        InputError: no clips, or logits that are not numbers.
    """
    if not len(targets):
        raise InputError("there is nothing to measure: no clips")
    broken = int((~logits.isfinite()).any(1).sum())
    if broken:
        raise InputError(
            f"what the model says of {broken} of {len(targets)} clips is not a number: lower "
            "optim.lr or set optim.clip_norm in training; to measure, take an earlier model"
        )
    counts = multiclass_confusion_matrix(logits, targets, num_classes=len(labels))
    support = counts.sum(1)
    rows = counts.double() / support.clamp(min=1).unsqueeze(1)
    recall = rows.diagonal()
    seen = support > 0
    ece = multiclass_calibration_error(
        logits.softmax(1), targets, num_classes=len(labels), n_bins=CALIBRATION_BINS
    )
    return Metrics(
        labels=list(labels),
        war=int(counts.diagonal().sum()) / len(targets),
        uar=float(recall[seen].mean()),
        recall={label: float(recall[i]) if seen[i] else None for i, label in enumerate(labels)},
        support={label: int(support[i]) for i, label in enumerate(labels)},
        confusion=rows.tolist(),
        confusion_counts=counts.tolist(),
        ece=float(ece),
        loss=float(F.cross_entropy(logits, targets)),
    )


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """Return the temperature that, dividing the logits, makes the cross entropy least.

    Temperature scaling (Guo et al., ICML 2017): the ranking of the emotions stays as it is, their
    probabilities become as honest as one number can make them. From 0.1 to 10.

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
