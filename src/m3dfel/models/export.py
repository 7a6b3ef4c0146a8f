"""Export a trained model to ONNX, for engines other than torch; `exported.py` runs the result.

An exported model is a folder with `config.json` and two networks in ONNX, each for batches of any
size: the backbone (instances to features) and the fusion (features to logits and evidence). Other
programs can run the two files without this package.
"""

from __future__ import annotations

import copy
import json
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from m3dfel.errors import InputError, first_line, needs_extra
from m3dfel.files import atomic_write, write_text
from m3dfel.models.exported import BACKBONE, FUSION, ExportedModel, load_exported
from m3dfel.models.flow import FLOW_CHANNELS
from m3dfel.models.m3dfel import M3DFEL

TOLERANCE = 1e-4
"""By how much the logits and the evidence may differ from those of the original model."""

_ANY_SIZE = 2**31


def export_model(model: M3DFEL, folder: Path) -> float:
    """Write a trained model as ONNX, and compare both.

    Args:
        model: in evaluation mode, on the CPU.
        folder: a new or empty folder; receives `config.json`, `backbone.onnx` and `fusion.onnx`.

    Returns:
        The largest difference between the logits and the evidence of both, on random clips.

    Raises:
        InputError: the packages of the extra `export` are not installed, the folder is not empty,
            or the model is exported already, cannot be exported, or differs by more than
            `TOLERANCE`.
    """
    if isinstance(model, ExportedModel):
        raise InputError("this model is exported already: give the one that was trained")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty: choose another --output")
    with needs_extra("fast", "exported models need onnxruntime"):  # before the work, not after it
        import_module("m3dfel.onnxruntime")
    channels = 3 + FLOW_CHANNELS * model.flow
    instances = torch.randn(2, channels, model.encoded_length, model.size, model.size)
    features = torch.randn(2, model.bag_size, model.backbone.out_features)
    with atomic_write(folder) as temporary:
        temporary.mkdir()
        write_text(temporary / "config.json", json.dumps(_settings(model), indent=2))
        backbone, fusion = temporary / BACKBONE, temporary / FUSION
        _write_onnx(model.backbone, {"instances": instances}, ["features"], backbone)
        _write_onnx(_Fusion(model).eval(), {"features": features}, ["logits", "evidence"], fusion)
        difference = _largest_difference(model, load_exported(temporary))
        if not difference <= TOLERANCE:
            raise InputError(
                f"the exported model gives logits that differ by {difference:.2g}, so it is not "
                "kept: a part of it does something that ONNX cannot express"
            )
    return difference


class _Fusion(nn.Module):
    """What follows the backbone: (B, N, F) → logits (B, C) and evidence (B, N, C)."""

    def __init__(self, model: M3DFEL) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        self.model.backbone = None

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.fuse_with_evidence(features)


def _write_onnx(
    module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], path: Path
) -> None:
    with needs_extra("export", "exported models need onnxscript"):
        from onnxscript import optimizer
    batch, examples = torch.export.Dim("batch"), tuple(inputs.values())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter, about its own future
            program = torch.onnx.export(
                torch.export.export(module, examples, dynamic_shapes=({0: batch},), strict=False),
                input_names=list(inputs),
                output_names=outputs,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        assert program
        # Join convolutions with their normalizations, and drop kernels that only meet padding.
        optimizer.optimize(program.model, input_size_limit=_ANY_SIZE, output_size_limit=_ANY_SIZE)
        program.save(path)
    except OSError:
        raise
    except Exception as error:  # the exporter has many errors
        raise InputError(
            f"the {path.stem} of this model cannot be exported: {first_line(error)}"
        ) from error


def _settings(model: M3DFEL) -> dict[str, Any]:
    return {
        "labels": list(model.labels),
        "frames": model.frames,
        "size": model.size,
        "bag_size": model.bag_size,
        "features": model.backbone.out_features,
        "mean": model.mean.flatten().tolist(),
        "std": model.std.flatten().tolist(),
        "zoom": model.zoom,
        "grayscale": model.grayscale,
        "mirror": model.mirror,
        "context": model.context,
        "flow": model.flow,
        "min_confidence": model.min_confidence,
    }


@torch.inference_mode()
def _largest_difference(model: M3DFEL, exported: ExportedModel) -> float:
    clips = torch.randn(3, model.frames, 3, model.size, model.size)
    pairs = zip(model.explain(clips), exported.explain(clips), strict=True)
    return max(float((one - other).abs().max()) for one, other in pairs)
