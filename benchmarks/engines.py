"""What the backbone takes for one instance: in ONNX Runtime, and alone as in live recognition.

    python benchmarks/engines.py

The bundled model, one thread, in turns.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import torch
from rows import Row, table
from torch import Tensor

from m3dfel.models.backbones import video_resnet
from m3dfel.models.checkpoints import BUNDLED, load_model
from m3dfel.models.export import export_model
from m3dfel.models.m3dfel import M3DFEL

BATCH = 16

Backbone = Callable[[Tensor], Tensor]


def exported_backbone(model: M3DFEL) -> Backbone:
    """Return the model's backbone in ONNX Runtime."""
    with tempfile.TemporaryDirectory() as temporary:
        export_model(model, Path(temporary, "exported"))
        return load_model(str(Path(temporary, "exported"))).backbone


def milliseconds(backbones: dict[str, Backbone], instances: Tensor, runs: int) -> dict[str, float]:
    """Return the best time of each backbone for one instance of a batch, in turns."""
    best = dict.fromkeys(backbones, float("inf"))
    for _ in range(runs):
        for name, backbone in backbones.items():
            start = time.process_time()
            backbone(instances)
            used = 1e3 * (time.process_time() - start) / len(instances)
            best[name] = min(best[name], used)
    return best


def alone_row(backbone: Backbone, instance: Tensor, runs: int) -> Row:
    """Return the row of one instance by itself, as in live recognition."""

    def chosen_by_torch(instance: Tensor) -> Tensor:
        with patch.object(video_resnet, "_needs_onednn", lambda input: False):
            return backbone(instance)

    times = milliseconds({"ours": backbone, "torch": chosen_by_torch}, instance, runs)
    name, baseline = "an instance alone, as trained", "with the convolutions torch chooses"
    return Row(name, times["ours"], "ms", baseline, times["torch"])


@torch.inference_mode()
def rows(short: bool = False) -> list[Row]:
    torch.set_num_threads(1)
    model = load_model(BUNDLED)
    instances = torch.randn(BATCH, 3, model.encoded_length, model.size, model.size)
    backbones = {"onnx": exported_backbone(model), "torch": model.backbone}
    runs = 2 if short else 15
    alone = alone_row(model.backbone, instances[:1], runs)
    times = milliseconds(backbones, instances, runs)
    onnx = Row("an instance, onnx", times["onnx"], "ms", "torch without export", times["torch"])
    return [alone, onnx]


if __name__ == "__main__":
    print(table(rows()))
