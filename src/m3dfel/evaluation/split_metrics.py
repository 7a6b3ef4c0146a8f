"""The metrics of a model on a split, as `results.json` holds them.

Besides the metrics of all clips against their labels, there are those against the annotators' votes
where clips have them, and those of each data set where there are several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from m3dfel.data.dataset import label_distribution
from m3dfel.data.manifest import Clip
from m3dfel.evaluation.measure import SplitOutputs
from m3dfel.evaluation.metrics import compare_with_votes, compute_metrics


def split_metrics(
    outputs: SplitOutputs,
    clips: Sequence[Clip],
    labels: Sequence[str],
    datasets: Sequence[str] = (),
) -> dict[str, Any]:
    """Return all metrics of a model on a split as plain values, ready for JSON.

    Args:
        outputs: the model's outputs on the split.
        clips: of the split.
        labels: the model's label set.
        datasets: the names of the data sets that the clips are from, as in `Manifest`.

    Returns:
        What `Metrics.to_dict` returns; `votes`, what `compare_with_votes` returns, if any of the
        clips have votes; `datasets`, the same for each data set with clips by its name, if there
        are several.

    Raises:
        InputError: logits that are not finite.
    """
    measured = [clips[index] for index in outputs.indices.tolist()]
    metrics = _metrics(outputs.logits, outputs.targets, measured, labels)
    if len(datasets) > 1:
        sources = torch.tensor([clip.dataset for clip in measured])
        metrics["datasets"] = {}
        for index in sources.unique().tolist():
            own = sources == index
            metrics["datasets"][datasets[index]] = _metrics(
                outputs.logits[own],
                outputs.targets[own],
                [clip for clip in measured if clip.dataset == index],
                labels,
            )
    return metrics


def _metrics(
    logits: Tensor, targets: Tensor, clips: Sequence[Clip], labels: Sequence[str]
) -> dict[str, Any]:
    metrics = compute_metrics(logits, targets, labels).to_dict()
    voted = [index for index, clip in enumerate(clips) if clip.votes]
    if voted:
        votes = torch.stack([label_distribution(clips[index], labels) for index in voted])
        metrics["votes"] = compare_with_votes(logits[voted], votes)
    return metrics
