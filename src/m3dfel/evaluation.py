"""A trained model on a split: the same clips, the same numbers, every time.

`measure` is what training calls after each epoch; `evaluate` is the whole command, from a manifest
to results on disk: `results.json` (metrics), `clips.csv` (one row a clip), `confusion.png`.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from m3dfel.data.dataset import Batch, EvaluationClips, evaluation_loader
from m3dfel.data.manifest import Clip, read_manifest, restrict
from m3dfel.errors import InputError
from m3dfel.files import write_text
from m3dfel.metrics import Metrics, compute_metrics
from m3dfel.models.m3dfel import M3DFEL

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measured:
    """What a model said of a split, on every process alike, in the order of the split.

    Attributes:
        indices: int64 (M,), places of the clips in the split; fewer than the split has where clips
            could not be read.
        logits: float32 (M, classes).
        targets: int64 (M,).
    """

    indices: Tensor
    logits: Tensor
    targets: Tensor


def measure(model: M3DFEL, batches: Iterable[Batch | None]) -> Measured:
    """Run a model over evaluation batches; across processes, every one gets the whole.

    Args:
        model: in evaluation mode or not; it is left as it was.
        batches: of an evaluation loader, this process's share.

    Raises:
        InputError: not one clip could be read.
    """
    device = model.mean.device
    was_training = model.training
    model.eval()
    parts = []
    with torch.inference_mode():
        for batch in batches:
            if batch is not None:
                logits = model(model.normalize(batch["clips"].to(device))).float().cpu()
                parts.append((batch["indices"], logits, batch["targets"]))
    model.train(was_training)
    if dist.is_initialized():
        everyone: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(everyone, parts)
        parts = [part for share in everyone for part in share]
    if not parts:
        raise InputError("not one clip of the split could be read: run `m3dfel data check`")
    indices, logits, targets = (torch.cat(column) for column in zip(*parts, strict=True))
    order = indices.argsort()
    return Measured(indices[order], logits[order], targets[order])


def metrics_of(measured: Measured, labels: Sequence[str]) -> Metrics:
    """Return the metrics of what was measured."""
    return compute_metrics(measured.logits, measured.targets, labels)


def choose_split(clips: Sequence[Clip], wanted: str | None) -> tuple[str, list[Clip]]:
    """Return the split to measure: the one wanted, else test, else val, else all there is.

    Raises:
        InputError: the split wanted has no clips.
    """
    splits = Counter(clip.split for clip in clips)
    name = wanted or next((split for split in ("test", "val") if splits[split]), "all")
    chosen = [clip for clip in clips if name in (clip.split, "all")]
    if not chosen:
        raise InputError(f"no clips in the split {name!r}: there are {', '.join(splits)}")
    return name, chosen


def evaluate(
    model: M3DFEL,
    data: str,
    output: str,
    split: str | None = None,
    fold: int = 1,
    batch_size: int = 16,
    workers: int = 2,
) -> dict[str, Any]:
    """Measure a model on a data set and write what came out.

    Clips of an emotion outside the model's label set, and clips that cannot be read, are left out
    and counted.

    Args:
        model: on the device it shall run on.
        data: what `read_manifest` reads.
        output: folder for `results.json` and `clips.csv`.
        split: `train`, `val`, `test` or `all`; None for test, else val, else all.
        fold: the official fold (DFEW).
        batch_size: clips at once.
        workers: processes that read clips.

    Returns:
        What `results.json` holds.

    Raises:
        InputError: the data or the split cannot be used.
    """
    manifest = read_manifest(data, fold)
    name, clips = choose_split(manifest.clips, split)
    known = restrict(clips, model.labels)
    if not known:
        raise InputError(
            f"{data} has no clip of the model's emotions ({', '.join(model.labels)}) in {name}"
        )
    loader = evaluation_loader(
        EvaluationClips(known, model.labels, model.frames, model.size, model.zoom),
        batch_size,
        workers,
    )
    measured = measure(model, _with_progress(loader, name))
    results = metrics_of(measured, model.labels).to_dict() | {
        "data": data,
        "split": name,
        "clips": len(measured.indices),
        "left_out": {
            "problems": len(manifest.problems),
            "outside_label_set": len(clips) - len(known),
            "unreadable": len(known) - len(measured.indices),
        },
    }
    folder = Path(output)
    write_text(folder / "clips.csv", clip_table(known, measured, model.labels).to_csv(index=False))
    write_text(folder / "results.json", json.dumps(results, indent=2))
    return results


def _with_progress(loader: DataLoader[Any], split: str) -> Iterable[Batch | None]:
    return track(loader, f"measuring {split}", console=Console(stderr=True), transient=True)


def clip_table(clips: Sequence[Clip], measured: Measured, labels: Sequence[str]) -> pd.DataFrame:
    """Return one row a measured clip: path, emotion, predicted, right, confidence, p_<emotion>."""
    probabilities = measured.logits.softmax(1)
    confidence, predicted = probabilities.max(1)
    rows = [clips[i] for i in measured.indices.tolist()]
    table = pd.DataFrame(
        {
            "path": [clip.path for clip in rows],
            "emotion": [clip.emotion for clip in rows],
            "predicted": [labels[i] for i in predicted.tolist()],
        }
    )
    table["right"] = table["emotion"] == table["predicted"]
    table["confidence"] = confidence.numpy().round(6)
    for place, label in enumerate(labels):
        table[f"p_{label}"] = probabilities[:, place].numpy().round(6)
    return table
