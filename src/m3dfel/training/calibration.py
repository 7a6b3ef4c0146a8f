"""Calibrate a trained model on validation clips: its probabilities, and when it is sure enough.

All corrections become part of the model, so everything that loads it gets them. Two change its
weights: the class frequencies that balanced sampling removed are restored (post-hoc logit
adjustment, Menon et al., ICLR 2021), and the logits are divided by a temperature (Guo et al., ICML
2017). The third is the confidence below which it gives no answer.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from m3dfel.evaluation.coverage import Answers, answers_at, confidence_for, risk_coverage
from m3dfel.evaluation.measure import SplitOutputs
from m3dfel.evaluation.metrics import compute_metrics, fit_temperature
from m3dfel.models.m3dfel import M3DFEL

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """The result of calibrating a model.

    Attributes:
        outputs: the calibrated outputs on the validation clips.
        temperature: the logits were divided by it.
        ece_before: the expected calibration error at temperature 1.
        answers: the model's `min_confidence`, and how many of these clips reach it.
    """

    outputs: SplitOutputs
    temperature: float
    ece_before: float
    answers: Answers


def prior_shift(counts: Tensor, drawn: Tensor, fraction: float) -> Tensor:
    """Return what is added to each class's logit to undo the balance of the draws.

    Args:
        counts: how often each class occurs among the training clips, (C,).
        drawn: how often training draws it, up to a constant factor, (C,).
        fraction: 0 leaves the classes as even as they were drawn, 1 makes them as uneven as they
            occur.

    Returns:
        float32 (C,): the logarithms of the ratios of the two frequencies, times the fraction; for a
        class without clips the lowest of the others.
    """
    ratios = (counts / counts.sum()) / (drawn / drawn.sum())
    ratios = ratios.nan_to_num(float(ratios[counts > 0].min()))
    return (fraction * ratios.log()).float()


MIN_ANSWERS = 20
"""Clips on which a confidence must prove itself: a fraction of fewer is mostly chance."""


def calibrate(
    model: M3DFEL, outputs: SplitOutputs, shift: Tensor, target_accuracy: float = 0.0
) -> Calibration:
    """Add a shift to a model's logits, divide them by the best temperature, and choose a threshold.

    Args:
        model: its classifier and its `min_confidence` are changed, in place.
        outputs: the model's outputs on the validation clips.
        shift: added to the logits, (C,).
        target_accuracy: the model's `min_confidence` becomes the smallest with which at least this
            fraction of its answers on these clips is right, if there are `MIN_ANSWERS`; 0 keeps
            it, and so does, with a warning, a fraction that is reached with none.
    """
    temperature = fit_temperature(outputs.logits + shift, outputs.targets)
    with torch.no_grad():
        model.classifier.bias.add_(shift.to(model.classifier.bias.device))
        for part in (model.classifier, model.motion, model.movement_classifier):
            for parameter in part.parameters() if part else ():
                parameter.div_(temperature)
    calibrated = outputs.calibrated(shift, temperature)
    curve = risk_coverage(calibrated.logits, calibrated.targets)
    if target_accuracy:
        enough = curve["coverage"] * len(outputs.targets) >= MIN_ANSWERS
        chosen = confidence_for(curve[enough], target_accuracy)
        if chosen is None:
            logger.warning(
                "at no confidence are %g %% of %d or more answers on the validation clips right: "
                "the model's min_confidence stays %g",
                100 * target_accuracy,
                MIN_ANSWERS,
                model.min_confidence,
            )
        else:
            model.min_confidence = chosen
    before = compute_metrics(outputs.logits + shift, outputs.targets, model.labels)
    return Calibration(
        calibrated,
        temperature,
        before.ece,
        answers_at(curve, model.min_confidence),
    )
