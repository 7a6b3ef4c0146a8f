"""torchvision, imported even if its compiled operators cannot be loaded: import it from here.

The operators need exactly the torch build they were compiled for. With another one, such as a
CPU-only torch next to a CUDA torchvision, the import of torchvision fails because two operators are
missing (nms, qnms) that this package never calls. Declaring their signatures lets the import
succeed; everything used here (transforms, blocks of the video ResNets, weights) is plain Python.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch


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


# The declarations last only as long as this object.
_DECLARED = _declare_missing_operators()

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
