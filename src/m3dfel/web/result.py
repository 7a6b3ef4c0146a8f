"""The analysis of a video as HTML: the video, a timeline for each person, moments and downloads.

Between the analysis and the page. `page.js` lets the timelines follow and steer the video.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pandas as pd
from jinja2 import Environment, PackageLoader

from m3dfel.emotions import colors
from m3dfel.report.spans import Values, equal_spans, person_spans, probabilities_at
from m3dfel.report.times import clock, ticks
from m3dfel.web.analysis import Analysis
from m3dfel.web.moments import Moment
from m3dfel.web.translations import Language, translate

# A timeline in units: its width, from row to row, and the height of probability 1.
WIDTH, ROW, PEAK = 1000, 24, 20
_SAMPLES = 600  # across the whole video
_UNFOLDED = 4  # people who are shown at once
_MOST_TICKS = 6


def render(template: str, language: Language, **content: Any) -> str:
    """Return a part of the page: a file of `templates/` filled with content, which is escaped."""
    environment = Environment(loader=PackageLoader("m3dfel.web"), autoescape=True)

    def words(word: str, **values: object) -> str:
        return translate(language, word, **values)

    return environment.get_template(template).render(content, translate=words, language=language)


def render_result(analysis: Analysis, language: Language) -> str:
    """Return the part of the page that shows a video."""
    labels, duration_s = analysis.prediction.labels, analysis.duration_s
    clips = [clips for _, clips in analysis.prediction.clips.groupby("person")]
    pictures = [analysis.pictures[view] for view in analysis.portraits]
    people = [
        _timeline(rows, labels, duration_s, language) | {"portrait": picture}
        for rows, picture in zip(clips, pictures, strict=True)
    ]
    return render(
        "result.html",
        language,
        labels=colors(labels),
        duration_s=duration_s,
        people=people,
        unfolded=_UNFOLDED,
        ticks=[(100 * s / duration_s, word) for s, word in ticks(duration_s, _MOST_TICKS)],
        width=WIDTH,
        row=ROW,
        moments=[_moment(moment, analysis) for moment in analysis.moments],
        files=[(name, file_url(path), path.name) for name, path in analysis.files.items()],
    )


def file_url(path: Path) -> str:
    """Return the address at which Gradio serves a file, relative to the page."""
    return f"gradio_api/file={quote(path.as_posix())}"


def _moment(moment: Moment, analysis: Analysis) -> dict[str, Any]:
    return {
        "emotion": moment.emotion,
        "percent": round(100 * moment.probability),
        "person": moment.view.person,
        "time_s": moment.view.time_s,
        "time": clock(moment.view.time_s),
        "picture": analysis.pictures[moment.view],
    }


def _timeline(
    clips: pd.DataFrame, labels: tuple[str, ...], duration_s: float, language: Language
) -> dict[str, Any]:
    """Return what the template shows about one person."""
    spans = list(person_spans(clips))
    seconds: defaultdict[str, float] = defaultdict(float)
    for start_s, end_s, word, _ in spans:
        seconds[word] += end_s - start_s
    return {
        "number": int(clips["person"].iloc[0]),
        "seconds": [
            (word, f"{time_s:.1f}")
            for word, time_s in sorted(seconds.items(), key=lambda item: -item[1])
        ],
        "rows": _rows(clips, labels, duration_s),
        "bands": [
            (100 * start_s / duration_s, 100 * (end_s - start_s) / duration_s, word)
            for start_s, end_s, word, confidence in spans
            if np.isnan(confidence)
        ],
        # What the page says while the video plays.
        "now": json.dumps(
            [
                [round(start_s, 2), round(end_s, 2), translate(language, word)]
                for start_s, end_s, word, _ in spans
            ]
        ),
    }


def _rows(
    clips: pd.DataFrame, labels: tuple[str, ...], duration_s: float
) -> list[tuple[str, str, str]]:
    """Return the color of each emotion and two SVG paths: its probability, and where it won."""
    pale, strong = [""] * len(labels), [""] * len(labels)
    for _, track in clips.groupby("track"):
        for row, (shown, won) in enumerate(_paths(track, labels, duration_s)):
            pale[row] += shown
            strong[row] += won
    return list(zip(colors(labels).values(), pale, strong, strict=True))


def _paths(
    track: pd.DataFrame, labels: tuple[str, ...], duration_s: float
) -> Iterator[tuple[str, str]]:
    """Yield the two SVG paths of each emotion for one track."""
    start_s, end_s = track["start_s"].iloc[0], track["end_s"].iloc[-1]
    samples = 2 + round(_SAMPLES * (end_s - start_s) / duration_s)
    times_s = np.linspace(start_s, end_s, samples)
    probabilities, marks = probabilities_at(track, labels, times_s)
    readable = ~np.isnan(probabilities[0])
    winner = np.where(marks == "", np.nan_to_num(probabilities).argmax(0), -1)
    x = WIDTH * times_s / duration_s
    for row in range(len(labels)):
        base = ROW * (row + 1)
        y = base - PEAK * probabilities[row]
        yield _areas(x, y, base, readable), _areas(x, y, base, winner == row)


def _areas(x: Values, y: Values, base: float, shown: npt.NDArray[np.bool_]) -> str:
    """Return an SVG path of the areas between a curve and its base, where it is shown."""
    areas = []
    for first, last, is_shown in equal_spans(shown.tolist()):
        if is_shown:
            points = " ".join(f"{x[i]:.1f},{y[i]:.1f}" for i in range(first, last + 1))
            areas.append(f"M{x[first]:.1f},{base}L{points} {x[last]:.1f},{base}Z")
    return "".join(areas)
