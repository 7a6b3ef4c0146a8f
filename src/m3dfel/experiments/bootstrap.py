"""The difference between two groups of runs, with its 95 % interval by a paired bootstrap.

After Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from m3dfel.evaluation.runs import Run, Values

RESAMPLES = 2000
"""R, how many resamples are drawn."""


def paired_difference(old: Sequence[Run], new: Sequence[Run]) -> dict[str, float]:
    """Return how much better the new runs are than the old ones, in percentage points.

    Each resample draws people with all their clips, the same for both groups, and runs within each
    group. The interval thus covers the chance in the choice of test clips and, where groups have
    several runs, that of the seeds. A clip whose person is unknown counts as a person of its own.

    Args:
        old: runs that were measured on the same clips.
        new: runs that were measured on the clips of the old ones.

    Returns:
        For `war` and `uar`: `…_difference`, `…_low` and `…_high`, the last two being the 2.5th and
        97.5th percentiles of the resamples.
    """
    generator = np.random.default_rng(0)
    clips = old[0].clips
    # WAR is the recall of all clips as one class.
    classes = {
        "war": np.ones((len(clips), 1)),
        "uar": pd.get_dummies(clips["emotion"]).to_numpy(np.float64),
    }
    person, people = pd.factorize(clips["identity"].fillna(clips["path"]))
    clip_counts = _draw_counts(len(people), generator)[:, person]
    once = np.ones((1, len(clips)))
    groups = [np.stack([run.clips["right"].to_numpy(np.float64) for run in g]) for g in (old, new)]
    old_mean, new_mean = (right.mean(0, keepdims=True) for right in groups)
    old_means, new_means = (_resample_runs(right, generator) for right in groups)
    differences: dict[str, float] = {}
    for name, one_hot in classes.items():
        difference = _mean_recall(new_mean, once, one_hot) - _mean_recall(old_mean, once, one_hot)
        resampled = _mean_recall(new_means, clip_counts, one_hot)
        resampled -= _mean_recall(old_means, clip_counts, one_hot)
        low, high = np.nanpercentile(resampled, [2.5, 97.5])
        differences |= {
            f"{name}_difference": 100 * difference.item(),
            f"{name}_low": 100 * low,
            f"{name}_high": 100 * high,
        }
    return differences


def _resample_runs(right: Values, generator: np.random.Generator) -> Values:
    """Return which fraction of resampled runs is right on each clip: (runs, M) → (R, M)."""
    return _draw_counts(len(right), generator) / len(right) @ right


def _draw_counts(items: int, generator: np.random.Generator) -> Values:
    """Draw as many items as there are, with replacement: how often each is drawn, (R, items)."""
    counts = generator.multinomial(items, np.full(items, 1 / items), RESAMPLES)
    return counts.astype(np.float64)


def _mean_recall(right: Values, counts: Values, one_hot: Values) -> Values:
    """Return the mean recall of each resample over the classes drawn in it.

    Args:
        right: (R, M), which fraction of the runs is right on each clip.
        counts: (R, M), how often each clip is drawn.
        one_hot: (M, C), the clips' classes.
    """
    with np.errstate(invalid="ignore"):
        recalls = (counts * right) @ one_hot / (counts @ one_hot)
    return np.nanmean(recalls, axis=1)
