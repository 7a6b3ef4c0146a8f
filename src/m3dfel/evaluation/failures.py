"""Explain a model's failures: wrong instances, or only wrong fusion?

The replication of M3DFEL found that failures come from the classification of the instances, not
from their fusion; `failure_causes` tests this for any finished run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from m3dfel.evaluation.runs import Run


def failure_causes(run: Run) -> pd.DataFrame:
    """Return a row per misclassified clip with the cause of the failure, the most confident first.

    An instance predicts the emotion with its largest evidence; the decisive instance is the one
    with the largest margin between its first and its second emotion. The cause is `fusion` if the
    decisive instance predicts the true emotion, since that instance alone would have been right;
    otherwise it is `classification`. (It is not enough that any instance is right: among sixteen
    instances that guess, nearly always one is.)

    Returns:
        Columns: path, emotion, predicted, confidence, decisive (the prediction of the decisive
        instance), instances_right (how many instances predict the true emotion), cause.
    """
    ranked = np.sort(run.evidence, axis=2)
    decisive = (ranked[:, :, -1] - ranked[:, :, -2]).argmax(1)
    predictions = np.array(run.labels)[run.evidence.argmax(2)]
    emotions = run.clips["emotion"].to_numpy(str)
    table = run.clips[["path", "emotion", "predicted", "confidence"]].copy()
    table["decisive"] = predictions[np.arange(len(predictions)), decisive]
    table["instances_right"] = (predictions == emotions[:, None]).sum(1)
    right = table["decisive"] == table["emotion"]
    table["cause"] = np.where(right, "fusion", "classification")
    wrong = table[~run.clips["right"]]
    return wrong.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)


def count_causes(failed: pd.DataFrame, clips: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Count the failures of each emotion by cause.

    Args:
        failed: the table of `failure_causes`.
        clips: the clips of the run.
        labels: the label set.

    Returns:
        A row per emotion and one for all. Columns: emotion, clips, wrong, classification, fusion.
    """
    columns = ["clips", "wrong", "classification", "fusion"]
    counts = pd.crosstab(failed["emotion"], failed["cause"])
    counts = counts.reindex(index=list(labels), columns=columns)
    counts["clips"] = clips["emotion"].value_counts()
    counts["wrong"] = failed["emotion"].value_counts()
    counts = counts.fillna(0).astype(int)
    counts.loc["all"] = counts.sum()
    return counts.rename_axis(index="emotion", columns=None).reset_index()
