"""The risk-coverage curve: accuracy of the answers against the fraction of clips answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from m3dfel.report.style import INK, MUTED, PLAIN, RULE, add_axes, new_figure, save, shorten


def plot_risk_coverage(
    curves: Sequence[pd.DataFrame],
    results: Sequence[dict[str, Any]],
    names: Sequence[str],
    path: str | Path | None = None,
) -> Figure:
    """Draw the risk-coverage curve of one model, or of several in one figure.

    Args:
        curves: for each model, what `evaluation.coverage.risk_coverage` returns.
        results: for each model, what `evaluate` returns; a dot marks its `min_confidence`.
        names: for each model, its name.
        path: image file to write, if any.

    Raises:
        InputError: the file cannot be written.
    """
    left, width, height, top, bottom = 0.7, 5.2, 3.2, 1.05, 0.6
    figure = new_figure(
        left + width + 0.3,
        top + height + bottom,
        "Right answers and answered clips",
        "If only the clips are answered about which the model is most confident.\n"
        "Dot: the confidence below which it is uncertain.",
    )
    axes = add_axes(figure, left, bottom, width, height)
    for curve, result, name in zip(curves, results, names, strict=True):
        (line,) = axes.plot(
            100 * curve["coverage"],
            100 * curve["accuracy"],
            linewidth=1.6,
            label=shorten(name, 40).replace("$", r"\$"),
        )
        if result["answered"]:
            answers = [100 * result["answered"]], [100 * result["answered_right"]]
            axes.plot(*answers, "o", markersize=6, color=line.get_color())
            axes.annotate(
                f"{100 * result['min_confidence']:.0f} %",
                (answers[0][0], answers[1][0]),
                (6, 6),
                textcoords="offset points",
                size=8,
                color=INK,
                **PLAIN,
            )
    axes.set_xlim(0, 101)
    axes.set_xlabel("clips answered, %", size=9, color=MUTED)
    axes.set_ylabel("answers that are right, %", size=9, color=MUTED)
    axes.grid(color=RULE, linewidth=0.5)
    if len(names) > 1:
        axes.legend(fontsize=7.5, frameon=False, loc="lower left")
    return save(figure, path)
