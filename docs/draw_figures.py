"""Draw the figures that explain the method: `python docs/draw_figures.py [NAME …]`.

Each is written to `docs/figures/` as SVG, once for light and once for dark pages, in the style of
all figures (`m3dfel.report.style`). What they show is computed by the package: the faces are a
drawn clip, the matrices those of a DLIAM with random weights, the losses those of the code. Only
`start` shows measurements, those of experiments.md.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from m3dfel import M3DFEL
from m3dfel.data.sampling import centered_indices
from m3dfel.emotions import colors
from m3dfel.files import write_text
from m3dfel.models.aggregations.dliam import DLIAM
from m3dfel.models.checkpoints import load_model
from m3dfel.report.style import (
    CENTERED,
    EMPTY,
    HEAT,
    INK,
    MUTED,
    RIGHT_ALIGNED,
    RULE,
    TARGET,
    add_axes,
    new_figure,
)
from m3dfel.synthetic.clips import SyntheticClip, render, target_frames
from m3dfel.training.losses import intensity_aware_loss

FOLDER = Path(__file__).with_name("figures")

# From a color on light pages to that on dark ones; all others are the same.
DARK = {
    "#ffffff": "#1e2129",
    INK: "#e6e6e6",
    MUTED: "#a6a6a6",
    RULE: "#4a4e5a",
    EMPTY: "#2b2f3a",
    TARGET: "#33415a",
    colors(["fear"])["fear"]: "#9a6cc8",
}

BLUE, ORANGE = "#3b6fb6", "#e8703a"  # apart in gray too
INSTANCES, LENGTH = 4, 4
WHOLE_CLIP = 95.2  # WAR of R3D-18, from the first table of experiments.md
SMILE = SyntheticClip(seed=0, identity=103, clip=1, emotion="happiness", brief=True)

Values = npt.NDArray[np.float64]


def clip_figure() -> Figure:
    """Draw a clip as a bag of instances, and how they become one answer."""
    figure, axes = _canvas(
        8.7,
        6.9,
        "One label for a bag of instances",
        "Sixteen frames of a video are cut into four instances of four frames. Only the clip has a "
        "label.\nUnderlined: the frames that show the emotion.",
    )
    side, gap, left, top = 0.41, 0.22, 0.6, 5.05
    frames = _frames_of(SMILE, size=64)
    shows = target_frames(SMILE)[_indices(SMILE)]
    width = LENGTH * side
    lefts = [left + i * (width + gap) for i in range(INSTANCES)]
    right = lefts[-1] + width
    middle = (left + right) / 2
    _bracket(axes, left, right, top + side + 0.22)
    _write(axes, middle, top + side + 0.4, "label of the clip: happiness", weight="bold")
    for i, x in enumerate(lefts):
        for j in range(LENGTH):
            index = i * LENGTH + j
            x1 = x + j * side
            extent = (x1, x1 + side, top, top + side)
            axes.imshow(frames[index], extent=extent, interpolation="none", zorder=2)
            if shows[index]:
                axes.add_patch(Rectangle((x1, top - 0.1), side, 0.07, color=BLUE, linewidth=0))
        center = x + width / 2
        _write(axes, center, top - 0.24, f"instance {i + 1}", color=MUTED)
        _arrow(axes, (center, top - 0.38), (center, top - 0.72))
        _box(axes, center, top - 0.95, width, "R3D-18")
        _arrow(axes, (center, top - 1.18), (center, top - 1.52))
        _vector(axes, center, top - 1.62, width, seed=i)
        _arrow(axes, (center, top - 1.75), (center, top - 2.1))
    _write(axes, lefts[0] - 0.1, top - 1.62, "512", ha="right", color=MUTED)
    _box(axes, middle, top - 2.45, right - left, "DLIAM: relates the instances, then sums them")
    _arrow(axes, (middle, top - 2.8), (middle, top - 3.1))
    _vector(axes, middle, top - 3.2, 2 * width, seed=9, values=32)
    _write(axes, middle - width - 0.1, top - 3.2, "1024", ha="right", color=MUTED)
    _arrow(axes, (middle, top - 3.3), (middle, top - 3.6))
    _box(axes, middle, top - 3.83, 2 * width, "linear classifier")
    _arrow(axes, (middle, top - 4.05), (middle, top - 4.35))
    _write(axes, middle, top - 4.5, "seven logits → happiness", weight="bold")
    _write(axes, right + 0.12, top - 1.62, "one vector\neach", ha="left", color=MUTED)
    _write(axes, middle + width + 0.12, top - 3.2, "one vector", ha="left", color=MUTED)
    return figure


def dliam_figure() -> Figure:
    """Draw what each step of DLIAM does to the features of a bag."""
    torch.manual_seed(4)
    module = DLIAM(features=8, bag_size=INSTANCES)
    features = torch.randn(1, INSTANCES, 8)
    with torch.no_grad():
        x = module.lstm(features)[0] * 4  # small, since nothing is trained
        a = module.attend(x) * 4
        normalized = module.norm(a)
        gate = normalized.sigmoid()
        z = module.pooling(x * gate)
    figure, axes = _canvas(
        9.4,
        3.5,
        "DLIAM: weak relations between the instances",
        "Rows: the four instances of a bag. Columns: channels (8 and 16 here; 512 and 1024 in the "
        "paper's model). Darker is larger.",
    )
    row, y = 0.2, 1.25
    steps = [
        ("F", features, "instance\nfeatures", ""),
        ("X", x, "every instance\nknows the others", "BiLSTM"),
        ("A", a, "weighted by\nsimilarity", "self-\nattention"),
        ("Â", normalized, "on one scale", "DMIN"),
        ("σ(Â)", gate, "gate, 0 to 1", "σ"),
        ("Z", z[:, None], "bag vector", "Conv1d,\nΣ over N"),
    ]
    left, centers = 0.35, {}
    for name, values, meaning, operation in steps:
        if operation:
            _arrow(axes, (left + 0.06, y), (left + 0.67, y))
            _write(axes, left + 0.36, y + 0.1, operation, va="bottom", size=8.5, weight="bold")
            left += 0.73
        width = values.shape[-1] * 0.05
        _matrix(axes, values[0].numpy(), left, y, width, row)
        top = y + values.shape[1] * row / 2
        _write(axes, left + width / 2, top + 0.18, name, size=12, style="italic")
        _write(axes, left + width / 2, y - 0.62, meaning, color=MUTED, size=8, va="top")
        centers[name] = left + width / 2
        left += width
        if name == "σ(Â)":
            _arrow(axes, (left + 0.06, y), (left + 0.3, y))
            times = left + 0.43
            axes.text(times, y, "⊙", **CENTERED, size=17, color=INK)
            left = times + 0.06
    over = y + 1.0
    axes.plot(
        [centers["X"], centers["X"], times], [y + 0.72, over, over], color=MUTED, linewidth=1.1
    )
    _arrow(axes, (times, over), (times, y + 0.18))
    _write(axes, (centers["X"] + times) / 2, over + 0.13, "X itself", color=MUTED, size=8.5)
    return figure


def dmin_figure() -> Figure:
    """Draw over which values DMIN takes its two means and variances."""
    torch.manual_seed(4)
    values = torch.randn(INSTANCES, 16).numpy()
    figure, axes = _canvas(
        8.2,
        2.9,
        "DMIN: two normalizations, mixed by learned weights",
        "Means and variances over all values of the bag, and over the instances of each channel.",
    )
    row, width, y, lefts = 0.24, 2.6, 1.3, (0.35, 4.05)
    for left in lefts:
        _matrix(axes, values, left, y, width, row)
    half = INSTANCES * row / 2
    _outline(axes, lefts[0], y - half, width, 2 * half)
    channel = width / 16
    for index in range(16):
        _outline(axes, lefts[1] + index * channel, y - half, channel, 2 * half, 1.2)
    notes = ("bag: one mean, one variance", "instance: one of each for every channel")
    for left, note, weight in zip(lefts, notes, ("w₁", "w₂"), strict=True):
        _write(axes, left + width / 2, y - half - 0.22, note, color=MUTED)
        _write(axes, left + width + 0.3, y, f"· {weight}", size=13, style="italic")
    axes.text(lefts[1] - 0.3, y, "+", **CENTERED, size=15, color=INK)
    _write(
        axes,
        lefts[0],
        0.2,
        "(w₁, w₂): softmax of two learned numbers, and of two others for the variances",
        ha="left",
    )
    return figure


def loss_figure() -> Figure:
    """Draw the intensity-aware loss, and two clips for which it differs."""
    figure = new_figure(
        8.7,
        4.1,
        "The intensity-aware loss looks at the strongest rival only",
        "A faint expression is easily mistaken for one other emotion. The loss is large where that "
        "one comes close to the target.",
    )
    axes = add_axes(figure, 0.65, 0.65, 3.9, 2.45)
    margins = np.linspace(-4, 6, 200)
    logits = torch.tensor(np.stack([margins, np.zeros_like(margins)], 1))
    losses = intensity_aware_loss(logits, torch.zeros(len(margins), dtype=torch.long)).numpy()
    axes.plot(margins, losses, color=BLUE, linewidth=2)
    axes.axvline(0, color=RULE, linewidth=1, zorder=0)
    axes.set(xlim=(-4, 6), ylim=(-0.1, 4.2))
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.tick_params(labelsize=8, labelcolor=MUTED)
    axes.set_xlabel("logit of the target − logit of its strongest rival", size=9, color=INK)
    axes.set_ylabel("intensity-aware loss", size=9, color=INK)
    clips = {"a clear smile": [4.0, 0.0, 0.0, 0.0], "a faint smile": [1.2, 0.9, -3.0, -3.0]}
    words = ("happiness", "neutral", "anger", "fear")
    for index, (name, values) in enumerate(clips.items()):
        point = torch.tensor([values])
        loss = float(intensity_aware_loss(point, torch.tensor([0])))
        margin = values[0] - max(values[1:])
        axes.plot(margin, loss, "o", color=ORANGE, markersize=6)
        _write(axes, margin - 0.1, loss + 0.3, f"{name}: {loss:.2f}", ha=("center", "left")[index])
        bars = add_axes(figure, 5.7, 1.95 - 1.5 * index, 2.6, 1.0)
        shades = [ORANGE if i == 1 and index else BLUE if i == 0 else RULE for i in range(4)]
        bars.barh(range(4), values, color=shades, height=0.62)
        bars.axvline(0, color=INK, linewidth=0.8)
        bars.set(xlim=(-3.6, 4.6), ylim=(3.6, -0.6), yticks=[], xticks=[])
        for i, word in enumerate(words):
            bars.text(-3.75, i, word, **RIGHT_ALIGNED, size=8.5, color=INK if i == 0 else MUTED)
            value, end = values[i], max(values[i], 0)
            bars.text(
                end + 0.12, i, f"{value:g}".replace("-", "−"), va="center", size=8, color=MUTED
            )
        bars.set_title(name, size=9.5, loc="left", pad=4, color=INK, weight="bold")
    return figure


def evidence_figure() -> Figure:
    """Draw how the logits of a clip split into the evidence of its instances."""
    model = load_model("bundled")
    clip = replace(SMILE, brief=False)
    frames = torch.from_numpy(_frames_of(clip, model.size, model.zoom)).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits, evidence = model.explain(frames[None])
    row = 0.34
    figure, axes = _canvas(
        8.7,
        1.6 + row * len(model.labels),
        "The evidence of the instances adds up to the logits",
        "A drawn smile, read by the bundled model. Bars to the right speak for an emotion, bars to "
        "the left against it.",
    )
    columns = [f"instance {i + 1}" for i in range(model.bag_size)] + ["logits of the clip"]
    values = torch.cat([evidence[0].T, logits[0, :, None]], 1).numpy()
    _draw_evidence(axes, values, columns, model, row)
    return figure


def start_figure() -> Figure:
    """Draw what the start of DLIAM changes, from the measurements in `experiments_start.csv`."""
    figure = new_figure(
        8.7,
        3.9,
        "Started as the mean, DLIAM learns at once and shows when",
        "Drawn faces whose emotion is brief. Dots: three seeds each. Lines: their means.\n"
        "Dashed: the whole clip (left), a random instance (right).",
    )
    table = pd.read_csv(Path(__file__).with_name("experiments_start.csv"))
    sizes = table["instances"].unique()
    lengths = table.drop_duplicates("instances")["frames"]
    names = [f"{size} × {length}" for size, length in zip(sizes, lengths, strict=True)]
    titles = {"war": "WAR, %", "pointing": "strongest instance shows the emotion, %"}
    for index, (column, title) in enumerate(titles.items()):
        axes = add_axes(figure, 0.6 + 4.25 * index, 0.65, 3.6, 1.9)
        for start, color, sign in ("published", ORANGE, "s"), ("mean", BLUE, "o"):
            rows = table[table["start"] == start]
            x = np.searchsorted(sizes, rows["instances"])
            axes.plot(x, rows[column], sign, color=color, markersize=4.5, alpha=0.75)
            means = rows.groupby("instances")[column].mean()
            axes.plot(range(len(sizes)), means, color=color, linewidth=1.6)
        chance = table.groupby("instances")["chance"].first()
        limit = [WHOLE_CLIP] * len(sizes) if column == "war" else chance
        axes.plot(range(len(sizes)), limit, color=MUTED, linewidth=1, linestyle="--")
        axes.set(xticks=range(len(sizes)), xticklabels=names, ylim=(0, 104))
        axes.set_title(title, size=9.5, loc="left", color=INK)
        axes.set_xlabel("instances × frames", size=9, color=INK)
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.tick_params(labelsize=8, labelcolor=MUTED)
    labels = (1.05, 86, "starts as the mean", BLUE), (3.2, 49, "published", ORANGE)
    for x, y, text, color in labels:
        figure.axes[1].text(x, y, text, size=9, color=color, weight="bold")
    return figure


def _draw_evidence(
    axes: Axes, values: Values, columns: list[str], model: M3DFEL, row: float
) -> None:
    step, left, top = 1.4, 1.25, axes.get_ylim()[1] - 1.4
    scale = 0.5 / np.abs(values).max()
    shade_of = colors(model.labels)
    best = int(values[:, -1].argmax())
    for column, name in enumerate(columns):
        x = left + (column + 0.5) * step + (0.25 if column == len(columns) - 1 else 0)
        _write(axes, x, top + 0.32, name, size=9, color=INK if "logits" in name else MUTED)
        axes.plot([x, x], [top + 0.15, top - row * (len(values) - 0.5)], color=RULE, linewidth=1)
        for i, label in enumerate(model.labels):
            y, value = top - i * row, float(values[i, column])
            size = value * scale
            color = shade_of[label]
            axes.add_patch(Rectangle((x, y - 0.1), size, 0.2, color=color, linewidth=0, zorder=2))
            side: dict[str, Any] = {"ha": "left" if value < 0 else "right"}
            shift = 0.06 if value < 0 else -0.06
            _write(axes, x + shift, y, _signed(value), size=8, color=MUTED, **side)
    for i, label in enumerate(model.labels):
        weight = "bold" if i == best else "normal"
        _write(axes, left - 0.1, top - i * row, label, size=9, ha="right", weight=weight)
    for column, sign in enumerate(["+"] * (len(columns) - 2) + ["="]):
        x = left + (column + 1) * step + (0.12 if sign == "=" else 0)
        axes.text(x, top - row * (len(values) - 1) / 2, sign, **CENTERED, size=14, color=INK)


# --- what the figures are made of ----------------------------------------------------------------


def _canvas(width: float, height: float, title: str, explanation: str) -> tuple[Figure, Axes]:
    """Return a figure with a heading, and axes over all of it in inches."""
    figure = new_figure(width, height, title, explanation)
    width, height = figure.get_size_inches()
    axes = add_axes(figure, 0, 0, width, height)
    axes.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[], facecolor="none")
    axes.set_autoscale_on(False)
    return figure, axes


def _indices(clip: SyntheticClip) -> npt.NDArray[np.int64]:
    return centered_indices(clip.n_frames, INSTANCES * LENGTH).numpy()


def _frames_of(clip: SyntheticClip, size: int, zoom: float = 1.0) -> npt.NDArray[np.uint8]:
    """Return the frames of a clip as evaluation samples them: uint8 (T, S, S, 3)."""
    whole = round(size * zoom)
    frames = np.stack(list(render(clip, _indices(clip).tolist(), size=whole)))
    edge = (whole - size) // 2
    return frames[:, edge : edge + size, edge : edge + size]


def _write(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    options = {"ha": "center", "va": "center", "size": 9, "color": INK, "parse_math": False}
    axes.text(x, y, text, **(options | style))


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    arrow = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=9, color=MUTED, linewidth=1.1, shrinkA=0
    )
    axes.add_patch(arrow)


def _box(axes: Axes, x: float, y: float, width: float, text: str) -> None:
    axes.add_patch(
        Rectangle(
            (x - width / 2, y - 0.19), width, 0.38, facecolor=TARGET, edgecolor=BLUE, linewidth=1
        )
    )
    _write(axes, x, y, text, size=10)


def _bracket(axes: Axes, left: float, right: float, y: float) -> None:
    axes.plot([left, left, right, right], [y - 0.1, y, y, y - 0.1], color=MUTED, linewidth=1.1)


def _outline(
    axes: Axes, left: float, bottom: float, width: float, height: float, line: float = 2.2
) -> None:
    axes.add_patch(
        Rectangle((left, bottom), width, height, fill=False, edgecolor=INK, linewidth=line)
    )


def _vector(axes: Axes, x: float, y: float, width: float, seed: int, values: int = 16) -> None:
    random = np.random.default_rng(seed).normal(size=(1, values))
    _matrix(axes, random, x - width / 2, y, width, 0.16)


def _matrix(axes: Axes, values: Values, left: float, y: float, width: float, row: float) -> None:
    """Draw a matrix as shades, centered vertically on y."""
    half = len(values) * row / 2
    axes.imshow(
        values,
        cmap=HEAT,
        extent=(left, left + width, y - half, y + half),
        aspect="auto",
        interpolation="nearest",
    )
    _outline(axes, left, y - half, width, 2 * half, 0.6)


FIGURES: dict[str, Callable[[], Figure]] = {
    "clip": clip_figure,
    "dliam": dliam_figure,
    "dmin": dmin_figure,
    "loss": loss_figure,
    "evidence": evidence_figure,
    "start": start_figure,
}


def svg(figure: Figure, name: str) -> str:
    """Return a figure as SVG; the same figure gives the same text."""
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return text.getvalue()


def dark(text: str) -> str:
    """Return an SVG in the colors for dark pages."""
    for light, color in DARK.items():
        text = text.replace(light, color)
    return text


def main(names: Sequence[str], folder: Path = FOLDER) -> None:
    """Write figures to a folder; all, if none is named."""
    for name in names or FIGURES:
        text = svg(FIGURES[name](), name)
        write_text(folder / f"{name}.svg", text)
        write_text(folder / f"{name}-dark.svg", dark(text))
        print(f"{name}: {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
