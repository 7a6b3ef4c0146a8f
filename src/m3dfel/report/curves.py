"""Training curves of the last stage: the loss, and WAR and UAR on the validation clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from m3dfel.report.style import INK, RULE, add_axes, new_figure


def plot_curves(histories: Mapping[str, Sequence[dict[str, Any]]]) -> Figure:
    """Draw the training curves of one or more runs.

    Args:
        histories: from the run's name to the `history` of its `results.json`.
    """
    left, width, gap, height, top, bottom = 0.6, 3.2, 0.6, 2.2, 0.35, 0.4
    figure = new_figure(left + 3 * width + 2 * gap + 0.2, top + height + bottom)
    for index, (title, read) in enumerate(_CURVES.items()):
        axes = add_axes(figure, left + index * (width + gap), bottom, width, height)
        for name, history in histories.items():
            values = [read(row) for row in history]
            axes.plot([row["epoch"] for row in history], values, linewidth=1.6, label=name)
        axes.set_title(title, size=9.5, color=INK)
        axes.grid(color=RULE, linewidth=0.5)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if index == 0 and len(histories) > 1:
            axes.legend(fontsize=7.5, frameon=False)
    return figure


def _on_validation(metric: str) -> Callable[[dict[str, Any]], float]:
    return lambda row: 100 * row["val"][metric] if "val" in row else np.nan


_CURVES: dict[str, Callable[[dict[str, Any]], float]] = {
    "training loss": lambda row: row["loss"],
    "validation WAR, %": _on_validation("war"),
    "validation UAR, %": _on_validation("uar"),
}
