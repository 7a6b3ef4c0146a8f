"""The recall of each emotion in percent as bars, for one run or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from m3dfel.emotions import colors
from m3dfel.report.style import MUTED, PLAIN, RULE, add_axes, new_figure, percent, text_width

_LABEL: dict[str, Any] = {"size": 8.5}


def plot_recalls(results: Mapping[str, dict[str, Any]]) -> Figure:
    """Draw the recall of each emotion: the colors of the emotions for one run, else of the runs.

    Args:
        results: from the run's name to what `Metrics.to_dict` returns.
    """
    labels = next(iter(results.values()))["labels"]
    left, height, top, bottom = 0.6, 2.2, 0.35, 0.4
    # Seven labels have 9.45 inches; more stand closer, as far as their words allow.
    widest = max(text_width(label, **_LABEL) for label in labels)
    width = len(labels) * max(widest + 0.15, min(1.35, 9.45 / len(labels)))
    figure = new_figure(left + width + 0.2, top + height + bottom)
    axes = add_axes(figure, left, bottom, width, height)
    bar = 0.8 / len(results)
    for index, (name, result) in enumerate(results.items()):
        x = np.arange(len(labels)) + (index - (len(results) - 1) / 2) * bar
        recalls = [result["recall"][label] for label in labels]
        bars = axes.bar(x, [100 * (recall or 0) for recall in recalls], 0.92 * bar, label=name)
        if len(results) == 1:
            for patch, color in zip(bars, colors(labels).values(), strict=True):
                patch.set_color(color)
            words = ["no clips" if recall is None else percent(recall) for recall in recalls]
            # So that no line of the grid goes through a number.
            paper = {"facecolor": "white", "linewidth": 0, "pad": 0.5}
            axes.bar_label(bars, words, size=8, color=MUTED, bbox=paper)
    axes.set_ylim(0, 105)
    axes.set_xticks(range(len(labels)), labels, **PLAIN)
    axes.grid(axis="y", color=RULE, linewidth=0.5)
    axes.tick_params(labelsize=_LABEL["size"])
    if len(results) > 1:
        axes.legend(fontsize=7.5, frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1, 1))
    return figure
