"""M3DFEL: train, evaluate and run dynamic facial expression recognition on video.

The names below are the public API; each is imported on first use, because importing torch takes
seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # with `as`, which tells type checkers that they are meant for others
    from m3dfel.config import TrainConfig as TrainConfig
    from m3dfel.data.manifest import read_manifest as read_manifest
    from m3dfel.emotions import EMOTIONS as EMOTIONS
    from m3dfel.errors import InputError as InputError
    from m3dfel.evaluation.evaluate import evaluate as evaluate
    from m3dfel.models.m3dfel import M3DFEL as M3DFEL
    from m3dfel.predictions.photos import photo_table as photo_table
    from m3dfel.predictions.prediction import Prediction as Prediction
    from m3dfel.recognition.recognizer import Recognizer as Recognizer
    from m3dfel.training.loop import train as train
    from m3dfel.training.losses import IntensityAwareLoss as IntensityAwareLoss

__version__ = "0.1.0"

_MODULES = {
    "EMOTIONS": "m3dfel.emotions",
    "InputError": "m3dfel.errors",
    "IntensityAwareLoss": "m3dfel.training.losses",
    "M3DFEL": "m3dfel.models.m3dfel",
    "Prediction": "m3dfel.predictions.prediction",
    "Recognizer": "m3dfel.recognition.recognizer",
    "TrainConfig": "m3dfel.config",
    "evaluate": "m3dfel.evaluation.evaluate",
    "photo_table": "m3dfel.predictions.photos",
    "read_manifest": "m3dfel.data.manifest",
    "train": "m3dfel.training.loop",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'm3dfel' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
