"""Run an exported model (`export.py`) by ONNX Runtime, on the CPU.

It loads like any other model. An ONNX file is data: a graph of known operators and their weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from m3dfel.errors import InputError, first_line, needs_extra
from m3dfel.models.m3dfel import M3DFEL

BACKBONE, FUSION = "backbone.onnx", "fusion.onnx"
"""The files of an exported model, beside its `config.json`."""

Network: TypeAlias = Callable[[Tensor], list[Tensor]]
"""A network in ONNX Runtime: takes a batch on the CPU, returns its outputs."""


class ExportedModel(M3DFEL):
    """A trained model whose networks run in ONNX Runtime, on the CPU.

    It is used like the model it was exported from, but cannot be trained or saved.

    Args:
        settings: the content of `config.json`.
        backbone: (M, C, t, S, S) → (M, F), where C is 5 with optical flow, else 3.
        fusion: (B, N, F) → (B, C) and (B, N, C).
    """

    def __init__(self, settings: dict[str, Any], backbone: Network, fusion: Network) -> None:
        arguments = dict(settings)
        features, flow = arguments.pop("features"), arguments.pop("flow")
        super().__init__(
            **arguments,
            backbone=_Exported(backbone, features),
            aggregation=_Exported(fusion, len(settings["labels"])),
        )
        self.flow = flow  # which the network already has the channels for
        self.classifier = nn.Identity()  # type: ignore[assignment]  # it is part of the fusion

    def fuse_with_evidence(
        self, features: Float[Tensor, "B N F"]
    ) -> tuple[Float[Tensor, "B classes"], Float[Tensor, "B N classes"]]:
        logits, evidence = self.aggregation.network(features)
        return logits, evidence

    def to(self, *arguments: Any, **options: Any) -> ExportedModel:  # type: ignore[override]
        super().to(*arguments, **options)
        if self.mean.device.type != "cpu":
            raise InputError(
                "an exported model runs on the CPU: use the device cpu, or the model that it was "
                "exported from"
            )
        return self


class _Exported(nn.Module):
    """A network in ONNX Runtime as a backbone or an aggregation, by its first output."""

    def __init__(self, network: Network, out_features: int) -> None:
        super().__init__()
        self.network, self.out_features = network, out_features

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[0]


def load_exported(folder: Path) -> ExportedModel:
    """Load an exported model, in evaluation mode.

    Raises:
        InputError: ONNX Runtime is not installed, or a file cannot be read.
    """
    with needs_extra("fast", "exported models need onnxruntime"):
        from m3dfel.onnxruntime import onnxruntime
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        backbone, fusion = (_load(onnxruntime, folder / file) for file in (BACKBONE, FUSION))
        return ExportedModel(settings, backbone, fusion).eval()
    except Exception as error:  # the engine has errors of its own
        raise InputError(
            f"{folder} contains no readable exported model: {first_line(error)}"
        ) from error


def _load(onnxruntime: Any, path: Path) -> Network:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(batch: Tensor) -> list[Tensor]:
        return [torch.from_numpy(output) for output in session.run(None, {name: batch.numpy()})]

    return run
