"""Summarize many predictions: one row for each video and person, as a table and one picture.

For `m3dfel summarize`, and at the end of `m3dfel predict` with several videos. Reads the JSON files
that `predict` wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction, read_header
from m3dfel.report.portraits import View, portrait_views
from m3dfel.report.spans import span_table
from m3dfel.report.summary import plot_summary, time_column
from m3dfel.report.tables import write_csv
from m3dfel.video.marks import NO_FACE, UNCERTAIN, UNREADABLE

SUMMARY_FILES = ("summary.csv", "summary.png")
"""Names of the table and of the picture."""

_MARKS = (UNCERTAIN, *UNREADABLE)
_RATE_FROM_S = 10.0  # changes in less time say nothing about a minute


def find_predictions(folder: str | Path) -> list[Path]:
    """Return the predictions (JSON files) in a folder, by name.

    Raises:
        InputError: there are none.
    """
    files = [path for path in sorted(Path(folder).glob("*.json")) if read_header(path)]
    if not files:
        raise InputError(
            f"there is no prediction in {folder}: give a folder with .json files that "
            "`m3dfel predict` wrote"
        )
    return files


def write_summary(files: Iterable[Path], folder: Path, lang: str = "en") -> pd.DataFrame:
    """Summarize predictions, and write `summary.csv` and `summary.png`.

    Args:
        files: JSON files that `m3dfel predict` wrote.
        folder: receives the table and the picture.
        lang: language of the picture, `en` or `zh`.

    Returns:
        The table; see `summarize`.

    Raises:
        InputError: a file is not a prediction, or the folder cannot be written to.
    """
    views = dict[str, list[View]]()

    def loaded() -> Iterator[Prediction]:
        for file in files:
            prediction = Prediction.load(file)
            if prediction.clips["person"].nunique() > 1:
                views[prediction.source] = portrait_views(prediction)
            yield prediction

    table = summarize(loaded())
    write_csv(table, folder / SUMMARY_FILES[0])
    plot_summary(table, folder / SUMMARY_FILES[1], lang, views)
    return table


def summarize(predictions: Iterable[Prediction]) -> pd.DataFrame:
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


def _rows(prediction: Prediction) -> Iterator[dict[str, Any]]:
    video = {"video": prediction.source, "duration_s": prediction.duration_s}
    spans = span_table(prediction)
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
