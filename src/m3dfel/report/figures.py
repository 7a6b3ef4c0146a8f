"""Figures from saved results; nothing new is computed here.

They take what evaluation, training and the recognizer hand out as plain dicts and data frames, so
that every picture can be drawn again from the files of a run. The confusion figure follows the
paper's (Wang et al., CVPR 2023): one matrix a model, rows normalized.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from m3dfel.emotions import colours
from m3dfel.files import atomic_write

Values = npt.NDArray[np.float64]

_INK, _MUTED, _RULE, _TARGET = "#222222", "#6b6b6b", "#dddddd", "#e6ecf3"
_SHADES = LinearSegmentedColormap.from_list("shares", ["#ffffff", "#a9c3e0", "#3b6fb6", "#16325c"])
_DPI = 160

_GAP: dict[str, Any] = {"fill": False, "edgecolor": "white", "linewidth": 1.5}
_OUTLINE: dict[str, Any] = {"fill": False, "edgecolor": _INK, "zorder": 3, "clip_on": False}
# A dollar sign in a file's name is no formula.
_PLAIN: dict[str, Any] = {"parse_math": False}
_CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}
_BESIDE: dict[str, Any] = {"ha": "right", "va": "center"}
_ABOVE: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}


class Timeline(Protocol):
    """What a timeline is drawn from; `recognizer.Prediction` is one."""

    source: str
    labels: tuple[str, ...]
    clips: pd.DataFrame
    instances: pd.DataFrame
    note: str


# --- the confusion figure ------------------------------------------------------------------------


def plot_confusion(
    results: Sequence[dict[str, Any]], names: Sequence[str], path: str | Path | None = None
) -> Figure:
    """Draw what each emotion was recognised as, for one model or several side by side.

    Args:
        results: of each model, what `Metrics.to_dict` gives or `results.json` holds.
        names: of each model, for the heading.
        path: picture to write, if any.

    Raises:
        InputError: the picture cannot be written.
    """
    cell, left, gap, top, bottom = 0.72, 1.35, 0.45, 1.75, 0.2
    sides = [cell * len(result["labels"]) for result in results]
    alike = all(result["support"] == results[0]["support"] for result in results)
    between = gap if alike else left
    figure = _figure(
        left + sum(sides) + between * (len(sides) - 1) + 0.25, top + max(sides) + bottom
    )
    _heading(
        figure,
        "What each emotion was recognised as",
        "Each row: the clips of one true emotion, in percent, with their number beneath.\n"
        "Outlined: recognised correctly.",
    )
    x = left
    for place, (result, name, side) in enumerate(zip(results, names, sides, strict=True)):
        axes = _axes(figure, x, bottom + max(sides) - side, side, side)
        _draw_matrix(axes, result, _shortened(name, int(side / 0.1)))
        if place == 0 or not alike:
            _draw_row_labels(axes, result)
        x += side + between
    return _written(figure, path)


def _draw_matrix(axes: Axes, result: dict[str, Any], name: str) -> None:
    shares, counts = np.array(result["confusion"]), np.array(result["confusion_counts"])
    size = len(shares)
    axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1, extent=(0, size, size, 0))
    for row in range(size):
        for column in range(size):
            axes.add_patch(Rectangle((column, row), 1, 1, **_GAP))
        if not counts[row].any():
            axes.add_patch(Rectangle((0, row), size, 1, color="#f3f3f3", linewidth=0))
            axes.text(size / 2, row + 0.5, "no clips", **_CENTRED, color=_MUTED, size=9)
            continue
        for column in range(size):
            share, count = float(shares[row, column]), int(counts[row, column])
            _write_cell(axes, column + 0.5, row + 0.5, share, count)
        axes.add_patch(Rectangle((row, row), 1, 1, **_OUTLINE))
    axes.set_xticks(np.arange(size) + 0.5, result["labels"], size=9, color=_INK)
    axes.xaxis.tick_top()
    axes.set_yticks([])
    summary = (
        f"WAR {percent(result['war'])} %    UAR {percent(result['uar'])} %    "
        f"{counts.sum():,} clips"
    )
    axes.annotate(name, (0, 1), (0, 40), **_ABOVE, **_PLAIN, size=11, weight="bold", color=_INK)
    axes.annotate(summary, (0, 1), (0, 25), **_ABOVE, size=9, color=_MUTED)


def _write_cell(axes: Axes, x: float, y: float, share: float, count: int) -> None:
    if not count:
        axes.text(x, y, "0", **_CENTRED, size=8, color="#b0b0b0")
        return
    colour = "white" if share > 0.45 else _INK
    axes.text(x, y - 0.1, percent(share), **_CENTRED, size=10.5, color=colour)
    axes.text(x, y + 0.24, f"{count:,}", **_CENTRED, size=7, color=colour, alpha=0.8)


def _draw_row_labels(axes: Axes, result: dict[str, Any]) -> None:
    for row, label in enumerate(result["labels"]):
        clips = f"{result['support'][label]:,} clips"
        axes.text(-0.15, row + 0.42, label, **_BESIDE, size=9.5, color=_INK)
        axes.text(-0.15, row + 0.7, clips, **_BESIDE, size=7, color=_MUTED)


# --- the timeline --------------------------------------------------------------------------------


def plot_timeline(
    timeline: Timeline,
    path: str | Path | None = None,
    truth: npt.ArrayLike | None = None,
    fps: float = 25.0,
) -> Figure:
    """Draw what each face expresses over time: one block a face, one row an emotion.

    A row's height is the emotion's probability, in strong colour where it is the answer: the
    likeliest, and not marked as uncertain. Where the face cannot be read, the rows are empty and
    say why. Below them stands the evidence: the emotion each instance speaks for most, averaged
    over the clips it is part of.

    Args:
        timeline: a prediction.
        path: picture to write, if any.
        truth: intensity of the expression in every frame (T,), 0 or more, where it is known;
            frames above half its peak are shaded as target frames.
        fps: frames per second of `truth`.

    Raises:
        InputError: the picture cannot be written.
    """
    faces = [clips for _, clips in timeline.clips.groupby("face")]
    row, left, wide, top, bottom, between = 0.3, 1.3, 8.6, 0.8, 0.5, 0.55
    block = row * (len(timeline.labels) + 1.2)
    figure = _figure(left + wide + 0.65, top + len(faces) * (block + between) + bottom)
    _heading(figure, *_timeline_words(timeline, len(faces)))
    for place, clips in enumerate(faces):
        y = bottom + (len(faces) - 1 - place) * (block + between)
        axes = _axes(figure, left, y, wide, block)
        axes.set(xlim=(0, timeline.clips["end_s"].max()), ylim=(-1.2, len(timeline.labels)))
        if truth is not None:
            _shade_targets(axes, np.asarray(truth, dtype=np.float64), fps, named=place == 0)
        _draw_face(axes, clips, timeline.labels)
        instances = timeline.instances
        _draw_evidence(axes, instances[instances["face"] == clips["face"].iloc[0]], timeline.labels)
        _draw_seconds(axes, place == len(faces) - 1)
    return _written(figure, path)


def _timeline_words(timeline: Timeline, faces: int) -> tuple[str, str]:
    name = _shortened(Path(timeline.source).name, 50)
    if not faces:
        return f"No face in {name}", fill(timeline.note, 120)
    who = f"the {faces} faces in {name} express" if faces > 1 else f"the face in {name} expresses"
    return (
        f"What {who}, moment by moment",
        "Height: how probable each emotion is; strong colour: the answer, where one is certain.\n"
        "Evidence: the emotion each instance speaks for most, higher where stronger.",
    )


def _draw_face(axes: Axes, clips: pd.DataFrame, labels: Sequence[str]) -> None:
    times, shares, marks = _curves(clips, labels)
    answer = np.where(marks == "", shares.argmax(0), -1)
    for place, label in enumerate(labels):
        base, colour = len(labels) - 1 - place, colours(labels)[label]
        height = base + 0.9 * shares[place]
        wins = answer == place
        axes.plot(times[[0, -1]], [base, base], color=_RULE, linewidth=0.8, zorder=1)
        axes.fill_between(times, base, height, color=colour, alpha=0.35, linewidth=0, zorder=2)
        axes.fill_between(times, base, height, where=wins, color=colour, linewidth=0, zorder=3)
        _label_row(axes, base, label, weight="bold" if wins.any() else "normal", color=_INK)
    for first, last, mark in equal_spans(marks):
        if np.isnan(shares[0, first]):
            _write_mark(axes, times[first], times[last], len(labels), mark)
    axes.annotate(
        f"face {clips['face'].iloc[0]}", (0, 1), (-8, 6), **_ABOVE, ha="right", **_FACE_STYLE
    )
    # One row's scale stands for all.
    for height, word in ((0.0, "0"), (0.9, "100 %")):
        axes.annotate(
            word,
            xy=(1, len(labels) - 1 + height),
            xytext=(5, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            size=7,
            va="center",
            color=_MUTED,
        )


_FACE_STYLE: dict[str, Any] = {"size": 10.5, "weight": "bold", "color": _INK}


def _write_mark(axes: Axes, start_s: float, end_s: float, height: int, mark: str) -> None:
    """Say why a face is not read for a while, as far as there is room for the words."""
    axes.axvspan(start_s, end_s, 0.13, 1, facecolor="#f3f3f3", linewidth=0, zorder=1)
    words = axes.text((start_s + end_s) / 2, height / 2, mark, **_CENTRED, size=8, color=_MUTED)
    words.set_rotation(0 if end_s - start_s > 0.12 * axes.get_xlim()[1] else 90)


def _curves(
    clips: pd.DataFrame, labels: Sequence[str]
) -> tuple[Values, Values, npt.NDArray[np.str_]]:
    """Return close-set times (P,), the probabilities there (C, P) and the marks (P,).

    Probabilities run straight from clip to clip, and are not numbers where the face is not read;
    the mark is that of the nearest clip.
    """
    times = np.linspace(clips["start_s"].iloc[0], clips["end_s"].iloc[-1], 2000)
    middles = ((clips["start_s"] + clips["end_s"]) / 2).to_numpy()
    nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, times)
    read = clips["emotion"].notna().to_numpy()
    shares = np.full((len(labels), len(times)), np.nan)
    if read.any():
        for place, label in enumerate(labels):
            shares[place] = np.interp(times, middles[read], clips[f"p_{label}"].to_numpy()[read])
    shares[:, ~read[nearest]] = np.nan
    return times, shares, clips["mark"].to_numpy(str)[nearest]


def _draw_evidence(axes: Axes, instances: pd.DataFrame, labels: Sequence[str]) -> None:
    # An instance stands in several overlapping clips.
    single = instances.groupby("start_s", as_index=False).mean(numeric_only=True)
    values = single[[f"evidence_{label}" for label in labels]].to_numpy()
    # Softmax knows differences only, so evidence is told from the mean over the emotions.
    values = values - values.mean(1, keepdims=True)
    strength, chosen = values.max(1), [labels[i] for i in values.argmax(1)]
    starts, ends = single["start_s"].to_numpy(), single["end_s"].to_numpy()
    axes.bar(
        starts,
        0.75 * strength / max(strength.max(), 1e-12),
        ends - starts,
        bottom=-1.2,
        align="edge",
        color=[colours(labels)[emotion] for emotion in chosen],
        edgecolor="white",
        linewidth=0.4,
        zorder=3,
    )
    axes.plot([starts[0], ends[-1]], [-1.2, -1.2], color=_MUTED, linewidth=0.8, clip_on=False)
    _label_row(axes, -1.2, "evidence", style="italic", color=_MUTED)
    _name_runs(axes, chosen, starts, ends)


def _name_runs(axes: Axes, chosen: Sequence[str], starts: Values, ends: Values) -> None:
    """Write the emotion over every run of instances that speak for the same and is wide enough."""
    inches = axes.get_window_extent().width / axes.figure.dpi / np.diff(axes.get_xlim())[0]
    for first, last, emotion in equal_spans(chosen):
        if (ends[last] - starts[first]) * inches > 0.07 * len(emotion):
            middle = (starts[first] + ends[last]) / 2
            axes.text(middle, -0.26, emotion, **_CENTRED, size=7.5, color=_MUTED)


def equal_spans(words: Sequence[str] | npt.NDArray[np.str_]) -> Iterator[tuple[int, int, str]]:
    """Yield the first and last place of every run of equal words, and the word."""
    for word, places in groupby(range(len(words)), key=lambda place: words[place]):
        run = list(places)
        yield run[0], run[-1], word


def _shade_targets(axes: Axes, truth: Values, fps: float, named: bool) -> None:
    shown = truth > 0.5 * truth.max(initial=0)
    spans = [
        (first, last + 1) for first, last, word in equal_spans(shown.astype(str)) if word == "True"
    ]
    for first, after in spans:
        axes.axvspan(first / fps, after / fps, color=_TARGET, linewidth=0, zorder=0)
    if named and spans:
        middle = sum(spans[0]) / 2 / fps
        axes.annotate(
            "true target frames",
            xy=(middle, 1),
            xytext=(0, 6),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            size=8,
            color=_MUTED,
        )


def _draw_seconds(axes: Axes, labelled: bool) -> None:
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10], min_n_ticks=3))
    axes.xaxis.set_major_formatter("{x:g} s")
    axes.grid(axis="x", color=_RULE, linewidth=0.5, zorder=0)
    axes.tick_params(labelsize=8, labelcolor=_MUTED, labelbottom=labelled, pad=6)


def _label_row(axes: Axes, base: float, word: str, **style: Any) -> None:
    axes.annotate(
        word,
        xy=(0, base + 0.3),
        xytext=(-8, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        **_BESIDE,
        size=9,
        **style,
    )


# --- the summary's figure ------------------------------------------------------------------------


def plot_summary(table: pd.DataFrame, path: str | Path | None = None) -> Figure:
    """Draw WAR and UAR of every row, and how far each differs from the first.

    A dot is the mean of the runs, the line through it their spread (one standard deviation). Beside
    it stands the difference to the first row with its 95 % interval: one that reaches over zero
    cannot be believed.

    Args:
        table: of `experiments.ablate` or `compare`.
        path: picture to write, if any.

    Raises:
        InputError: the picture cannot be written.
    """
    row, left, wide, gap, top, bottom = 0.36, 2.6, 2.1, 0.35, 1.45, 0.5
    height = row * len(table)
    figure = _figure(left + 4 * wide + 3 * gap + 0.3, top + height + bottom)
    _heading(
        figure,
        "What each change comes to",
        "Dot and line: mean of the runs and one standard deviation. Δ: the difference to the first "
        "row\nwith its 95 % interval, paler where it reaches over zero and shows nothing.",
    )
    places = np.arange(len(table), dtype=np.float64)[::-1]
    for column, (measure, differs) in enumerate(
        (m, d) for m in ("war", "uar") for d in (False, True)
    ):
        axes = _axes(figure, left + column * (wide + gap), bottom, wide, height)
        axes.set(ylim=(-0.6, len(table) - 0.4), yticks=places, yticklabels=[])
        axes.set_title(("Δ " if differs else "") + f"{measure.upper()} %", size=9.5, color=_INK)
        if column == 0:
            names = [_shortened(name, 34) for name in table["name"]]
            axes.set_yticklabels(names, size=9, color=_INK, **_PLAIN)
        if differs:
            _draw_differences(axes, table, measure, places)
        else:
            spread = table[f"{measure}_std"].fillna(0)
            axes.errorbar(table[measure], places, xerr=spread, fmt="o", color=_INK, markersize=5)
        axes.grid(axis="both", color=_RULE, linewidth=0.5)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    return _written(figure, path)


def _draw_differences(axes: Axes, table: pd.DataFrame, measure: str, places: Values) -> None:
    axes.axvline(0, color=_MUTED, linewidth=0.8)
    parts = [table[f"{measure}_{part}"] for part in ("difference", "low", "high")]
    for y, (shift, low, high) in zip(places, zip(*parts, strict=True), strict=True):
        shows = low > 0 or high < 0
        style: dict[str, Any] = {"color": _INK if shows else "#b0b0b0"}
        axes.plot([low, high], [y, y], linewidth=2, **style)
        axes.plot([shift], [y], "o", markersize=5, **style)


# --- the figures of runs -------------------------------------------------------------------------


def plot_curves(histories: Mapping[str, Sequence[dict[str, Any]]]) -> Figure:
    """Draw how trainings went: the loss, and WAR and UAR on val, after each epoch.

    Args:
        histories: from the run's name to the `history` of its `results.json`.
    """
    left, wide, gap, high, top, bottom = 0.6, 3.2, 0.6, 2.2, 1.35, 0.5
    figure = _figure(left + 3 * wide + 2 * gap + 0.2, top + high + bottom)
    _heading(figure, "How training went", "After each epoch of the last stage; val where there is.")
    for place, (title, read) in enumerate(_CURVES.items()):
        axes = _axes(figure, left + place * (wide + gap), bottom, wide, high)
        for name, history in histories.items():
            told = [(row["epoch"], read(row)) for row in history if read(row) is not None]
            axes.plot(*zip(*told, strict=True) if told else ([], []), linewidth=1.6, label=name)
        axes.set_title(title, size=9.5, color=_INK)
        axes.grid(color=_RULE, linewidth=0.5)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if place == 0 and len(histories) > 1:
            axes.legend(fontsize=7.5, frameon=False)
    return figure


def _on_val(measure: str) -> Callable[[dict[str, Any]], float | None]:
    return lambda row: 100 * row["val"][measure] if "val" in row else None


_CURVES: dict[str, Callable[[dict[str, Any]], float | None]] = {
    "loss in training": lambda row: row["loss"],
    "WAR on val, %": _on_val("war"),
    "UAR on val, %": _on_val("uar"),
}


def plot_recalls(results: Mapping[str, dict[str, Any]]) -> Figure:
    """Draw the recall of each emotion, one bar a run.

    Args:
        results: from the run's name to what `Metrics.to_dict` gives.
    """
    labels = next(iter(results.values()))["labels"]
    left, wide, high, top, bottom = 0.6, 1.35 * len(labels), 2.2, 0.7, 0.4
    figure = _figure(left + wide + 0.2, top + high + bottom)
    _heading(figure, "Recall of each emotion, %", "")
    axes = _axes(figure, left, bottom, wide, high)
    width = 0.8 / len(results)
    for place, (name, result) in enumerate(results.items()):
        x = np.arange(len(labels)) + (place - (len(results) - 1) / 2) * width
        heights = [100 * (result["recall"][label] or 0) for label in labels]
        bars = axes.bar(x, heights, 0.92 * width, label=name)
        if len(results) == 1:
            for bar, label in zip(bars, labels, strict=True):
                bar.set_color(colours(labels)[label])
            axes.bar_label(bars, fmt="%.1f", size=8, color=_MUTED)
    axes.set(xticks=range(len(labels)), xticklabels=labels, ylim=(0, 105))
    axes.grid(axis="y", color=_RULE, linewidth=0.5)
    axes.tick_params(labelsize=8.5)
    if len(results) > 1:
        axes.legend(fontsize=7.5, frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def plot_evidence(
    evidence: Values, labels: Sequence[str], title: str, targets: npt.NDArray[np.bool_] | None
) -> Figure:
    """Draw what the instances of one clip speak for: one step line an emotion.

    Args:
        evidence: (N, classes).
        labels: the label set.
        title: of the picture.
        targets: bool (T,), where known: the frames that show the emotion, to be shaded.
    """
    figure = _figure(5.4, 1.9)
    axes = _axes(figure, 0.45, 0.35, 3.8, 1.2)
    axes.set_title(title, size=8.5, loc="left", color=_INK, **_PLAIN)
    instances = len(evidence)
    strength = evidence - evidence.mean(1, keepdims=True)
    strongest = strength.max(0).argsort()[::-1][:3]
    for place, label in enumerate(labels):
        named = label if place in strongest else None
        values = [*strength[:, place], strength[-1, place]]
        style: dict[str, Any] = {"linewidth": 1.8 if named else 0.8, "alpha": 1.0 if named else 0.4}
        axes.step(
            range(instances + 1),
            values,
            where="post",
            color=colours(labels)[label],
            label=named,
            **style,
        )
    if targets is not None:
        each = instances / len(targets)
        for frame in np.flatnonzero(targets):
            axes.axvspan(frame * each, (frame + 1) * each, color=_TARGET, linewidth=0, zorder=0)
    axes.axhline(0, color=_RULE, linewidth=0.8)
    axes.set(xlim=(0, instances))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=instances))
    axes.tick_params(labelsize=7, labelcolor=_MUTED)
    axes.legend(fontsize=7.5, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


# --- what the figures stand on ------------------------------------------------------------------


def _figure(width: float, height: float) -> Figure:
    # Not through pyplot, which would keep every figure alive and ask for a screen.
    return Figure(figsize=(width, height), dpi=_DPI, facecolor="white")


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place given in inches, without frame and tick marks, a grid behind all else."""
    w, h = figure.get_size_inches()
    axes = figure.add_axes((left / w, bottom / h, width / w, height / h))
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    return axes


def _heading(figure: Figure, title: str, explanation: str) -> None:
    width, height = figure.get_size_inches()
    left, place = 0.2 / width, {"va": "top", **_PLAIN}
    figure.text(left, 1 - 0.18 / height, title, **place, size=14, weight="bold", color=_INK)
    figure.text(left, 1 - 0.5 / height, explanation, **place, size=9, linespacing=1.4, color=_MUTED)


def _written(figure: Figure, path: str | Path | None) -> Figure:
    if path is not None:
        with atomic_write(Path(path)) as temporary:
            figure.savefig(temporary)
    return figure


def percent(share: float) -> str:
    """Return a share as it is written everywhere: in percent, with one place."""
    return f"{100 * share:.1f}"


def _shortened(name: str, length: int) -> str:
    """Return a long name's end, the part that tells paths apart."""
    return name if len(name) <= length else "…" + name[1 - length :]
