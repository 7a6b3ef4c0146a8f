"""The confusion matrices of one model, or of several side by side.

Rows are normalized, as in the figure of the paper (Wang et al., CVPR 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from m3dfel.emotions import names_in
from m3dfel.report.fonts import check_fonts
from m3dfel.report.style import (
    ABOVE_AXES,
    CENTERED,
    EMPTY,
    FAINT,
    HEAT,
    INK,
    MUTED,
    PLAIN,
    RIGHT_ALIGNED,
    add_axes,
    new_figure,
    percent,
    save,
    shorten,
    text_width,
)

_CELL, _GAP, _TOP, _BOTTOM = 0.72, 0.45, 1.75, 0.2  # inches
_LABEL: dict[str, Any] = {"size": 9.5}
_COLUMN_LABEL: dict[str, Any] = {"size": 9}
_SUMMARY: dict[str, Any] = {"size": 9}
_OUTLINE: dict[str, Any] = {"fill": False, "edgecolor": INK, "zorder": 3, "clip_on": False}


def plot_confusion(
    results: Sequence[dict[str, Any]],
    names: Sequence[str],
    path: str | Path | None = None,
    lang: str = "en",
) -> Figure:
    """Draw what each emotion was recognized as, for one model or several side by side.

    Args:
        results: for each model, what `Metrics.to_dict` returns or `results.json` holds.
        names: for each model, the title of its matrix.
        path: image file to write, if any.
        lang: language of the emotions' names, `en` or `zh`.

    Raises:
        InputError: the file cannot be written, or no font for the language is installed.
    """
    results = [_in_language(lang, result) for result in results]
    sides = [_CELL * len(result["labels"]) for result in results]
    labels = [label for result in results for label in result["labels"]]
    check_fonts(labels)
    panels = [
        max(side, text_width(_summary(result), **_SUMMARY))
        for result, side in zip(results, sides, strict=True)
    ]
    left = max(1.35, 0.3 + max(text_width(label, **_LABEL) for label in labels))
    same_rows = all(result["support"] == results[0]["support"] for result in results)
    between = _GAP if same_rows else left
    # Column labels that are wider than a cell are rotated and need more room.
    widest = max(text_width(label, **_COLUMN_LABEL) for label in labels)
    label_height = 0.0 if widest < _CELL else widest
    figure = new_figure(
        left + sum(panels) + between * (len(panels) - 1) + 0.25,
        _TOP + label_height + max(sides) + _BOTTOM,
        "What each emotion was recognized as",
        "Each row: the clips of one true emotion, in percent, with their number below.\n"
        "Outlined: recognized correctly.",
    )
    x = left
    for index, (result, name, side) in enumerate(zip(results, names, sides, strict=True)):
        axes = add_axes(figure, x, _BOTTOM + max(sides) - side, side, side)
        _draw_cells(axes, result)
        _draw_column_labels(axes, result["labels"], rotated=label_height > 0)
        _draw_title(axes, result, shorten(name, int(panels[index] / 0.1)), label_height)
        if index == 0 or not same_rows:
            _draw_row_labels(axes, result)
        x += panels[index] + between
    return save(figure, path)


def _in_language(lang: str, result: dict[str, Any]) -> dict[str, Any]:
    names = names_in(lang, result["labels"])
    support = {names[label]: clips for label, clips in result["support"].items()}
    return result | {"labels": list(names.values()), "support": support}


def _draw_cells(axes: Axes, result: dict[str, Any]) -> None:
    fractions, counts = np.array(result["confusion"]), np.array(result["confusion_counts"])
    size = len(fractions)
    axes.pcolormesh(fractions, cmap=HEAT, vmin=0, vmax=1, edgecolors="white", linewidth=1.5)
    axes.set(xlim=(0, size), ylim=(size, 0))
    for row in range(size):
        if not counts[row].any():
            axes.add_patch(Rectangle((0, row), size, 1, color=EMPTY, linewidth=0))
            axes.text(size / 2, row + 0.5, "no clips", **CENTERED, color=MUTED, size=9)
            continue
        for column in range(size):
            fraction, count = float(fractions[row, column]), int(counts[row, column])
            _write_cell(axes, column + 0.5, row + 0.5, fraction, count)
        axes.add_patch(Rectangle((row, row), 1, 1, **_OUTLINE))


def _write_cell(axes: Axes, x: float, y: float, fraction: float, count: int) -> None:
    if not count:
        axes.text(x, y, "0", **CENTERED, size=8, color=FAINT)
        return
    color = "white" if fraction > 0.45 else INK
    axes.text(x, y - 0.1, percent(fraction), **CENTERED, size=10.5, color=color)
    axes.text(x, y + 0.24, f"{count:,}", **CENTERED, size=7, color=color, alpha=0.8)


def _draw_column_labels(axes: Axes, labels: Sequence[str], rotated: bool) -> None:
    ticks = np.arange(len(labels)) + 0.5
    axes.set_xticks(ticks, labels, **_COLUMN_LABEL, **PLAIN, color=INK)
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", labelrotation=90 if rotated else 0)
    axes.set_yticks([])


def _draw_row_labels(axes: Axes, result: dict[str, Any]) -> None:
    for row, label in enumerate(result["labels"]):
        clips = f"{result['support'][label]:,} clips"
        axes.text(-0.15, row + 0.42, label, **RIGHT_ALIGNED, **_LABEL, color=INK)
        axes.text(-0.15, row + 0.7, clips, **RIGHT_ALIGNED, size=7, color=MUTED)


def _draw_title(axes: Axes, result: dict[str, Any], name: str, label_height: float) -> None:
    points = 72 * label_height
    title: dict[str, Any] = {"size": 11, "weight": "bold", "color": INK}
    axes.annotate(name, (0, 1), (0, 40 + points), **ABOVE_AXES, **title)
    axes.annotate(_summary(result), (0, 1), (0, 25 + points), **ABOVE_AXES, **_SUMMARY, color=MUTED)


def _summary(result: dict[str, Any]) -> str:
    clips = int(np.sum(result["confusion_counts"]))
    return f"WAR {percent(result['war'])} %    UAR {percent(result['uar'])} %    {clips:,} clips"
