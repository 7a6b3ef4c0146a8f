"""Why a model fails: were the instances wrong, or only their fusion? And where does it look?

It reads what a finished run or an evaluation left in its folder. The replication of M3DFEL found
that failures lie in the classification of the instances, not in their fusion; `causes` asks the
same of any model. On drawn clips, whose every frame is known, `localization` measures whether the
evidence lies on the frames that show the emotion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import mannwhitneyu

from m3dfel.data.sampling import centred_indices
from m3dfel.evaluation.runs import Run, Values
from m3dfel.synthetic.clips import is_synthetic, parse_synthetic, target_frames


def failure_causes(run: Run) -> pd.DataFrame:
    """Return a row a wrong clip, the most confident first, with the cause of the failure.

    An instance's own answer is the emotion that its evidence speaks for most, and the decisive
    instance the one whose evidence for its answer stands highest above that for the runner-up. The
    cause is `fusion` where the decisive instance has the true emotion: to listen to it alone would
    have been right. Else it is `classification`. (That any instance be right would ask less of
    larger bags: of sixteen instances that guess, nearly always one is right.)

    Returns:
        Columns: path, emotion, predicted, confidence, decisive (the decisive instance's answer),
        instances_right (how many instances answer with the true emotion), cause.
    """
    ranked = np.sort(run.evidence, axis=2)
    decisive = (ranked[:, :, -1] - ranked[:, :, -2]).argmax(1)
    answers = np.array(run.labels)[run.evidence.argmax(2)]
    emotions = run.clips["emotion"].to_numpy(str)
    table = run.clips[["path", "emotion", "predicted", "confidence"]].copy()
    table["decisive"] = answers[np.arange(len(answers)), decisive]
    table["instances_right"] = (answers == emotions[:, None]).sum(1)
    right = table["decisive"] == table["emotion"]
    table["cause"] = np.where(right, "fusion", "classification")
    wrong = table[~run.clips["right"]]
    return wrong.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)


def count_causes(failed: pd.DataFrame, clips: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Return a row an emotion, and one for all: clips, wrong, classification, fusion.

    Args:
        failed: of `causes`.
        clips: of the run.
        labels: the label set.
    """
    counts = pd.DataFrame(
        {
            "clips": clips["emotion"].value_counts(),
            "wrong": failed["emotion"].value_counts(),
            **{
                cause: failed.loc[failed["cause"] == cause, "emotion"].value_counts()
                for cause in ("classification", "fusion")
            },
        }
    )
    counts = counts.reindex(list(labels)).fillna(0).astype(int)
    counts.loc["all"] = counts.sum()
    return counts.rename_axis("emotion").reset_index()


def localization(run: Run) -> dict[str, float] | None:
    """Return how well the evidence finds the frames that show the emotion, on drawn clips.

    A frame's score is what its instance says for the clip's emotion, over the mean of all emotions.
    Neutral clips, in which no frame is a target, are left out; clips need not be recognised.

    Returns:
        clips: how many were looked at. frame_auc: area under the ROC curve of the frames' scores
        against the target frames, within each clip, then the mean; one half is chance. pointing:
        share of the clips whose strongest instance shows at least one target frame.
        pointing_chance: the same of an instance drawn at random. target_frames: their share. None
        where the clips are not drawn.
    """
    strength = run.evidence - run.evidence.mean(2, keepdims=True)
    found = []
    named = zip(run.clips["path"].astype(str), run.clips["emotion"], strict=True)
    for (path, emotion), instances in zip(named, strength, strict=True):
        if is_synthetic(path) and emotion != "neutral":
            scores = instances[:, run.labels.index(emotion)]
            found.append(_located(path, scores, run.frames))
    if not found:
        return None
    auc, pointing, chance, target = np.nanmean(found, axis=0).tolist()
    return {
        "clips": len(found),
        "frame_auc": auc,
        "pointing": pointing,
        "pointing_chance": chance,
        "target_frames": target,
    }


def sampled_target_frames(path: str, frames: int) -> npt.NDArray[np.bool_]:
    """Return which of the frames that a model sees of a drawn clip show its emotion: bool (T,)."""
    clip = parse_synthetic(path)
    return target_frames(clip)[centred_indices(clip.n_frames, frames).numpy()]


def _located(path: str, scores: Values, frames: int) -> tuple[float, float, float, float]:
    """Return of a drawn clip the AUC, whether the strongest instance hits, chance, target share."""
    target = sampled_target_frames(path, frames)
    hit: npt.NDArray[np.bool_] = target.reshape(len(scores), -1).max(1)
    each = np.repeat(scores, frames // len(scores))
    auc = np.nan
    if target.any() and not target.all():
        pairs = target.sum() * (~target).sum()
        auc = mannwhitneyu(each[target], each[~target]).statistic / pairs
    return auc, float(hit[scores.argmax()]), float(hit.mean()), float(target.mean())
