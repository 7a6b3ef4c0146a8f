"""A trained model on a split: the same clips, the same numbers, every time.

`measure` is what training calls after each epoch; `evaluate` is the whole command, from a manifest
to results on disk: `results.json` (metrics), `clips.csv` (one row a clip) and `instances.csv` (one
row an instance). Trainings end with the same files, so that whatever compares, explains or draws
reads folders and needs no model.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from m3dfel.data.batches import Batch, evaluation_loader
from m3dfel.data.dataset import EvaluationClips
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.splits import keep_labels
from m3dfel.errors import InputError
from m3dfel.evaluation.metrics import Metrics, compute_metrics
from m3dfel.files import write_text
from m3dfel.models.m3dfel import M3DFEL

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitOutputs:
    """What a model said of a split, on every process alike, in the order of the split.

    Attributes:
        indices: int64 (M,), places of the clips in the split; fewer than the split has where clips
            could not be read.
        logits: float32 (M, classes).
        targets: int64 (M,).
        evidence: float32 (M, N, classes), what each instance adds to the logits.
    """

    indices: Tensor
    logits: Tensor
    targets: Tensor
    evidence: Tensor

    def calibrated(self, shift: Tensor, temperature: float) -> SplitOutputs:
        """Return the same with `shift`, (classes,), added to the logits and these then divided."""
        instances = self.evidence.shape[1]
        return replace(
            self,
            logits=(self.logits + shift) / temperature,
            evidence=(self.evidence + shift / instances) / temperature,
        )


def measure(model: M3DFEL, batches: Iterable[Batch | None]) -> SplitOutputs:
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
                logits, evidence = model.explain(model.normalize(batch["clips"].to(device)))
                told = logits.float().cpu(), batch["targets"], evidence.float().cpu()
                parts.append((batch["indices"], *told))
    model.train(was_training)
    if dist.is_initialized():
        everyone: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(everyone, parts)
        parts = [part for share in everyone for part in share]
    if not parts:
        raise InputError("not one clip of the split could be read: run `m3dfel data check`")
    indices, *columns = (torch.cat(column) for column in zip(*parts, strict=True))
    order = indices.argsort()
    return SplitOutputs(indices[order], *(column[order] for column in columns))


def split_metrics(measured: SplitOutputs, labels: Sequence[str]) -> Metrics:
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
        output: folder for `results.json`, `clips.csv` and `instances.csv`.
        split: `train`, `val`, `test` or `all`; None for test, else val, else all.
        fold: the official fold (DFEW).
        batch_size: clips at once.
        workers: processes that read clips.

    Returns:
        What `results.json` holds.

    Raises:
        InputError: the data or the split cannot be used.
    """
    manifest = read_manifest(data, fold, model.labels)
    name, clips = choose_split(manifest.clips, split)
    known = keep_labels(clips, model.labels)
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
    results = split_metrics(measured, model.labels).to_dict() | {
        "data": data,
        "dataset": manifest.dataset,
        "split": name,
        "frames": model.frames,
        "clips": len(measured.indices),
        "left_out": {
            "problems": len(manifest.problems),
            "outside_label_set": len(clips) - len(known),
            "unreadable": len(known) - len(measured.indices),
        },
    }
    folder = Path(output)
    write_outputs(folder, {name: (known, measured)}, model.labels)
    write_text(folder / "results.json", json.dumps(results, indent=2))
    return results


def _with_progress(loader: DataLoader[Any], split: str) -> Iterable[Batch | None]:
    return track(loader, f"measuring {split}", console=Console(stderr=True), transient=True)


def write_outputs(
    folder: Path, answers: Mapping[str, tuple[Sequence[Clip], SplitOutputs]], labels: Sequence[str]
) -> None:
    """Write what a model said of some splits: `clips.csv` and `instances.csv`.

    Args:
        folder: receives both.
        answers: of each split, its clips and what was measured.
        labels: the model's label set.
    """
    clips = pd.concat([clip_table(n, c, m, labels) for n, (c, m) in answers.items()])
    instances = pd.concat([instance_table(c, m, labels) for c, m in answers.values()])
    write_text(folder / "clips.csv", clips.to_csv(index=False))
    write_text(folder / "instances.csv", instances.to_csv(index=False))


def clip_table(
    split: str, clips: Sequence[Clip], measured: SplitOutputs, labels: Sequence[str]
) -> pd.DataFrame:
    """Return a row a measured clip.

    Its columns: split, path, identity, emotion, predicted, right, confidence, p_<emotion>….
    """
    probabilities = measured.logits.softmax(1)
    confidence, predicted = probabilities.max(1)
    rows = [clips[i] for i in measured.indices.tolist()]
    emotions = [clip.emotion for clip in rows]
    table = pd.DataFrame(
        {
            "split": split,
            "path": [clip.path for clip in rows],
            "identity": [clip.identity for clip in rows],
            "emotion": emotions,
        }
    )
    table["predicted"] = [labels[i] for i in predicted.tolist()]
    table["right"] = table["emotion"] == table["predicted"]
    table["confidence"] = confidence.numpy().round(6)
    shares = pd.DataFrame(probabilities.numpy().round(6), columns=[f"p_{e}" for e in labels])
    return pd.concat([table, shares], axis=1)


def instance_table(
    clips: Sequence[Clip], measured: SplitOutputs, labels: Sequence[str]
) -> pd.DataFrame:
    """Return a row an instance: path, instance (from 0), evidence_<emotion>."""
    instances = measured.evidence.shape[1]
    paths = [clips[i].path for i in measured.indices.tolist()]
    table = pd.DataFrame(
        measured.evidence.flatten(0, 1).numpy().round(4), columns=[f"evidence_{e}" for e in labels]
    )
    table.insert(0, "path", np.repeat(paths, instances))
    table.insert(1, "instance", list(range(instances)) * len(paths))
    return table
