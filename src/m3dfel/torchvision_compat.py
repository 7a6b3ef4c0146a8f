"""torchvision, imported on first use, and even if its compiled operators cannot be loaded.

It imports torch's compiler, which takes as long as importing torch itself, and a prediction needs
neither. What is used of it, `v2` and `get_weight`, are attributes of this module.

The operators need exactly the torch build they were compiled for. Beside another build, such as the
CPU-only torch 2.13.0 beside PyPI's torchvision 0.28.0, `import torchvision` fails with "operator
torchvision::nms does not exist", although this package never calls one. Declaring their signatures
lets the import succeed; everything used here (transforms, weights) is plain Python.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


def import_torchvision(module: str = "torchvision") -> ModuleType:
    """Import torchvision or one of its modules."""
    _declare_missing_operators()  # the cache keeps the declarations, which end with their object
    return import_module(module)


@cache
def _declare_missing_operators() -> torch.library.Library | None:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    try:
        for compiled in [*folder.glob("_C*.so"), *folder.glob("_C*.pyd")]:
            torch.ops.load_library(str(compiled))
            return None
    except OSError:
        pass
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return operators


def __getattr__(name: str) -> Any:
    if name == "v2":
        return import_torchvision("torchvision.transforms.v2")
    if name == "get_weight":
        return import_torchvision("torchvision.models").get_weight
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
