"""Risk and coverage: how often a model is right if it answers only when confident.

A model that may decline answers the clips on which its confidence, the largest probability, reaches
a threshold. The fraction of clips it answers is the coverage, the fraction of wrong answers the
selective risk (Geifman & El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS
2017). A lower threshold answers more and, as a rule, is wrong more often.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor


@dataclass(frozen=True)
class Answers:
    """The answers of a model that declines below a confidence.

    Attributes:
        min_confidence: the smallest confidence with which it answers.
        answered: the fraction of clips that it answers: the coverage.
        answered_right: the fraction of these answers that is right: 1 - selective risk; None if it
            answers no clip.
    """

    min_confidence: float
    answered: float
    answered_right: float | None


def risk_coverage(logits: Tensor, targets: Tensor) -> pd.DataFrame:
    """Return the risk-coverage curve: a row for each confidence, the highest first.

    Args:
        logits: float (M, C), M ≥ 1.
        targets: int64 (M,), 0 to C - 1.

    Returns:
        Columns: coverage (the fraction of clips with this confidence or more), confidence, accuracy
        (the fraction of these clips that are classified correctly: 1 - selective risk).

    Example:
        >>> import torch
        >>> logits = torch.tensor([[9.0, 0.0], [0.0, 3.0], [2.0, 0.0], [0.0, 1.0]])
        >>> risk_coverage(logits, torch.tensor([0, 1, 1, 1])).round(3)
           coverage  confidence  accuracy
        0      0.25       1.000     1.000
        1      0.50       0.953     1.000
        2      0.75       0.881     0.667
        3      1.00       0.731     0.750
    """
    confidence, predicted = logits.double().softmax(1).max(1)
    confidence, order = confidence.sort(descending=True)
    answered = torch.arange(1, len(order) + 1)
    right = (predicted == targets)[order].cumsum(0)
    curve = pd.DataFrame(
        {
            "coverage": (answered / len(order)).tolist(),
            "confidence": confidence.tolist(),
            "accuracy": (right.double() / answered).tolist(),
        }
    )
    # Clips of equal confidence are answered together.
    return curve.drop_duplicates("confidence", keep="last", ignore_index=True)


def confidence_for(curve: pd.DataFrame, accuracy: float) -> float | None:
    """Return the smallest confidence with which at least this fraction of the answers is right.

    That is true for the clips of the curve; on others the fraction can be lower.

    Args:
        curve: returned by `risk_coverage`.
        accuracy: from 0 to 1.

    Returns:
        None if there is no such confidence.
    """
    reached = curve.loc[curve["accuracy"] >= accuracy, "confidence"]
    return float(reached.iloc[-1]) if len(reached) else None


def answers_at(curve: pd.DataFrame, min_confidence: float) -> Answers:
    """Return how many clips a model answers if it declines below a confidence.

    Args:
        curve: returned by `risk_coverage`.
        min_confidence: from 0 to 1.
    """
    answered = curve[curve["confidence"] >= min_confidence]
    if answered.empty:
        return Answers(min_confidence, 0.0, None)
    last = answered.iloc[-1]
    return Answers(min_confidence, float(last["coverage"]), float(last["accuracy"]))
