"""Calibrate a trained model on validation clips, by changing its classifier's weights.

Both corrections become part of the model, so everything that loads it gets calibrated
probabilities: the class frequencies that balanced sampling removed are restored (post-hoc logit
adjustment, Menon et al., ICLR 2021), and the logits are divided by a temperature (Guo et al., ICML
2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from m3dfel.evaluation.measure import SplitOutputs
from m3dfel.evaluation.metrics import fit_temperature
from m3dfel.models.m3dfel import M3DFEL


@dataclass(frozen=True)
class Calibration:
    """The result of calibrating a model.

    Attributes:
        outputs: the calibrated outputs on the validation clips.
        temperature: the logits were divided by it.
        ece_before: the expected calibration error at temperature 1.
    """

    outputs: SplitOutputs
    temperature: float
    ece_before: float


def restored_balance(counts: Tensor, drawn: Tensor, fraction: float) -> Tensor:
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


def calibrate(model: M3DFEL, outputs: SplitOutputs, shift: Tensor) -> Calibration:
    """Add a shift to a model's logits and divide them by the best temperature.

    Args:
        model: its classifier is changed, in place.
        outputs: the model's outputs on the validation clips.
        shift: added to the logits, (C,).
    """
    temperature = fit_temperature(outputs.logits + shift, outputs.targets)
    with torch.no_grad():
        model.classifier.bias.add_(shift.to(model.classifier.bias.device))
        for parameter in model.classifier.parameters():
            parameter.div_(temperature)
    return Calibration(
        outputs.calibrated(shift, temperature),
        temperature,
        outputs.calibrated(shift, 1.0).metrics(model.labels).ece,
    )
