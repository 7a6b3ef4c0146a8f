"""The door to torchvision: import it from here, never directly.

torchvision's compiled operators need exactly the torch build they were made with. Beside another
one (a CPU-only torch, say, with the CUDA torchvision) they cannot be loaded, and the import of
torchvision then fails on the mere absence of two operators (nms, qnms) that this package never
calls. Declaring their signatures lets the import pass; all that is used here (transforms, the video
ResNets' blocks, weights) is plain Python.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch


def _declare_operators_that_cannot_be_loaded() -> torch.library.Library | None:
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


# The library object must live as long as its declarations are wanted.
_DECLARED = _declare_operators_that_cannot_be_loaded()

from torchvision.models import ResNet18_Weights  # noqa: E402
from torchvision.models.video import (  # noqa: E402
    MC3_18_Weights,
    R2Plus1D_18_Weights,
    R3D_18_Weights,
)
from torchvision.models.video.resnet import (  # noqa: E402
    BasicBlock,
    Conv2Plus1D,
    Conv3DNoTemporal,
    Conv3DSimple,
)
from torchvision.transforms import v2  # noqa: E402

__all__ = [
    "BasicBlock",
    "Conv2Plus1D",
    "Conv3DNoTemporal",
    "Conv3DSimple",
    "MC3_18_Weights",
    "R2Plus1D_18_Weights",
    "R3D_18_Weights",
    "ResNet18_Weights",
    "v2",
]
