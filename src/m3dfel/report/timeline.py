"""The timeline of a video: what each face expresses over time, with the evidence below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from m3dfel.emotions import colors, names_in
from m3dfel.report.fonts import prepare_fonts
from m3dfel.report.recognized import Recognized
from m3dfel.report.spans import equal_spans, probabilities_at
from m3dfel.report.style import (
    ABOVE_AXES,
    CENTERED,
    EMPTY,
    INK,
    MUTED,
    RIGHT_ALIGNED,
    RULE,
    TARGET,
    add_axes,
    new_figure,
    save,
    shorten,
    text_width,
)
from m3dfel.video.sources import source_path

Values: TypeAlias = npt.NDArray[np.float64]

_ROW = 0.3  # inches
_EVIDENCE_BASE = -1.2  # in rows; the emotion in the last row stands on 0
_PEAK = 0.9  # height of probability 1, in rows
_LABEL: dict[str, Any] = {"size": 9}
_MARK: dict[str, Any] = {"size": 8}


def plot_timeline(
    prediction: Recognized,
    path: str | Path | None = None,
    target_frames: npt.NDArray[np.bool_] | None = None,
    fps: float = 25.0,
    lang: str = "en",
) -> Figure:
    """Draw what each person expresses over time: one block per person, one row per emotion.

    A row's height is the emotion's probability, in strong color where it is the recognized
    emotion: the likeliest, and not marked as uncertain. Where a face is unreadable, the rows are
    empty and the mark says why. The lowest row is the evidence: the emotion that each instance
    supports most, averaged over the clips that contain the instance.

    Args:
        prediction: the recognized faces of a video.
        path: image file to write, if any.
        target_frames: (T,), the frames of the video that show its emotion, which are shaded; None
            if unknown.
        fps: frames per second of `target_frames`.
        lang: language of the emotions' names, `en` or `zh`.

    Raises:
        InputError: the file cannot be written, or no font for the language is installed.
    """
    labels, color_of = prediction.labels, colors(prediction.labels)
    names = names_in(lang, labels)
    prepare_fonts(names.values())
    people = [clips for _, clips in prediction.clips.groupby("person")]
    width, top, bottom, between = 8.6, 0.8, 0.5, 0.55
    left = max(1.3, 0.3 + max(text_width(name, **_LABEL, weight="bold") for name in names.values()))
    height = _ROW * (len(labels) - _EVIDENCE_BASE)
    figure = new_figure(
        left + width + 0.65,
        top + len(people) * (height + between) + bottom,
        *_heading(prediction, len(people)),
    )
    for index, clips in enumerate(people):
        y = bottom + (len(people) - 1 - index) * (height + between)
        axes = add_axes(figure, left, y, width, height)
        axes.set(xlim=(0, prediction.clips["end_s"].max()), ylim=(_EVIDENCE_BASE, len(labels)))
        if target_frames is not None:
            _shade_target_frames(axes, target_frames, fps, named=index == 0)
        _draw_person(axes, clips, color_of, names)
        instances = prediction.instances
        _draw_evidence(axes, instances[instances["track"].isin(clips["track"])], color_of, names)
        _draw_time_axis(axes, labeled=index == len(people) - 1)
    return save(figure, path)


def _heading(prediction: Recognized, people: int) -> tuple[str, str]:
    name = shorten(source_path(prediction.source).name, 50)
    if not people:
        return f"No face in {name}", fill(prediction.note, 120)
    who = (
        f"the {people} people in {name} express" if people > 1 else f"the face in {name} expresses"
    )
    return (
        f"What {who}, moment by moment",
        "Height: probability of each emotion. Strong color: the recognized emotion, where it is "
        "certain.\nEvidence: the emotion that each instance supports most; taller is stronger.",
    )


def _draw_person(
    axes: Axes, clips: pd.DataFrame, color_of: Mapping[str, str], names: Mapping[str, str]
) -> None:
    """Draw one person's probabilities, track by track, and why the face is unreadable."""
    shown = set[int]()
    for _, track in clips.groupby("track"):
        shown |= _draw_track(axes, track, color_of)
    for index, label in enumerate(color_of):
        weight = "bold" if index in shown else "normal"
        _label_row(axes, len(color_of) - 1 - index, names[label], weight=weight, color=INK)
    title: dict[str, Any] = {"ha": "right", "size": 10.5, "weight": "bold", "color": INK}
    axes.annotate(f"person {clips['person'].iloc[0]}", (0, 1), (-8, 6), **ABOVE_AXES, **title)
    _draw_scale(axes, len(color_of) - 1)


def _draw_track(axes: Axes, clips: pd.DataFrame, color_of: Mapping[str, str]) -> set[int]:
    """Draw the probabilities of one track; return which emotions are recognized, by index."""
    times, probabilities, marks = _curves(clips, list(color_of))
    recognized = np.where(marks == "", probabilities.argmax(0), -1)
    for index, color in enumerate(color_of.values()):
        base = len(color_of) - 1 - index
        height = base + _PEAK * probabilities[index]
        strong = recognized == index
        axes.plot(times[[0, -1]], [base, base], color=RULE, linewidth=0.8, zorder=1)
        axes.fill_between(times, base, height, color=color, alpha=0.35, linewidth=0, zorder=2)
        axes.fill_between(times, base, height, where=strong, color=color, linewidth=0, zorder=3)
    for first, last, mark in equal_spans(marks.tolist()):
        if np.isnan(probabilities[0, first]):
            _write_mark(axes, times[first], times[last], len(color_of), mark)
    return set(recognized.tolist())


def _curves(
    clips: pd.DataFrame, labels: Sequence[str]
) -> tuple[Values, Values, npt.NDArray[np.str_]]:
    """Return densely sampled times (P,), and the probabilities (C, P) and marks (P,) there."""
    times_s = np.linspace(clips["start_s"].iloc[0], clips["end_s"].iloc[-1], 2000)
    return times_s, *probabilities_at(clips, labels, times_s)


def _write_mark(axes: Axes, start_s: float, end_s: float, rows: int, mark: str) -> None:
    """Write why a face is unreadable for a while: upright, and smaller, if space is short."""
    axes.axvspan(start_s, end_s, 0.13, 1, facecolor=EMPTY, linewidth=0, zorder=1)
    text = axes.text((start_s + end_s) / 2, rows / 2, mark, **CENTERED, **_MARK, color=MUTED)
    if end_s - start_s <= 0.12 * axes.get_xlim()[1]:
        text.set_rotation(90)
        text.set_fontsize(_MARK["size"] * min(1, _ROW * rows / text_width(mark, **_MARK)))


def _draw_scale(axes: Axes, base: float) -> None:
    """Write 0 and 100 % beside the first row; all rows have the same scale."""
    for height, word in ((base, "0"), (base + _PEAK, "100 %")):
        axes.annotate(
            word,
            xy=(1, height),
            xytext=(5, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            size=7,
            va="center",
            color=MUTED,
        )


def _draw_evidence(
    axes: Axes, instances: pd.DataFrame, color_of: Mapping[str, str], names: Mapping[str, str]
) -> None:
    labels = list(color_of)
    # Clips overlap, so an instance is part of several; its evidence is averaged over them.
    means = instances.groupby(["track", "start_s"], as_index=False).mean(numeric_only=True)
    evidence = means[[f"evidence_{label}" for label in labels]].to_numpy()
    # Softmax depends on differences only, so the mean over the emotions carries no meaning.
    evidence = evidence - evidence.mean(1, keepdims=True)
    strength = evidence.max(1)
    strongest = np.array([labels[index] for index in evidence.argmax(1)])
    starts, ends = means["start_s"].to_numpy(), means["end_s"].to_numpy()
    axes.bar(
        starts,
        0.75 * strength / max(strength.max(), 1e-12),
        ends - starts,
        bottom=_EVIDENCE_BASE,
        align="edge",
        color=[color_of[emotion] for emotion in strongest],
        edgecolor="white",
        linewidth=0.4,
        zorder=3,
    )
    base = [_EVIDENCE_BASE, _EVIDENCE_BASE]
    for _, rows in means.groupby("track"):
        i = rows.index.to_numpy()
        axes.plot([starts[i[0]], ends[i[-1]]], base, color=MUTED, linewidth=0.8, clip_on=False)
        _name_spans(axes, [names[word] for word in strongest[i]], starts[i], ends[i])
    _label_row(axes, _EVIDENCE_BASE, "evidence", style="italic", color=MUTED)


def _name_spans(axes: Axes, emotions: Sequence[str], starts: Values, ends: Values) -> None:
    """Write the emotion above each run of instances that share it and is wide enough."""
    inches_per_s = axes.get_window_extent().width / axes.figure.dpi / np.diff(axes.get_xlim())[0]
    for first, last, emotion in equal_spans(emotions):
        if (ends[last] - starts[first]) * inches_per_s > 0.07 * len(emotion):
            middle = (starts[first] + ends[last]) / 2
            axes.text(middle, -0.26, emotion, **CENTERED, size=7.5, color=MUTED)


def _shade_target_frames(
    axes: Axes, target_frames: npt.NDArray[np.bool_], fps: float, named: bool
) -> None:
    """Shade the spans of target frames, and name them above the first one."""
    spans = [
        (first / fps, (last + 1) / fps)
        for first, last, is_target in equal_spans(target_frames.tolist())
        if is_target
    ]
    for start_s, end_s in spans:
        axes.axvspan(start_s, end_s, color=TARGET, linewidth=0, zorder=0)
    if named and spans:
        axes.annotate(
            "true target frames",
            xy=(sum(spans[0]) / 2, 1),
            xytext=(0, 6),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            size=8,
            color=MUTED,
        )


def _draw_time_axis(axes: Axes, labeled: bool) -> None:
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10], min_n_ticks=3))
    axes.xaxis.set_major_formatter("{x:g} s")
    axes.grid(axis="x", color=RULE, linewidth=0.5, zorder=0)
    axes.tick_params(labelsize=8, labelcolor=MUTED, labelbottom=labeled, pad=6)


def _label_row(axes: Axes, base: float, word: str, **style: Any) -> None:
    axes.annotate(
        word,
        xy=(0, base + 0.3),
        xytext=(-8, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        **RIGHT_ALIGNED,
        **_LABEL,
        **style,
    )
