"""Multi-instance 3D dynamic facial expression learning: train, measure and run it on video."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from m3dfel.emotions import EMOTIONS
    from m3dfel.errors import InputError
    from m3dfel.models.m3dfel import M3DFEL
    from m3dfel.recognition.prediction import Prediction
    from m3dfel.recognition.recognizer import Recognizer
    from m3dfel.training.losses import IntensityAwareLoss

__version__ = "0.1.0"

__all__ = ["EMOTIONS", "M3DFEL", "InputError", "IntensityAwareLoss", "Prediction", "Recognizer"]

_HOMES = {
    "EMOTIONS": "emotions",
    "InputError": "errors",
    "IntensityAwareLoss": "training.losses",
    "M3DFEL": "models.m3dfel",
    "Prediction": "recognition.prediction",
    "Recognizer": "recognition.recognizer",
}


def __getattr__(name: str) -> Any:
    # On first use: torch takes seconds to import, and `m3dfel --help` does without it.
    if name not in _HOMES:
        raise AttributeError(f"module 'm3dfel' has no attribute {name!r}")
    return getattr(import_module(f"m3dfel.{_HOMES[name]}"), name)
