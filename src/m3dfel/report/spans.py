"""The spans of a timeline: when each emotion was recognized, and the probabilities at any moment.

Pictures, annotations and tables share them. Only arrays and tables here, no drawing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from m3dfel.report.recognized import Recognized, per_label
from m3dfel.video.marks import NO_FACE, UNCERTAIN

Values: TypeAlias = npt.NDArray[np.float64]

SPAN_COLUMNS = ["person", "start_s", "end_s", "duration_s", "emotion", "confidence"]
"""The columns of `span_table`."""

_SHORTEST_GAP_S = 0.02  # what is shorter than a frame comes from rounding


def equal_spans(values: Sequence[Any]) -> Iterator[tuple[int, int, Any]]:
    """Yield the first and last index of every run of equal neighbors, and their value."""
    for value, group in groupby(range(len(values)), key=values.__getitem__):
        indices = list(group)
        yield indices[0], indices[-1], value


def answers(clips: pd.DataFrame) -> pd.Series:
    """Return the word for each clip: its emotion, or the mark if that is not certain."""
    return clips["emotion"].where(clips["mark"] == "", clips["mark"])


def emotion_spans(clips: pd.DataFrame) -> Iterator[tuple[float, float, str, float]]:
    """Yield the runs of neighboring clips of one face that say the same.

    Args:
        clips: the face's clips, from a prediction.

    Yields:
        Start and end in seconds, midway between clips; the emotion, or the mark of clips without a
        certain emotion; and the mean confidence, NaN where the face is unreadable.
    """
    middles = ((clips["start_s"] + clips["end_s"]) / 2).to_numpy()
    midway = (middles[1:] + middles[:-1]) / 2
    borders = [clips["start_s"].iloc[0], *midway, clips["end_s"].iloc[-1]]
    for first, last, word in equal_spans(answers(clips).tolist()):
        confidence = clips["confidence"].iloc[first : last + 1].mean()
        yield borders[first], borders[last + 1], word, confidence


def person_spans(clips: pd.DataFrame) -> Iterator[tuple[float, float, str, float]]:
    """Yield the spans of one person as `emotion_spans` does, track by track."""
    for _, track in clips.groupby("track"):
        yield from emotion_spans(track)


def span_table(prediction: Recognized) -> pd.DataFrame:
    """Return what each person expresses when: for each, the spans cover the whole video once.

    The columns:

    - `person`: number of the person, from 1.
    - `start_s`, `end_s`, `duration_s`: seconds. The durations of a person add up to that of the
      video.
    - `emotion`: the recognized emotion, or `uncertain`, or why the face is unreadable (`too small`,
      `turned away`, `blurred`), or `no face` where the person is not in the picture.
    - `confidence`: its mean over time; missing where the face is unreadable or not there.
    """
    rows = [
        (person, start_s, end_s, round(end_s - start_s, 3), word, confidence)
        for person, clips in prediction.clips.groupby("person")
        for start_s, end_s, word, confidence in _without_gaps(clips, prediction.duration_s)
    ]
    return pd.DataFrame(rows, columns=SPAN_COLUMNS)


def _without_gaps(
    clips: pd.DataFrame, duration_s: float
) -> Iterator[tuple[float, float, str, float]]:
    """Yield the spans of one person and those without a face, each up to the start of the next."""
    parts, at_s = list[tuple[float, str, float]](), 0.0
    for start_s, end_s, word, confidence in sorted(person_spans(clips), key=itemgetter(0)):
        if start_s - at_s > _SHORTEST_GAP_S:
            parts.append((at_s, NO_FACE, np.nan))
        if end_s > at_s:
            parts.append((max(start_s, at_s), word, confidence))
            at_s = end_s
    if duration_s - at_s > _SHORTEST_GAP_S:
        parts.append((at_s, NO_FACE, np.nan))
    starts_s, words, confidences = zip(*parts, strict=True)
    borders_s = np.array([0.0, *starts_s[1:], max(at_s, duration_s)]).round(3)
    # An emotion that continues in the next track is one span.
    for first, last, word in equal_spans(words):
        mean = np.average(
            confidences[first : last + 1], weights=np.diff(borders_s[first : last + 2])
        )
        yield float(borders_s[first]), float(borders_s[last + 1]), word, round(float(mean), 4)


def probabilities_at(
    clips: pd.DataFrame, labels: Sequence[str], times_s: Values
) -> tuple[Values, npt.NDArray[np.str_]]:
    """Return the probabilities and the marks of one face at some moments.

    Args:
        clips: the face's clips, from a prediction.
        labels: the label set, C words.
        times_s: (P,), in seconds.

    Returns:
        The probabilities (C, P), interpolated linearly between clips, and NaN where the face is
        unreadable; and the marks (P,), each that of the nearest clip, or `uncertain` between clips
        of different emotions, where the highest probability is below that of every certain clip.
    """
    middles = ((clips["start_s"] + clips["end_s"]) / 2).to_numpy()
    nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, times_s)
    readable = clips["emotion"].notna().to_numpy()
    probabilities = np.full((len(labels), len(times_s)), np.nan)
    if readable.any():
        for index, label in enumerate(labels):
            of_clips = clips[f"p_{label}"].to_numpy()[readable]
            probabilities[index] = np.interp(times_s, middles[readable], of_clips)
    probabilities[:, ~readable[nearest]] = np.nan
    marks = clips["mark"].to_numpy(object)[nearest]
    highest = clips[per_label("p", labels)].max(axis=1)[clips["mark"] == ""]
    with np.errstate(invalid="ignore"):
        marks[(marks == "") & (probabilities.max(0) < highest.min() - 1e-9)] = UNCERTAIN
    return probabilities, marks.astype(str)


def with_probabilities(
    frames: pd.DataFrame, clips: pd.DataFrame, labels: Sequence[str]
) -> pd.DataFrame:
    """Return the frames of a prediction with the columns `p_<emotion>`, from its clips."""
    probabilities = np.full((len(frames), len(labels)), np.nan)
    rows = frames.groupby("track").indices
    for track, of_track in clips.groupby("track"):
        times_s = frames["time_s"].to_numpy(float)[rows[track]]
        probabilities[rows[track]] = probabilities_at(of_track, labels, times_s)[0].T.round(6)
    return frames.assign(**dict(zip(per_label("p", labels), probabilities.T, strict=True)))
