"""Summarize many predictions: one row for each video and person, as a table and one picture.

For `m3dfel summarize`, and at the end of `m3dfel predict` with several videos. Reads only the start
of the JSON files that `predict` wrote, so that a thousand long videos take seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from m3dfel.errors import InputError
from m3dfel.files import as_utf8
from m3dfel.predictions.prediction import Header, Prediction, read_header
from m3dfel.report.portraits import View, portrait_views
from m3dfel.report.summary import plot_summary, time_column
from m3dfel.report.tables import write_csv
from m3dfel.video.marks import NO_FACE, UNCERTAIN, UNREADABLE

SUMMARY_FILES = ("summary.csv", "summary.png")
"""Names of the table and of the picture."""

_MARKS = (UNCERTAIN, *UNREADABLE)
_RATE_FROM_S = 10.0  # changes in less time say nothing about a minute


def read_headers(folder: Path) -> dict[str, Header]:
    """Return the start of each prediction (JSON file) in a folder, by the stem of its name."""
    headers = {path.stem: read_header(path) for path in sorted(folder.glob("*.json"))}
    return {stem: header for stem, header in headers.items() if header}


def find_predictions(folder: str | Path) -> list[Header]:
    """Return the start of each prediction in a folder, by name.

    Raises:
        InputError: there are none.
    """
    headers = [*read_headers(Path(folder)).values()]
    if not headers:
        raise InputError(
            f"there is no prediction in {folder}: give a folder with .json files that "
            "`m3dfel predict` wrote"
        )
    return headers


def write_summary(predictions: Iterable[Header], folder: Path, lang: str = "en") -> pd.DataFrame:
    """Summarize predictions, and write `summary.csv` and `summary.png`.

    Args:
        predictions: the start of each file.
        folder: receives the table and the picture.
        lang: language of the picture, `en` or `zh`.

    Returns:
        The table; see `summarize`.

    Raises:
        InputError: a file is not a prediction, or the folder cannot be written to.
    """
    headers = list(predictions)
    by_source = {as_utf8(header.source): header for header in headers}

    def views(source: str) -> list[View]:
        """Read the tables of a video, where its persons are told apart by portraits."""
        header = by_source[source]
        is_one = header.spans["person"].nunique() == 1
        return [] if is_one else portrait_views(Prediction.load(header.path))

    table = summarize(headers)
    write_csv(table, folder / SUMMARY_FILES[0])
    plot_summary(table, folder / SUMMARY_FILES[1], lang, views)
    return table


def summarize(predictions: Iterable[Header | Prediction]) -> pd.DataFrame:
    """Return one row for each person in each video; a video without a face is one row, too.

    The columns:

    - `video`: the source.
    - `person`: number of the person in this video, missing if there is no face.
    - `duration_s`: length of the video in seconds.
    - `seen_s`: seconds the person is in the picture.
    - `seen_of_video`: that as a fraction of the length of the video.
    - `readable_of_seen`: fraction of the time in the picture in which the face is readable.
    - `changes_per_min`: how often one emotion follows another, for each minute in the picture;
      missing below 10 seconds.
    - `time_<emotion>`: fraction of the time in the picture with a certain emotion.
    - `time_uncertain`, `time_too_small`, `time_turned_away`, `time_blurred`: fraction of that time
      with a mark. With `time_<emotion>`, they sum to 1.
    - `note`: of the prediction.
    """
    rows, labels = list[dict[str, Any]](), dict[str, None]()
    for prediction in predictions:
        labels |= dict.fromkeys(prediction.labels)
        rows += _rows(prediction)
    times = [time_column(word) for word in (*labels, *_MARKS)]
    names = ["video", "person", "duration_s", "seen_s", "seen_of_video", "readable_of_seen"]
    table = pd.DataFrame(rows, columns=[*names, "changes_per_min", *times, "note"])
    return table.astype({"person": "Int64"})


def _rows(prediction: Header | Prediction) -> Iterator[dict[str, Any]]:
    video = {"video": as_utf8(prediction.source), "duration_s": prediction.duration_s}
    spans = prediction.spans
    if spans.empty:
        yield video | {"seen_s": 0.0, "seen_of_video": 0.0, "note": prediction.note}
    for person, of_person in spans[spans["emotion"] != NO_FACE].groupby("person"):
        times_s = of_person.groupby("emotion")["duration_s"].sum()
        seen_s = times_s.sum()
        emotions = [word for word in of_person["emotion"] if word in prediction.labels]
        changes = sum(before != after for before, after in pairwise(emotions))
        parts = {word: times_s.get(word, 0.0) / seen_s for word in (*prediction.labels, *_MARKS)}
        readable = sum(parts[word] for word in (*prediction.labels, UNCERTAIN))
        yield {
            **video,
            "person": person,
            "seen_s": round(seen_s, 3),
            "seen_of_video": round(seen_s / prediction.duration_s, 4),
            "readable_of_seen": round(readable, 4),
            "changes_per_min": round(60 * changes / seen_s, 2) if seen_s >= _RATE_FROM_S else None,
            **{time_column(word): round(parts[word], 4) for word in parts},
            "note": prediction.note,
        }
