"""The evidence of one clip's instances over time: one step line per emotion."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from m3dfel.emotions import colors
from m3dfel.evaluation.runs import Run
from m3dfel.experiments.localization import sampled_target_frames
from m3dfel.report.spans import Values
from m3dfel.report.style import INK, MUTED, PLAIN, RULE, TARGET, add_axes, new_figure, text_width
from m3dfel.synthetic.clips import is_synthetic

_LEGEND = 7.5  # points


def relative_evidence(evidence: Values) -> Values:
    """Return evidence (N, C) relative to its mean over the emotions.

    Softmax depends on differences only, so the mean carries no meaning.
    """
    return evidence - evidence.mean(1, keepdims=True)


def plot_clip_evidence(run: Run, clip: int, title: str) -> Figure:
    """Draw the evidence of each instance of a clip, relative to the mean over all emotions.

    The three emotions with the strongest evidence are named, the others are pale. The target
    frames, which show the emotion, are shaded where they are known.

    Args:
        run: a finished run.
        clip: its index in `run.clips`.
        title: of the figure.
    """
    labels, path = run.labels, str(run.clips["path"][clip])
    strength = relative_evidence(run.evidence[clip])
    strongest = strength.max(0).argsort()[::-1][:3]
    legend_width = max(text_width(labels[index], _LEGEND) for index in strongest) + 0.6
    figure = new_figure(max(5.55, 4.4 + legend_width), 1.9)
    axes = add_axes(figure, 0.6, 0.35, 3.8, 1.2)
    axes.set_title(title, size=8.5, loc="left", color=INK, **PLAIN)
    for index, (label, color) in enumerate(colors(labels).items()):
        named = index in strongest
        style: dict[str, Any] = {"linewidth": 1.8 if named else 0.8, "alpha": 1.0 if named else 0.4}
        values = [*strength[:, index], strength[-1, index]]
        legend = label if named else None
        axes.step(range(len(values)), values, where="post", color=color, label=legend, **style)
    if is_synthetic(path):
        width = len(strength) / run.frames
        for frame in np.flatnonzero(sampled_target_frames(path, run.frames)):
            axes.axvspan(frame * width, (frame + 1) * width, color=TARGET, linewidth=0, zorder=0)
    axes.axhline(0, color=RULE, linewidth=0.8)
    axes.set(xlim=(0, len(strength)))
    axes.set_ylabel("logit", size=7, color=MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=len(strength)))
    axes.tick_params(labelsize=7, labelcolor=MUTED)
    axes.legend(fontsize=_LEGEND, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure
