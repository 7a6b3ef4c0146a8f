"""The style that all figures share: colors, text, axes in inches, headings and saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from m3dfel.files import atomic_write
from m3dfel.report.fonts import families, set_families

INK, MUTED, FAINT, RULE = "#222222", "#6b6b6b", "#b0b0b0", "#dddddd"
EMPTY, TARGET = "#f3f3f3", "#e6ecf3"  # behind missing values, behind target frames
PALE = 0.35  # opacity of an emotion that is not recognized
HEAT = LinearSegmentedColormap.from_list("heat", ["#ffffff", "#a9c3e0", "#3b6fb6", "#16325c"])

# A dollar sign in a file name or label does not start a formula.
PLAIN: dict[str, Any] = {"parse_math": False}
CENTERED: dict[str, Any] = {"ha": "center", "va": "center", **PLAIN}
RIGHT_ALIGNED: dict[str, Any] = {"ha": "right", "va": "center", **PLAIN}
ABOVE_AXES: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", **PLAIN}

_DPI = 160
_MARGIN = 0.2  # inches beside the heading
_TITLE: dict[str, Any] = {"size": 14, "weight": "bold"}
_EXPLANATION: dict[str, Any] = {"size": 9}


def new_figure(width: float, height: float, title: str = "", explanation: str = "") -> Figure:
    """Return an empty figure with a heading at the top left.

    Args:
        width: in inches; the figure is wider where the heading needs it.
        height: in inches, heading included.
        title: one line, in bold.
        explanation: one or more lines below it.
    """
    lines = [text_width(line, **_EXPLANATION) for line in explanation.splitlines()]
    width = max([width] + [line + 2 * _MARGIN for line in [text_width(title, **_TITLE), *lines]])
    # Not through pyplot, which keeps every figure in memory and may need a screen.
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    left, top = _MARGIN / width, {"va": "top", **PLAIN}
    figure.text(left, 1 - 0.18 / height, title, **top, **_TITLE, color=INK)
    figure.text(
        left, 1 - 0.5 / height, explanation, **top, **_EXPLANATION, linespacing=1.4, color=MUTED
    )
    return figure


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a position in inches, without frame and tick marks, the grid behind the data."""
    figure_width, figure_height = figure.get_size_inches()
    axes = figure.add_axes(
        (left / figure_width, bottom / figure_height, width / figure_width, height / figure_height)
    )
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8)
    return axes


def save(figure: Figure, path: str | Path | None) -> Figure:
    """Write a figure to a file, if a path is given, and return it.

    Raises:
        InputError: the file cannot be written.
    """
    set_families(figure)
    if path is not None:
        with atomic_write(Path(path)) as temporary:
            figure.savefig(temporary)
    return figure


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of one line of text in inches.

    Args:
        text: without line breaks.
        size: of the font, in points.
        weight: of the font.
    """
    font = FontProperties(family=families(text), size=size, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def shorten(name: str, length: int) -> str:
    """Return at most `length` characters of a name: its end, which is where paths differ."""
    return name if len(name) <= length else "…" + name[1 - length :]


def percent(fraction: float) -> str:
    """Return a fraction in percent with one decimal, as in all figures and tables."""
    return f"{100 * fraction:.1f}"
