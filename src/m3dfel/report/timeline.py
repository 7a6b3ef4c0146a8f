"""The timeline of a video: what each face expresses over time, with the evidence below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from m3dfel.emotions import colors, names_in
from m3dfel.errors import InputError
from m3dfel.report.evidence import relative_evidence
from m3dfel.report.fonts import check_fonts
from m3dfel.report.portraits import draw_portrait, portrait_views, read_portraits
from m3dfel.report.recognized import Recognized, per_label
from m3dfel.report.spans import Values, equal_spans, probabilities_at, span_table
from m3dfel.report.style import (
    ABOVE_AXES,
    CENTERED,
    EMPTY,
    INK,
    MUTED,
    PALE,
    PLAIN,
    RULE,
    TARGET,
    add_axes,
    new_figure,
    save,
    shorten,
    text_width,
)
from m3dfel.report.words import movement_words, short_words, translate, words_for
from m3dfel.video.decode import Picture
from m3dfel.video.marks import NO_FACE
from m3dfel.video.sources import source_path

_ROW = 0.3  # inches
_EVIDENCE_BASE = -1.2  # in rows; the emotion in the last row stands on 0
_LANE = 0.6  # height of a movement, in rows
_LANES = 4  # at most
_LIVELY = 0.1  # what moves less is not drawn
_EDGE = 0.4  # points between bars
_EDGED = 500  # bars; more are so thin that their edges would cover them
_PEAK = 0.9  # height of probability 1, in rows
_SAMPLES = 2000  # of a curve
_MIN_NAMED = 0.015  # of the width: what is shorter has no room for a line of text
_LABEL: dict[str, Any] = {"size": 9}
_MARK: dict[str, Any] = {"size": 8}
_SMALL: dict[str, Any] = {"size": 7.5, "color": MUTED}
_SPAN: dict[str, Any] = {"size": 7.5}
_HEADING: dict[str, Any] = {"size": 10.5, "weight": "bold"}
_PORTRAIT = 28.0  # points


def plot_timeline(
    prediction: Recognized,
    path: str | Path | None = None,
    target_frames: npt.NDArray[np.bool_] | None = None,
    fps: float = 25.0,
    lang: str = "en",
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw what each person expresses over time: one block per person, one row per emotion.

    A row's height is the emotion's probability, in strong color where it is the recognized
    emotion: the likeliest, and not marked as uncertain. Where a face is unreadable, the rows are
    empty and the mark says why. The lowest row is the evidence: the emotion that each instance
    supports most, averaged over the clips that contain the instance. Below it, if the model sees
    movements, are those that change most, from 0 to 1.

    Of several people, portraits say who is who, if their video is still where it was.

    Args:
        prediction: the recognized faces of a video.
        path: image file to write, if any.
        target_frames: (T,), the frames of the video that show its emotion, which are shaded; None
            if unknown.
        fps: frames per second of `target_frames`.
        lang: language of all words, `en` or `zh`.
        ax: axes of a figure of your own, one for each person; None for a new figure.

    Raises:
        InputError: the file cannot be written, no font for the language is installed, or there are
            not as many axes as persons.
    """
    names = names_in(lang, prediction.labels)
    words = words_for(lang, prediction.labels)
    check_fonts(words.values())
    spans = span_table(prediction)
    people = [clips for _, clips in prediction.clips.groupby("person")]
    movements = _liveliest(prediction)
    portraits = dict[int, Picture]()
    if len(people) > 1:
        portraits = read_portraits(prediction.source, portrait_views(prediction))
    if ax is None:
        height = _ROW * (len(names) - _bottom(movements))
        figure, blocks = _new_figure(prediction, names, len(people), height, lang)
    else:
        blocks = [ax] if isinstance(ax, Axes) else list(ax)
        if len(blocks) != len(people):
            raise InputError(
                f"there are {len(people)} persons but {len(blocks)} axes: give one for each person"
            )
        figure = cast(Figure, blocks[0].get_figure(root=True))
    for index, (axes, clips) in enumerate(zip(blocks, people, strict=True)):
        axes.set(xlim=(0, prediction.duration_s), ylim=(_bottom(movements), len(names)))
        if target_frames is not None:
            name = translate(lang, "true target frames") if index == 0 else ""
            _shade_target_frames(axes, target_frames, fps, name)
        person = int(clips["person"].iloc[0])
        _draw_person(axes, clips, names, words)
        _write_heading(axes, translate(lang, "person {n}", n=person), portraits.get(person), person)
        away = spans[(spans["person"] == person) & (spans["emotion"] == NO_FACE)]
        for start_s, end_s in away[["start_s", "end_s"]].to_numpy():
            _write_mark(axes, start_s, end_s, len(names), words[NO_FACE])
        instances = prediction.instances
        evidence = instances[instances["track"].isin(clips["track"])]
        short = short_words(lang, prediction.labels)
        _draw_evidence(axes, evidence, names, short, translate(lang, "evidence"))
        for lane, movement in enumerate(movements, 1):
            _draw_movement(axes, clips, movement, _EVIDENCE_BASE - lane * _LANE, lang)
        _draw_time_axis(axes, labeled=axes is blocks[-1])
    return save(figure, path)


def _new_figure(
    prediction: Recognized, names: Mapping[str, str], people: int, height: float, lang: str
) -> tuple[Figure, list[Axes]]:
    """Return a figure with its heading, and axes for each person below each other."""
    width, top, bottom, between = 8.6, 0.8, 0.5, 0.55
    left = max(
        1.3 if people == 1 else 1.5,
        0.3 + max(text_width(name, **_LABEL, weight="bold") for name in names.values()),
    )
    size = left + width + 0.65, top + people * (height + between) + bottom
    figure = new_figure(*size, *_heading(prediction, people, lang))
    steps = reversed(range(people))
    blocks = [
        add_axes(figure, left, bottom + step * (height + between), width, height) for step in steps
    ]
    return figure, blocks


def _heading(prediction: Recognized, people: int, lang: str) -> tuple[str, str]:
    name = shorten(source_path(prediction.source).name, 50)
    if not people:
        return translate(lang, "No face in {name}", name=name), fill(prediction.note, 120)
    title = "What the face in {name} expresses, moment by moment"
    if people > 1:
        title = "What the {n} people in {name} express, moment by moment"
    explanation = (
        "Height: probability of each emotion. Strong color: the recognized emotion, where it is "
        "certain.\nEvidence: the emotion that each instance supports most; taller is stronger."
    )
    return translate(lang, title, name=name, n=people), translate(lang, explanation)


def _draw_person(
    axes: Axes,
    clips: pd.DataFrame,
    names: Mapping[str, str],
    words: Mapping[str, str],
) -> None:
    """Draw one person's probabilities, track by track, and why the face is unreadable."""
    shown = set[int]()
    for _, track in clips.groupby("track"):
        shown |= _draw_track(axes, track, list(names), words)
    for index, name in enumerate(names.values()):
        weight = "bold" if index in shown else "normal"
        _label_row(axes, len(names) - 1 - index, name, weight=weight, color=INK)
    _draw_scale(axes, len(names) - 1)


def _write_heading(axes: Axes, heading: str, portrait: Picture | None, person: int) -> None:
    """Write whose block it is at its top left, and draw the portrait before it, if any."""
    axes.annotate(
        heading,
        (0, 1),
        (-8, 6 if portrait is None else _PORTRAIT / 2),
        **ABOVE_AXES,
        **_HEADING,
        ha="right",
        color=INK,
    )
    if portrait is not None:
        left = 8 + 72 * text_width(heading, **_HEADING) + 6
        draw_portrait(axes, portrait, person, _PORTRAIT, (0, 1), (-left, 4 + _PORTRAIT / 2))


def _draw_track(
    axes: Axes, clips: pd.DataFrame, labels: Sequence[str], words: Mapping[str, str]
) -> set[int]:
    """Draw the probabilities of one track; return which emotions are recognized, by index."""
    times = np.linspace(clips["start_s"].iloc[0], clips["end_s"].iloc[-1], _SAMPLES)
    probabilities, marks = probabilities_at(clips, labels, times)
    recognized = np.where(marks == "", probabilities.argmax(0), -1)
    for index, color in enumerate(colors(labels).values()):
        base = len(labels) - 1 - index
        height = base + _PEAK * probabilities[index]
        strong = recognized == index
        axes.plot(times[[0, -1]], [base, base], color=RULE, linewidth=0.8, zorder=1)
        axes.fill_between(times, base, height, color=color, alpha=PALE, linewidth=0, zorder=2)
        axes.fill_between(times, base, height, where=strong, color=color, linewidth=0, zorder=3)
    for first, last, mark in equal_spans(marks.tolist()):
        if np.isnan(probabilities[0, first]):
            _write_mark(axes, times[first], times[last], len(labels), words[mark])
    return set(recognized.tolist())


def _write_mark(axes: Axes, start_s: float, end_s: float, rows: int, mark: str) -> None:
    """Write why there is no answer for a while: upright, and smaller, if space is short."""
    axes.axvspan(start_s, end_s, 0.13, 1, facecolor=EMPTY, linewidth=0, zorder=1)
    if end_s - start_s < _MIN_NAMED * axes.get_xlim()[1]:
        return
    text = axes.text((start_s + end_s) / 2, rows / 2, mark, **CENTERED, **_MARK, color=MUTED)
    if end_s - start_s <= 0.12 * axes.get_xlim()[1]:
        text.set_rotation(90)
        text.set_fontsize(_MARK["size"] * min(1, _ROW * rows / text_width(mark, **_MARK)))


def _draw_scale(axes: Axes, base: float) -> None:
    """Write 0 and 100 % beside the first row; all rows have the same scale."""
    for height, word in ((base, "0"), (base + _PEAK, "100 %")):
        _write_beside(axes, (1, height), (5, 0), word, size=7, ha="left", color=MUTED)


def _draw_evidence(
    axes: Axes,
    instances: pd.DataFrame,
    names: Mapping[str, str],
    short: Mapping[str, str],
    heading: str,
) -> None:
    labels, color_of = list(names), colors(list(names))
    # Clips overlap, so an instance is part of several; its evidence is averaged over them.
    means = instances.groupby(["track", "start_s"], as_index=False).mean(numeric_only=True)
    evidence = relative_evidence(means[per_label("evidence", labels)].to_numpy())
    strength = evidence.max(1)
    strongest = np.array([labels[index] for index in evidence.argmax(1)])
    starts, ends = means["start_s"].to_numpy(), means["end_s"].to_numpy()
    tops = _EVIDENCE_BASE + 0.75 * strength / max(strength.max(), 1e-12)
    base = np.full(len(means), _EVIDENCE_BASE)
    # Together, since one by one the bars of two hours take minutes.
    corners = [(starts, base), (starts, tops), (ends, tops), (ends, base)]
    bars = PolyCollection(
        list(np.stack([np.column_stack(corner) for corner in corners], axis=1)),
        facecolor=[color_of[emotion] for emotion in strongest],
        edgecolor="white",
        linewidth=_EDGE if len(means) < _EDGED else 0,
        zorder=3,
    )
    axes.add_collection(bars, autolim=False)
    for _, rows in means.groupby("track"):
        i = rows.index.to_numpy()
        axes.plot([starts[i[0]], ends[i[-1]]], base[:2], color=MUTED, linewidth=0.8, clip_on=False)
        _name_spans(axes, strongest[i].tolist(), (names, short), starts[i], ends[i])
    _label_row(axes, _EVIDENCE_BASE, heading, style="italic", color=MUTED)


def _liveliest(prediction: Recognized) -> list[str]:
    """Return the movements that change most over the video, in their usual order."""
    columns = per_label("movement", prediction.movements)
    changes = prediction.clips[columns].astype(float).std().fillna(0.0)
    chosen = set(changes[changes >= _LIVELY].nlargest(_LANES).index)
    return [n for n, c in zip(prediction.movements, columns, strict=True) if c in chosen]


def _bottom(movements: Sequence[str]) -> float:
    """Return where a person's block ends, in rows."""
    return _EVIDENCE_BASE - len(movements) * _LANE


def _draw_movement(axes: Axes, clips: pd.DataFrame, movement: str, base: float, lang: str) -> None:
    (column,) = per_label("movement", [movement])
    for _, track in clips.groupby("track"):
        start_s, end_s = track["start_s"].to_numpy(), track["end_s"].to_numpy()
        times = np.concatenate([start_s[:1], (start_s + end_s) / 2, end_s[-1:]])
        heights = np.pad(track[column].to_numpy(float), 1, mode="edge")
        axes.fill_between(times, base, base + 0.8 * _LANE * heights, color=MUTED, linewidth=0)
        axes.plot(times[[0, -1]], [base, base], color=RULE, linewidth=0.8, zorder=1)
    words = movement_words(movement, lang)
    _write_beside(axes, (0, base + 0.3 * _LANE), (-8, 0), words, ha="right", **_SMALL)


def _name_spans(
    axes: Axes,
    emotions: Sequence[str],
    names: Sequence[Mapping[str, str]],
    starts: Values,
    ends: Values,
) -> None:
    """Write the emotion above each run of instances that share it: the first name that fits."""
    inches_per_s = axes.get_window_extent().width / axes.figure.dpi / np.diff(axes.get_xlim())[0]
    for first, last, emotion in equal_spans(emotions):
        width = (ends[last] - starts[first]) * inches_per_s
        fitting = (of[emotion] for of in names if text_width(of[emotion], **_SPAN) < width)
        if name := next(fitting, None):
            middle = (starts[first] + ends[last]) / 2
            axes.text(middle, -0.26, name, **CENTERED, **_SPAN, color=MUTED)


def _shade_target_frames(
    axes: Axes, target_frames: npt.NDArray[np.bool_], fps: float, name: str
) -> None:
    """Shade the spans of target frames, and write the name, if any, above the first one."""
    spans = [
        (first / fps, (last + 1) / fps)
        for first, last, is_target in equal_spans(target_frames.tolist())
        if is_target
    ]
    for start_s, end_s in spans:
        axes.axvspan(start_s, end_s, color=TARGET, linewidth=0, zorder=0)
    if name and spans:
        middle, of_axes = sum(spans[0]) / 2, axes.get_xaxis_transform()
        axes.text(middle, 1.03, name, transform=of_axes, ha="center", size=8, color=MUTED)


def _draw_time_axis(axes: Axes, labeled: bool) -> None:
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10], min_n_ticks=3))
    axes.xaxis.set_major_formatter("{x:g} s")
    axes.grid(axis="x", color=RULE, linewidth=0.5, zorder=0)
    axes.tick_params(labelsize=8, labelcolor=MUTED, labelbottom=labeled, pad=6)


def _label_row(axes: Axes, base: float, word: str, **style: Any) -> None:
    _write_beside(axes, (0, base + 0.3), (-8, 0), word, ha="right", **_LABEL, **style)


def _write_beside(
    axes: Axes, xy: tuple[float, float], offset: tuple[float, float], word: str, **style: Any
) -> None:
    """Write a word some points beside a position: x as a fraction of the axes, y as data."""
    axes.annotate(
        word,
        xy=xy,
        xytext=offset,
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        va="center",
        **PLAIN,
        **style,
    )
