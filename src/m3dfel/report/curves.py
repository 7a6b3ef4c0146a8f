"""Training curves of the last stage: the loss, and WAR and UAR on the validation clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from m3dfel.report.style import INK, RULE, add_axes, new_figure

# The values of a row of the history, missing where nothing was validated: title and scale.
_CURVES = {
    "loss": ("training loss", 1),
    "val.war": ("validation WAR, %", 100),
    "val.uar": ("validation UAR, %", 100),
}


def plot_curves(histories: Mapping[str, Sequence[dict[str, Any]]]) -> Figure:
    """Draw the training curves of one or more runs.

    Args:
        histories: from the run's name to the `history` of its `results.json`.
    """
    left, width, gap, height, top, bottom = 0.6, 3.2, 0.6, 2.2, 0.35, 0.4
    figure = new_figure(left + 3 * width + 2 * gap + 0.2, top + height + bottom)
    for index, (value, (title, scale)) in enumerate(_CURVES.items()):
        axes = add_axes(figure, left + index * (width + gap), bottom, width, height)
        for name, history in histories.items():
            table = pd.json_normalize(list(history)).reindex(columns=["epoch", value])
            axes.plot(table["epoch"], scale * table[value], linewidth=1.6, label=name)
        axes.set_title(title, size=9.5, color=INK)
        axes.grid(color=RULE, linewidth=0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if index == 0 and len(histories) > 1:
            axes.legend(fontsize=7.5, frameon=False)
    return figure
