"""An analysis as HTML: of a video, a verdict and a timeline for each person; of photos, the boxes.

Between the analysis and the page. `page.js` lets the timelines follow and steer the video.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pandas as pd
from jinja2 import Environment, PackageLoader

from m3dfel.emotions import colors
from m3dfel.predictions.prediction import Prediction
from m3dfel.report.drawing.boxes import person_color
from m3dfel.report.numbers import clock, confidence, ticks
from m3dfel.report.recognized import BOX, per_label
from m3dfel.report.spans import Values, equal_spans, person_spans, probabilities_at
from m3dfel.report.words import movement_words, short_words
from m3dfel.web.analysis import Analysis
from m3dfel.web.moments import Moment
from m3dfel.web.photos import Photo, PhotoAnalysis
from m3dfel.web.translations import Language, translate

# A timeline in units: its width, the height of a row and of probability 1 in it, and of a lane.
WIDTH, ROW, PEAK, LANE = 1000, 24, 20, 30
_SAMPLES = 600  # across the whole video
_MOST_TICKS = 6
_ALL_THE_TIME, _MOSTLY = 0.95, 0.5  # of a person's time
_MAX_NAMED = 3  # emotions in a verdict

_MAIN_FORMATS = ("video", "png", "xlsx", "csv", "zip")

Span = tuple[float, float, str, float]
"""Start and end in seconds, emotion or mark, and confidence; see `person_spans`."""

_Row = tuple[str, str, str]
"""A color, and the SVG paths that are drawn in it: pale, and in full strength."""


@lru_cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("m3dfel.web"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )


def render(template: str, language: Language, **content: Any) -> str:
    """Return a part of the page: a file of `templates/` filled with content, which is escaped."""
    words = partial(translate, language)
    template_ = _environment().get_template(template)
    return template_.render(content, translate=words, language=language)


def render_result(analysis: Analysis | PhotoAnalysis, job: str, language: Language) -> str:
    """Return the part of the page that shows an analysis.

    Args:
        analysis: of a video or of photos.
        job: id of the job, under which the page finds its files.
        language: of the page.
    """
    if isinstance(analysis, Analysis):
        return _render_video(analysis, job, language)
    return _render_photos(analysis, job, language)


def _render_video(analysis: Analysis, job: str, language: Language) -> str:
    labels, duration_s = analysis.prediction.labels, analysis.prediction.duration_s
    people = [
        _person(clips, labels, analysis.prediction.movements, duration_s, language)
        | {"portrait": analysis.pictures.get(view, ""), "color": person_color(view.person)}
        for (_, clips), view in zip(
            analysis.prediction.clips.groupby("person"), analysis.portraits, strict=True
        )
    ]
    return render(
        "result.html",
        language,
        address=f"jobs/{job}",
        labels=colors(labels),
        short=short_words(language, labels),
        duration_s=round(duration_s, 3),
        width=analysis.video.width,
        height=analysis.video.height,
        cut_off=(
            {"read": f"{duration_s:.1f}", "stated": f"{analysis.video.duration_s:.1f}"}
            if analysis.is_cut_off
            else None
        ),
        people=people,
        ticks=[(100 * s / duration_s, word) for s, word in ticks(duration_s, _MOST_TICKS)],
        units={"width": WIDTH, "row": ROW, "lane": LANE},
        moments=[_moment(moment, analysis) for moment in analysis.moments],
        **_downloads(analysis.files, job),
    )


def _downloads(files: Mapping[str, Path], job: str) -> dict[str, Any]:
    addresses = {
        name: (f"jobs/{job}/files/{quote(path.name)}", path.name) for name, path in files.items()
    }
    return {"files": addresses, "main_formats": [name for name in _MAIN_FORMATS if name in files]}


def _render_photos(analysis: PhotoAnalysis, job: str, language: Language) -> str:
    photos: list[dict[str, Any]] = [
        {
            "name": photo.name,
            "width": photo.width,
            "height": photo.height,
            "address": f"jobs/{job}/photos/{number}",
            "faces": [_face(row, photo) for row in photo.faces.to_dict("records")],
        }
        for number, photo in enumerate(analysis.photos)
    ]
    counts = Counter(face["word"] for photo in photos for face in photo["faces"])
    words = (f"{n} × {translate(language, word)}" for word, n in counts.most_common())
    return render(
        "photos.html",
        language,
        photos=photos,
        verdict=", ".join(words),
        labels=colors(analysis.labels),
        unreadable=analysis.unreadable,
        **_downloads(analysis.files, job),
    )


def _face(row: dict[Hashable, Any], photo: Photo) -> dict[str, Any]:
    """Return what the template shows about a row of `photo_table`; the box in percent."""
    x1, y1, x2, y2 = (row[side] for side in BOX)
    return {
        "number": row["face"],
        "person_color": person_color(row["face"]),
        "left": 100 * x1 / photo.width,
        "top": 100 * y1 / photo.height,
        "width": 100 * (x2 - x1) / photo.width,
        "height": 100 * (y2 - y1) / photo.height,
        "word": row["mark"] or row["emotion"],
        "confidence": "" if np.isnan(row["confidence"]) else confidence(row["confidence"]),
    }


def verdict(spans: Sequence[Span], labels: Sequence[str], language: Language) -> str:
    """Return a sentence that sums up what a person expresses.

    Args:
        spans: of the person.
        labels: the label set; all other words of spans are marks.
        language: of the sentence.

    Example:
        >>> spans = [(0.0, 6.0, "happiness", 0.9), (6.0, 8.0, "uncertain", 0.4)]
        >>> verdict(spans, ["happiness", "sadness"], "en")
        'Mostly happiness (6.0 of 8.0 s); 2.0 s uncertain.'
    """
    say = partial(translate, language)
    seconds = defaultdict[str, float](float)
    for start_s, end_s, word, _ in spans:
        seconds[word] += end_s - start_s
    total_s = sum(seconds.values())
    ranked = sorted(seconds.items(), key=lambda item: -item[1])
    emotions = [(say(word), time_s) for word, time_s in ranked if word in labels][:_MAX_NAMED]
    values = {"total": f"{total_s:.1f}"}
    if not emotions:
        sentence = say("no_emotion", **values)
    elif emotions[0][1] >= _ALL_THE_TIME * total_s:
        sentence = say("all_the_time", word=emotions[0][0].capitalize(), **values)
        emotions = emotions[:1]
    else:
        word, time_s = emotions[0]
        form = "mostly" if time_s >= _MOSTLY * total_s else "most_often"
        sentence = say(form, word=word, n=f"{time_s:.1f}", **values)
    for word, time_s in emotions[1:]:
        sentence += say("then", word=word, n=f"{time_s:.1f}")
    for word, time_s in ranked:
        if word not in labels and time_s >= 0.05:
            sentence += say("rest", word=say(word), n=f"{time_s:.1f}")
    return sentence + say("end")


def boxes(prediction: Prediction, language: Language) -> list[dict[str, Any]]:
    """Return where each track is and what it expresses, for the boxes and words of the moment."""
    color_of, say = colors(prediction.labels), partial(translate, language)
    tracks = []
    for track, rows in prediction.frames.groupby("track"):
        clips = prediction.clips[prediction.clips["track"] == track]
        if clips.empty:
            continue
        person = int(clips["person"].iloc[0])
        tracks.append(
            {
                "person": person,
                "color": person_color(person),
                "times": rows["time_s"].round(3).tolist(),
                "boxes": rows[BOX].round().astype(int).to_numpy().tolist(),
                "spans": [
                    [round(start_s, 3), round(end_s, 3), say(word), color_of.get(word)]
                    for start_s, end_s, word in _frame_spans(rows, clips, prediction.labels)
                ],
            }
        )
    return tracks


def _frame_spans(
    rows: pd.DataFrame, clips: pd.DataFrame, labels: Sequence[str]
) -> Iterator[tuple[float, float, str]]:
    """Yield the spans of a track as its curves show them: uncertain between two emotions, too."""
    times_s = rows["time_s"].to_numpy(float)
    probabilities, marks = probabilities_at(clips, labels, times_s)
    likeliest = np.array(labels)[np.nan_to_num(probabilities).argmax(0)]
    ends_s = [*times_s[1:], clips["end_s"].iloc[-1]]
    for first, last, word in equal_spans(np.where(marks == "", likeliest, marks).tolist()):
        yield times_s[first], ends_s[last], word


def _moment(moment: Moment, analysis: Analysis) -> dict[str, Any]:
    return {
        "emotion": moment.emotion,
        "confidence": confidence(moment.probability),
        "person": moment.view.person,
        "time_s": round(moment.view.time_s, 3),
        "time": clock(moment.view.time_s),
        "picture": analysis.pictures.get(moment.view, ""),
    }


def _person(
    clips: pd.DataFrame,
    labels: tuple[str, ...],
    movements: tuple[str, ...],
    duration_s: float,
    language: Language,
) -> dict[str, Any]:
    """Return what the template shows about one person."""
    spans = list(person_spans(clips))
    lane, rows = _emotion_areas(clips, labels, duration_s)
    return {
        "number": int(clips["person"].iloc[0]),
        "verdict": verdict(spans, labels, language),
        "lane": lane,
        "rows": rows,
        "movements": [movement_words(name, language) for name in movements],
        "movement_rows": [
            ("currentColor", "", _movement_areas(clips, name, ROW * row, duration_s))
            for row, name in enumerate(movements, start=1)
        ],
        "spans": [
            {
                "left": 100 * start_s / duration_s,
                "width": 100 * (end_s - start_s) / duration_s,
                "word": word,
                "start": clock(start_s, decimals=1),
                "end": clock(end_s, decimals=1),
                "confidence": "" if np.isnan(certainty) else confidence(certainty),
                "is_unreadable": bool(np.isnan(certainty)),
            }
            for start_s, end_s, word, certainty in spans
        ],
    }


def _emotion_areas(
    clips: pd.DataFrame, labels: tuple[str, ...], duration_s: float
) -> tuple[list[_Row], list[_Row]]:
    """Return the probability of each emotion of one person over time: on the lane, and in rows.

    On the lane, all emotions share one base, and only the likeliest is shown.
    """
    lane, rows = {label: ["", ""] for label in labels}, {label: ["", ""] for label in labels}
    for _, track in clips.groupby("track"):
        start_s, end_s = track["start_s"].iloc[0], track["end_s"].iloc[-1]
        samples = 2 + round(_SAMPLES * (end_s - start_s) / duration_s)
        times_s = np.linspace(start_s, end_s, samples)
        x = WIDTH * times_s / duration_s
        probabilities, marks = probabilities_at(track, labels, times_s)
        likeliest = np.nan_to_num(probabilities).argmax(0)
        for index, (label, probability) in enumerate(zip(labels, probabilities, strict=True)):
            is_likeliest, base = likeliest == index, ROW * (index + 1)
            is_recognized = is_likeliest & (marks == "")
            on_lane, in_row = LANE - LANE * probability, base - PEAK * probability
            lane[label][0] += _areas(x, on_lane, LANE, is_likeliest)
            lane[label][1] += _areas(x, on_lane, LANE, is_recognized)
            rows[label][0] += _areas(x, in_row, base)
            rows[label][1] += _areas(x, in_row, base, is_recognized)
    color_of = colors(labels)
    return (
        [(color_of[label], pale, strong) for label, (pale, strong) in lane.items()],
        [(color_of[label], pale, strong) for label, (pale, strong) in rows.items()],
    )


def _movement_areas(clips: pd.DataFrame, movement: str, base: float, duration_s: float) -> str:
    """Return an SVG path of the areas below a movement, one for each readable part of a track."""
    (column,) = per_label("movement", [movement])
    areas = ""
    for _, track in clips.groupby("track"):
        x = WIDTH * (track["start_s"] + track["end_s"]).to_numpy() / 2 / duration_s
        areas += _areas(x, base - PEAK * track[column].to_numpy(float), base)
    return areas


def _areas(x: Values, y: Values, base: float, shown: npt.NDArray[np.bool_] | bool = True) -> str:
    """Return an SVG path of the areas between a curve and its base, where it is known and shown."""
    known, areas = ~np.isnan(y), ""
    for first, last, is_shown in equal_spans((known & shown).tolist()):
        if is_shown:
            if last + 1 < len(y) and known[last + 1]:
                last += 1  # so that it touches its neighbor
            points = " ".join(f"{x[i]:.1f},{y[i]:.1f}" for i in range(first, last + 1))
            areas += f"M{x[first]:.1f},{base}L{points} {x[last]:.1f},{base}Z"
    return areas
