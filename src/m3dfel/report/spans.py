"""The spans of a timeline: when each emotion was recognized, and the probabilities at any moment.

Pictures, annotations and tables share them. Only arrays and tables here, no drawing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

Values: TypeAlias = npt.NDArray[np.float64]


def equal_spans(values: Sequence[Any]) -> Iterator[tuple[int, int, Any]]:
    """Yield the first and last index of every run of equal neighbors, and their value."""
    for value, group in groupby(range(len(values)), key=values.__getitem__):
        indices = list(group)
        yield indices[0], indices[-1], value


def emotion_spans(clips: pd.DataFrame) -> Iterator[tuple[float, float, str, float]]:
    """Yield the runs of neighboring clips of one face that say the same.

    Args:
        clips: the face's clips, from a prediction.

    Yields:
        Start and end in seconds, midway between clips; the emotion, or the mark of clips without a
        certain emotion; and the mean confidence, NaN where the face is unreadable.
    """
    words = clips["emotion"].where(clips["mark"] == "", clips["mark"])
    middles = ((clips["start_s"] + clips["end_s"]) / 2).to_numpy()
    midway = (middles[1:] + middles[:-1]) / 2
    borders = [clips["start_s"].iloc[0], *midway, clips["end_s"].iloc[-1]]
    for first, last, word in equal_spans(words.tolist()):
        confidence = clips["confidence"].iloc[first : last + 1].mean()
        yield borders[first], borders[last + 1], word, confidence


def person_spans(clips: pd.DataFrame) -> Iterator[tuple[float, float, str, float]]:
    """Yield the spans of one person as `emotion_spans` does, track by track."""
    for _, track in clips.groupby("track"):
        yield from emotion_spans(track)


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
        unreadable; and the marks (P,), each that of the nearest clip.
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
    return probabilities, clips["mark"].to_numpy(str)[nearest]
