"""Measure a run's models, choose the epochs that are reported, and write the results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from m3dfel.config import TrainConfig
from m3dfel.data.batches import evaluation_loader
from m3dfel.data.dataset import EvaluationClips
from m3dfel.data.manifest import Clip, Manifest
from m3dfel.evaluation.measure import SplitOutputs, measure
from m3dfel.evaluation.outputs import write_outputs
from m3dfel.evaluation.split_metrics import split_metrics
from m3dfel.files import write_text
from m3dfel.models.checkpoints import load_model, save_model
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.training.calibration import calibrate, prior_shift
from m3dfel.training.clips import class_counts, draw_weights
from m3dfel.training.environment import environment_info
from m3dfel.training.movement_classifier import (
    learn_movement_classifier,
    learns_movement_classifier,
)
from m3dfel.training.run_folder import use_calibrated_model


def measure_split(
    fabric: Fabric,
    model: M3DFEL,
    clips: Sequence[Clip],
    config: TrainConfig,
    *,
    mixed: bool = False,
) -> SplitOutputs:
    """Return a model's outputs on the clips of a split; each process measures a part of them.

    Args:
        fabric: the processes, and the precision of the run.
        model: on Fabric's device.
        clips: of the split.
        config: of the run.
        mixed: use the precision of the run, which is faster if it is mixed: enough to compare
            epochs. Otherwise single precision, as `evaluate` does.
    """
    optim = config.optim
    loader = evaluation_loader(
        EvaluationClips(model, clips, config.data.window_s),
        max(optim.batch_size // (optim.accumulate * fabric.world_size), 1),
        config.workers,
        fabric.global_rank,
        fabric.world_size,
        pin_memory=fabric.device.type == "cuda",
    )
    with fabric.autocast() if mixed else nullcontext():
        return measure(model, loader)


def best_epoch(history: list[dict[str, Any]], split: str, metric: str) -> dict[str, Any] | None:
    """Return the first epoch with the highest metric on a split, None if it was never measured.

    Args:
        history: a row per epoch.
        split: `val` or `test`.
        metric: `war`, `uar`, or `mean`, the mean of both.
    """
    names = ("war", "uar") if metric == "mean" else (metric,)
    return max(
        (row for row in history if split in row),
        key=lambda row: sum(row[split][name] for name in names),
        default=None,
    )


def reported_epochs(history: list[dict[str, Any]], config: TrainConfig) -> dict[str, Any]:
    """Return copies of the epochs that are reported, by how they were chosen."""
    epochs = {"last": history[-1], "best_on_val": best_epoch(history, "val", config.select_metric)}
    if config.test_every_epoch:
        epochs["best_on_test"] = best_epoch(history, "test", config.select_metric)
    return {choice: dict(row) for choice, row in epochs.items() if row}


def write_results(
    fabric: Fabric,
    config: TrainConfig,
    manifest: Manifest,
    splits: dict[str, list[Clip]],
    model: M3DFEL,
    history: list[dict[str, Any]],
    best_outputs: SplitOutputs | None,
) -> dict[str, Any]:
    """Calibrate the best model, measure it on test, and write the results of a run.

    The final model is the best one on val, calibrated there; without validation clips, the last.

    Args:
        fabric: the processes of the run.
        config: of the run.
        manifest: of its data.
        splits: its clips.
        model: after the last epoch.
        history: a row per epoch.
        best_outputs: of the best epoch on val, if this process has measured it.

    Returns:
        The content of `results.json`.
    """
    folder, labels = Path(config.output), model.labels
    measured = {name: splits[name] for name in ("val", "test") if splits[name]}
    epochs = reported_epochs(history, config)
    final_model, final_row = model, epochs["last"]
    final_outputs: dict[str, tuple[list[Clip], SplitOutputs]] = {}
    if "val" in measured:
        final_model = load_model(str(folder / "best")).to(fabric.device)
    if learns_movement_classifier(config):
        learn_movement_classifier(final_model, splits["train"], config)
        best_outputs = None  # measured without it
    if "val" in measured:
        # The best epoch was before this run was resumed, or was measured in mixed precision.
        if best_outputs is None or config.precision != "32-true":
            best_outputs = measure_split(fabric, final_model, splits["val"], config)
        counts = class_counts(splits["train"], config)
        drawn = class_counts(splits["train"], config, draw_weights(splits["train"], config.data))
        shift = prior_shift(counts, drawn, config.data.prior_correction)
        calibration = calibrate(final_model, best_outputs, shift, config.target_accuracy)
        final_outputs["val"] = splits["val"], calibration.outputs
        final_row = epochs["calibrated"] = {
            "epoch": epochs["best_on_val"]["epoch"],
            "temperature": calibration.temperature,
            "ece_before": calibration.ece_before,
            **asdict(calibration.answers),
            "val": split_metrics(calibration.outputs, splits["val"], labels, manifest.datasets),
        }
    if "test" in measured:
        outputs = measure_split(fabric, final_model, splits["test"], config)
        final_outputs["test"] = splits["test"], outputs
        final_row["test"] = split_metrics(outputs, splits["test"], labels, manifest.datasets)
        if "test" not in epochs["last"]:
            outputs = measure_split(fabric, model, splits["test"], config, mixed=True)
            metrics = split_metrics(outputs, splits["test"], labels, manifest.datasets)
            epochs["last"]["test"] = metrics
    results = {
        **epochs,
        "selected_by": f"val {config.select_metric}",
        "seed": config.seed,
        "clips": {name: len(clips) for name, clips in measured.items()},
        "history": history,
        "environment": environment_info(fabric),
        "dataset": manifest.dataset,
        "frames": model.frames,
    }
    if fabric.is_global_zero:
        if "val" in measured:
            save_model(final_model, folder / "calibrated")
        elif learns_movement_classifier(config):
            save_model(final_model, folder / "last")
        if final_outputs:
            write_outputs(folder, final_outputs, labels)
        write_text(folder / "results.json", json.dumps(results, indent=2))
        use_calibrated_model(folder)
    fabric.barrier()
    return results
