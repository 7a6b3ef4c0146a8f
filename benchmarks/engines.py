"""What the engines of exported models save, and what they change, beside torch.

    python benchmarks/engines.py [MODEL DATA] [--per_class 100]

Exports a model (the bundled one) to each format whose packages are installed, and runs the
backbones, one thread, in turns. With MODEL and DATA it also measures each on clips of val, as well
as 8-bit numbers and the 16 bits of torch, and says how far the probabilities move.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import torch
from rows import Row, table
from torch import Tensor

from m3dfel.data.batches import evaluation_loader
from m3dfel.data.dataset import EvaluationClips
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.splits import keep_labels
from m3dfel.errors import InputError
from m3dfel.evaluation.measure import SplitOutputs, measure
from m3dfel.models.backbones import video_resnet
from m3dfel.models.checkpoints import BUNDLED, load_model
from m3dfel.models.exported import calibration_instances, export_model
from m3dfel.models.formats import FORMATS
from m3dfel.models.m3dfel import M3DFEL

BATCH = 16

Backbone = Callable[[Tensor], Tensor]


def exported_backbones(model: M3DFEL, calibration: Tensor | None = None) -> dict[str, Backbone]:
    """Return the backbone in each engine that is installed; in 8 bits if there is calibration."""
    variants = [(name, name, None) for name in FORMATS]
    if calibration is not None:
        variants.append(("openvino, 8 bits", "openvino", calibration))
    backbones: dict[str, Backbone] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, format, instances in variants:
            folder = Path(temporary, name)
            try:
                export_model(model, folder, format, instances)
                backbones[name] = load_model(str(folder)).backbone
            except InputError as error:
                print(f"{name}: left out: {error}", flush=True)
    return backbones


def bfloat16(backbone: Backbone) -> Backbone:
    def run(instances: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return backbone(instances).float()

    return run


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


def as_rows(times: dict[str, float]) -> list[Row]:
    return [
        Row(f"an instance, {name}", time, "ms", "torch without export", times["as trained"])
        for name, time in times.items()
        if name != "as trained"
    ]


def alone_row(backbone: Backbone, instance: Tensor, runs: int) -> Row:
    """Return the row of one instance by itself, as in live recognition."""

    def chosen_by_torch(instance: Tensor) -> Tensor:
        with patch.object(video_resnet, "_is_alone", lambda input: False):
            return backbone(instance)

    times = milliseconds({"ours": backbone, "torch": chosen_by_torch}, instance, runs)
    name, baseline = "an instance alone, as trained", "with the convolutions torch chooses"
    return Row(name, times["ours"], "ms", baseline, times["torch"])


@torch.inference_mode()
def rows(short: bool = False) -> list[Row]:
    torch.set_num_threads(1)
    model = load_model(BUNDLED)
    instances = torch.randn(BATCH, 3, model.encoded_length, model.size, model.size)
    backbones = {"as trained": model.backbone, **exported_backbones(model)}
    runs = 2 if short else 15
    alone = alone_row(model.backbone, instances[:1], runs)
    return [alone, *as_rows(milliseconds(backbones, instances, runs))]


# --- accuracy ------------------------------------------------------------------------------------


def val_clips(model: M3DFEL, data: str, per_class: int) -> list[Clip]:
    """Return so many clips of each class: UAR is the same on average as on all of them."""
    of_class: dict[str, list[Clip]] = {}
    for clip in keep_labels(read_manifest(data, labels=model.labels).split("val"), model.labels):
        of_class.setdefault(clip.emotion, []).append(clip)
    return [
        clip
        for clips in of_class.values()
        for clip in clips[:: max(len(clips) // per_class, 1)][:per_class]
    ]


def outputs_with(model: M3DFEL, backbone: Backbone, clips: list[Clip]) -> SplitOutputs:
    """Return the outputs of a model with its backbone replaced, on clips."""
    data = EvaluationClips.of(model, clips)
    original, model.backbone = model.backbone, torch.nn.Identity()
    model.backbone.forward = lambda instances: backbone(instances)
    try:
        return measure(model, evaluation_loader(data, BATCH, workers=0))
    finally:
        model.backbone = original


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("data", nargs="?")
    parser.add_argument("--per_class", type=int, default=100)
    options = parser.parse_args()
    if not options.data:
        print(table(rows()))
        return
    torch.set_num_threads(1)
    model = load_model(options.model)
    calibration = calibration_instances(model, options.data)
    backbones = {
        "as trained": model.backbone,
        "torch, 16 bits": bfloat16(model.backbone),
        **exported_backbones(model, calibration),
    }
    times = milliseconds(backbones, calibration[:BATCH].contiguous(), runs=10)
    print(f"{table(as_rows(times))}\n")
    clips = val_clips(model, options.data, options.per_class)
    reference = outputs_with(model, model.backbone, clips).logits.softmax(1)
    for name, backbone in backbones.items():
        outputs = outputs_with(model, backbone, clips)
        metrics = outputs.metrics(model.labels)
        moved = (outputs.logits.softmax(1) - reference).abs()
        print(
            f"{name:20} {len(outputs.indices)} clips: WAR {100 * metrics.war:.1f} %, "
            f"UAR {100 * metrics.uar:.1f} %; probabilities move by {moved.mean():.4f} on average, "
            f"{moved.max():.4f} at most",
            flush=True,
        )


if __name__ == "__main__":
    main()
