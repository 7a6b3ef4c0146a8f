"""The summary of many videos: one bar for each person, divided into the emotions shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from m3dfel.emotions import colors
from m3dfel.report.drawing.sprites import rgb, text_color
from m3dfel.report.fonts import check_fonts
from m3dfel.report.portraits import View, draw_portrait, read_portraits
from m3dfel.report.style import (
    CENTERED,
    EMPTY,
    FAINT,
    INK,
    MUTED,
    PLAIN,
    RIGHT_ALIGNED,
    RULE,
    add_axes,
    new_figure,
    save,
    shorten,
    text_width,
)
from m3dfel.report.words import short_words, translate
from m3dfel.video.decode import Picture
from m3dfel.video.marks import UNCERTAIN, UNREADABLE

_UNREADABLE = "unreadable"
_ROW, _WIDTH, _PORTRAIT = 0.26, 6.4, 0.23  # inches
_WORD: dict[str, Any] = {"size": 7}  # in a bar
_MAX_NAMED = 80  # more bars than this are thin and have no names
_MAX_HEIGHT = 12.0  # of thin bars, inches


def time_column(word: str) -> str:
    """Return the column of a summary with the fraction of time of an emotion or a mark."""
    return f"time_{word.replace(' ', '_')}"


def plot_summary(
    table: pd.DataFrame,
    path: str | Path | None = None,
    lang: str = "en",
    views: Callable[[str], Sequence[View]] = lambda _: (),
) -> Figure:
    """Draw for each person in each video which part of the time shows which emotion.

    Beside each bar are the changes of emotion per minute. Above 80 bars, they are thin, without
    names, and sorted by the emotion that is shown most.

    Args:
        table: as `batch.summary.summarize` returns it.
        path: image file to write, if any.
        lang: language of all words, `en` or `zh`.
        views: returns those of the persons of a video; portraits are cut out of the videos that are
            still where they were.

    Raises:
        InputError: the file cannot be written, or no font for the language is installed.
    """
    people = table[table["person"].notna()].reset_index(drop=True)
    parts = _parts(people)
    labels = parts.columns.tolist()[:-2]
    color_of = colors(labels) | {UNCERTAIN: RULE, _UNREADABLE: EMPTY}
    named = len(people) <= _MAX_NAMED
    if not named:
        most = parts.to_numpy(float)
        order = np.lexsort((-most.max(1), most.argmax(1)))
        people, parts = people.iloc[order], parts.iloc[order]
    words = {name: translate(lang, name) for name in color_of}
    check_fonts(words.values())
    names = _names(people, lang) if named else []
    portraits = _portraits(people, views) if named else []
    aside = 0.08 + (_PORTRAIT + 0.06 if any(p is not None for p in portraits) else 0.0)
    left = 0.32 + aside + max((text_width(name, 9) for name in names), default=0.0)
    height = _ROW * len(people) if named else min(_ROW * len(people), _MAX_HEIGHT)
    figure = new_figure(left + _WIDTH + 0.9, height + 1.7, *_heading(table, lang))
    axes = add_axes(figure, left, 0.45, _WIDTH, max(height, 0.01))
    _draw_bars(axes, parts, color_of, thin=not named)
    if named:
        _name_parts(axes, parts, color_of, lang)
    for row, name in enumerate(names):
        axes.text(-aside / _WIDTH, row, name, **RIGHT_ALIGNED, size=9, color=INK)
        if (portrait := portraits[row]) is not None:
            person, middle = int(people["person"].iloc[row]), 1 - (row + 0.5) / len(people)
            draw_portrait(axes, portrait, person, 72 * _PORTRAIT, (0, middle), (-6, 0))
        changes = people["changes_per_min"].iloc[row]
        if pd.notna(changes):
            axes.text(1.06, row, f"{changes:.0f}", **RIGHT_ALIGNED, size=8, color=MUTED)
    if names:
        head = translate(lang, "changes/min")
        axes.text(1.015, -0.75, head, va="bottom", size=7, color=MUTED, **PLAIN)
    _draw_legend(figure, {words[name]: color for name, color in color_of.items()})
    return save(figure, path)


def _parts(people: pd.DataFrame) -> pd.DataFrame:
    """Return the fractions of the time that the bars consist of, one column for each part."""
    times = people.filter(like="time_").fillna(0.0)
    uncertain, unreadable = time_column(UNCERTAIN), [time_column(mark) for mark in UNREADABLE]
    parts = times.drop(columns=[uncertain, *unreadable])
    parts.columns = parts.columns.str.removeprefix("time_")
    return parts.assign(**{UNCERTAIN: times[uncertain], _UNREADABLE: times[unreadable].sum(axis=1)})


def _names(people: pd.DataFrame, lang: str) -> list[str]:
    """Return the video of each bar, with the person if there are several in it."""
    counts = people["video"].map(people["video"].value_counts())
    return [
        shorten(Path(video).name, 40)
        + (f", {translate(lang, 'person {n}', n=person)}" if persons > 1 else "")
        for video, person, persons in zip(people["video"], people["person"], counts, strict=True)
    ]


def _portraits(
    people: pd.DataFrame, views: Callable[[str], Sequence[View]]
) -> list[Picture | None]:
    """Return the picture of each person, None where there is none."""
    found = {video: read_portraits(video, views(video)) for video in set(people["video"])}
    return [
        found[video].get(int(person))
        for video, person in zip(people["video"], people["person"], strict=True)
    ]


def _heading(table: pd.DataFrame, lang: str) -> tuple[str, str]:
    videos, without = table["video"].nunique(), int(table["person"].isna().sum())
    title = "What faces express in one video" if videos == 1 else "What faces express in {n} videos"
    bars = "Each bar: the time a person is in the picture, divided by what the face shows."
    explanation = translate(lang, bars)
    if without:
        explanation += " " + translate(lang, "Videos without a face: {n}.", n=without)
    return translate(lang, title, n=videos), explanation


def _draw_bars(axes: Axes, parts: pd.DataFrame, color_of: dict[str, str], thin: bool) -> None:
    rows, start = np.arange(len(parts)), np.zeros(len(parts))
    edges = np.stack([rows - 0.5, rows + 0.5], axis=1).ravel()
    for name, color in color_of.items():
        end = start + parts[name].to_numpy(float)
        if thin:  # all bars as one shape, since thousands would take minutes
            axes.fill_betweenx(edges, start.repeat(2), end.repeat(2), color=color, linewidth=0)
        else:
            axes.barh(rows, end - start, 0.8, left=start, color=color, linewidth=0)
        start = end
    axes.set(xlim=(0, 1), ylim=(max(len(parts), 1) - 0.5, -0.5), yticks=[])
    axes.xaxis.set_major_formatter(lambda fraction, _: f"{100 * fraction:.0f} %")
    axes.tick_params(labelcolor=MUTED, pad=4)


def _name_parts(axes: Axes, parts: pd.DataFrame, color_of: dict[str, str], lang: str) -> None:
    """Write into each part of a bar what it is: the first name that fits."""
    short = short_words(lang, list(color_of)[:-2])
    for row, values in enumerate(parts.to_numpy(float)):
        start = 0.0
        for name, value in zip(color_of, values, strict=True):
            names = (translate(lang, name), short.get(name, "?"))
            fitting = (word for word in names if text_width(word, **_WORD) < _WIDTH * value - 0.06)
            ink = text_color(rgb(color_of[name]))
            axes.text(start + value / 2, row, next(fitting, ""), **CENTERED, **_WORD, color=ink)
            start += value


def _draw_legend(figure: Figure, color_of: dict[str, str]) -> None:
    patches = [
        Patch(facecolor=color, label=name, edgecolor=FAINT if color == EMPTY else "none")
        for name, color in color_of.items()
    ]
    width, height = figure.get_size_inches()
    figure.legend(
        handles=patches,
        loc="upper left",
        bbox_to_anchor=(0.2 / width, 1 - 0.78 / height),
        borderaxespad=0.0,
        borderpad=0.0,
        ncols=len(patches),
        frameon=False,
        fontsize=8,
        labelcolor=INK,
        handlelength=1.0,
        handleheight=1.0,
        columnspacing=1.2,
    )
