"""Summarize many predictions: one row for each video and person, as a table and one picture.

For `m3dfel summarize`, and at the end of `m3dfel predict` with several videos. Reads the JSON files
that `predict` wrote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from m3dfel.errors import InputError
from m3dfel.files import write_text
from m3dfel.predictions.prediction import Prediction, read_header
from m3dfel.report.spans import emotion_spans
from m3dfel.report.summary import plot_summary
from m3dfel.video.marks import UNCERTAIN, UNREADABLE

SUMMARY_FILES = ("summary.csv", "summary.png")
"""Names of the table and of the picture."""

_MARKS = (UNCERTAIN, *UNREADABLE)


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


def write_summary(files: Iterable[Path], folder: Path) -> pd.DataFrame:
    """Summarize predictions, and write `summary.csv` and `summary.png`.

    Args:
        files: JSON files that `m3dfel predict` wrote.
        folder: receives the table and the picture.

    Returns:
        The table; see `summarize`.

    Raises:
        InputError: a file is not a prediction, or the folder cannot be written to.
    """
    table = summarize(map(Prediction.load, files))
    write_text(folder / SUMMARY_FILES[0], table.to_csv(index=False))
    plot_summary(table, folder / SUMMARY_FILES[1])
    return table


def summarize(predictions: Iterable[Prediction]) -> pd.DataFrame:
    """Return one row for each person in each video; a video without a face is one row, too.

    The columns:

    - `video`: the source.
    - `person`: number of the person in this video, missing if there is no face.
    - `seen_s`: seconds the person is in the picture.
    - `coverage`: fraction of that time in which the face can be read.
    - `changes_per_min`: how often one emotion follows another, for each minute of that time.
    - `time_<emotion>`: fraction of that time with a certain emotion.
    - `time_uncertain`, `time_too_small`, `time_turned_away`, `time_blurred`: fraction with a mark.
      With `time_<emotion>`, they sum to 1.
    - `note`: of the prediction.
    """
    rows, labels = list[dict[str, Any]](), dict[str, None]()
    for prediction in predictions:
        labels |= dict.fromkeys(prediction.labels)
        rows += _rows(prediction)
    times = [f"time_{word.replace(' ', '_')}" for word in (*labels, *_MARKS)]
    columns = ["video", "person", "seen_s", "coverage", "changes_per_min", *times, "note"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"person": "Int64"})


def _rows(prediction: Prediction) -> Iterator[dict[str, Any]]:
    if prediction.clips.empty:
        yield {"video": prediction.source, "seen_s": 0.0, "note": prediction.note}
    for person, clips in prediction.clips.groupby("person"):
        times_s: dict[str, float] = defaultdict(float)
        emotions = list[str]()
        for _, track in clips.groupby("track"):
            for start_s, end_s, word, _ in emotion_spans(track):
                times_s[word] += end_s - start_s
                emotions += [word] if word in prediction.labels else []
        seen_s = sum(times_s.values())
        changes = sum(before != after for before, after in pairwise(emotions))
        readable_s = sum(times_s[word] for word in (*prediction.labels, UNCERTAIN))
        yield {
            "video": prediction.source,
            "person": person,
            "seen_s": round(seen_s, 3),
            "coverage": round(readable_s / seen_s, 4),
            "changes_per_min": round(60 * changes / seen_s, 2),
            **{
                f"time_{word.replace(' ', '_')}": round(times_s[word] / seen_s, 4)
                for word in (*prediction.labels, *_MARKS)
            },
            "note": prediction.note,
        }
