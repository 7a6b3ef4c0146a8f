"""The figure of an ablation or a comparison of methods: each row, and its difference to the first.

It is drawn from the table that `experiments.ablate` and `experiments.compare` return.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from m3dfel.report.style import (
    FAINT,
    INK,
    MUTED,
    PLAIN,
    RULE,
    add_axes,
    new_figure,
    save,
    shorten,
)


def plot_comparison(table: pd.DataFrame, path: str | Path | None = None) -> Figure:
    """Draw WAR and UAR of every row, and their differences to the first row.

    A dot is the mean of the runs and the line through it one standard deviation. Beside it is the
    difference to the first row with its 95 % interval, gray where the interval includes zero.

    Args:
        table: returned by `experiments.ablate` or `experiments.compare`.
        path: image file to write, if any.

    Raises:
        InputError: the file cannot be written.
    """
    row, left, width, gap, top, bottom = 0.36, 2.6, 2.1, 0.35, 1.45, 0.5
    height = row * len(table)
    figure = new_figure(
        left + 4 * width + 3 * gap + 0.3,
        top + height + bottom,
        "Effect of each change",
        "Dot and line: mean and standard deviation of the runs. Δ: difference to the first row "
        "with its\n95 % interval, gray where the interval includes zero and no difference is "
        "shown.",
    )
    y = np.arange(len(table), dtype=np.float64)[::-1]
    columns = (("war", False), ("war", True), ("uar", False), ("uar", True))
    for index, (metric, is_difference) in enumerate(columns):
        axes = add_axes(figure, left + index * (width + gap), bottom, width, height)
        axes.set(ylim=(-0.6, len(table) - 0.4), yticks=y, yticklabels=[])
        axes.set_title(("Δ " if is_difference else "") + f"{metric.upper()} %", size=9.5, color=INK)
        if index == 0:
            names = [shorten(name, 34) for name in table["name"]]
            axes.set_yticklabels(names, color=INK, **PLAIN)
        if is_difference:
            _draw_differences(axes, table, metric, y)
        else:
            deviation = table[f"{metric}_std"].fillna(0)
            axes.errorbar(table[metric], y, xerr=deviation, fmt="o", color=INK, markersize=5)
        axes.grid(axis="both", color=RULE, linewidth=0.5)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    return save(figure, path)


def _draw_differences(
    axes: Axes, table: pd.DataFrame, metric: str, y: npt.NDArray[np.float64]
) -> None:
    axes.axvline(0, color=MUTED, linewidth=0.8)
    columns = [f"{metric}_{part}" for part in ("difference", "low", "high")]
    values = table.reindex(columns=columns).to_numpy(np.float64)  # a single row has no differences
    for row, (difference, low, high) in zip(y, values, strict=True):
        style: dict[str, Any] = {"color": INK if low > 0 or high < 0 else FAINT}
        axes.plot([low, high], [row, row], linewidth=2, **style)
        axes.plot([difference], [row], "o", markersize=5, **style)
