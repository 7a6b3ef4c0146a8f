"""Whether the evidence of a model falls on the frames that show the emotion, in drawn clips."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import mannwhitneyu

from m3dfel.data.sampling import centered_indices
from m3dfel.evaluation.runs import Run, Values
from m3dfel.synthetic.clips import is_synthetic, parse_synthetic, target_frames


def localization(run: Run) -> dict[str, float] | None:
    """Measure how well the evidence locates the target frames of synthetic clips.

    A frame's score is its instance's evidence for the clip's emotion minus the mean evidence for
    all emotions. Neutral clips have no target frames and are left out; misclassified clips are not.

    Returns:
        None if there are no such clips, otherwise
        clips: their number.
        frame_auc: the area under the ROC curve of the frames' scores against the target frames,
            computed per clip and averaged; 0.5 is chance.
        pointing: the fraction of clips whose highest-scoring instance contains a target frame.
        pointing_chance: the same for an instance chosen at random.
        target_frames: the fraction of frames that are target frames.
    """
    strength = run.evidence - run.evidence.mean(2, keepdims=True)
    rows = []
    clips = zip(run.clips["path"].astype(str), run.clips["emotion"], strength, strict=True)
    for path, emotion, instances in clips:
        if is_synthetic(path) and emotion != "neutral":
            scores = instances[:, run.labels.index(emotion)]
            rows.append(_localization_in_clip(path, scores, run.frames))
    if not rows:
        return None
    return {"clips": len(rows), **pd.DataFrame(rows).mean()}


def sampled_target_frames(path: str, frames: int) -> npt.NDArray[np.bool_]:
    """Return which frames are target frames, of the T that evaluation samples: bool (T,)."""
    clip = parse_synthetic(path)
    return target_frames(clip)[centered_indices(clip.n_frames, frames).numpy()]


def _localization_in_clip(path: str, scores: Values, frames: int) -> dict[str, float]:
    """Return what is measured of one clip.

    The scores are those of the instances, (N,). The AUC is nan if it is not defined, because all or
    none of the frames are target frames.
    """
    targets = sampled_target_frames(path, frames)
    hits: npt.NDArray[np.bool_] = targets.reshape(len(scores), -1).max(1)
    frame_scores = np.repeat(scores, frames // len(scores))
    auc = np.nan
    if targets.any() and not targets.all():
        pairs = targets.sum() * (~targets).sum()
        auc = mannwhitneyu(frame_scores[targets], frame_scores[~targets]).statistic / pairs
    return {
        "frame_auc": auc,
        "pointing": float(hits[scores.argmax()]),
        "pointing_chance": float(hits.mean()),
        "target_frames": float(targets.mean()),
    }
