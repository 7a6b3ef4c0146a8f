"""A model's outputs as tables: `clips.csv` (a row per clip) and `instances.csv` (per instance).

Training and `evaluate` both write them, so comparisons, explanations and figures need neither the
model nor the data; `runs.read_run` reads them back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from m3dfel.data.manifest import Clip
from m3dfel.evaluation.measure import SplitOutputs
from m3dfel.files import as_utf8, write_text


def write_outputs(
    folder: Path, splits: Mapping[str, tuple[Sequence[Clip], SplitOutputs]], labels: Sequence[str]
) -> None:
    """Write the outputs of a model on one or more splits.

    Args:
        folder: receives `clips.csv` and `instances.csv`.
        splits: the clips of each split and the model's outputs on them.
        labels: the model's label set.

    Raises:
        InputError: a file cannot be written.
    """
    clips = pd.concat(
        [clip_table(name, clips, outputs, labels) for name, (clips, outputs) in splits.items()]
    )
    instances = pd.concat(
        [instance_table(clips, outputs, labels) for clips, outputs in splits.values()]
    )
    write_text(folder / "clips.csv", clips.to_csv(index=False))
    write_text(folder / "instances.csv", instances.to_csv(index=False))


def clip_table(
    split: str, clips: Sequence[Clip], outputs: SplitOutputs, labels: Sequence[str]
) -> pd.DataFrame:
    """Return a row per clip that could be read.

    Returns:
        Columns: split, path, identity, emotion, predicted, right, confidence, p_<emotion>….
    """
    probabilities = pd.DataFrame(outputs.logits.softmax(1).numpy(), columns=list(labels))
    rows = [clips[i] for i in outputs.indices.tolist()]
    table = pd.DataFrame(
        {
            "split": split,
            "path": [as_utf8(clip.path) for clip in rows],
            "identity": [clip.identity for clip in rows],
            "emotion": [clip.emotion for clip in rows],
            "predicted": probabilities.idxmax(axis=1),
        }
    )
    table["right"] = table["emotion"] == table["predicted"]
    table["confidence"] = probabilities.max(axis=1).round(6)
    return table.join(probabilities.round(6).add_prefix("p_"))


def instance_table(
    clips: Sequence[Clip], outputs: SplitOutputs, labels: Sequence[str]
) -> pd.DataFrame:
    """Return a row per instance of the clips that could be read.

    Returns:
        Columns: path, instance (from 0), evidence_<emotion>….
    """
    paths = [as_utf8(clips[i].path) for i in outputs.indices.tolist()]
    instances = range(outputs.evidence.shape[1])
    return pd.DataFrame(
        outputs.evidence.flatten(0, 1).numpy().round(4),
        index=pd.MultiIndex.from_product([paths, instances], names=["path", "instance"]),
        columns=[f"evidence_{label}" for label in labels],
    ).reset_index()
