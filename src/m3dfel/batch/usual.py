"""Compare the persons of several videos with what is usual for them in all of these.

After a run with a table of persons and the baseline `own`, which until then has compared each
person with the same video alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import numpy as np

from m3dfel.batch.predictor import write_results
from m3dfel.batch.settings import ANNOTATED, PredictSettings, Video
from m3dfel.predictions.baseline import (
    Usual,
    compare_with,
    compared_with,
    join_usual,
    usual,
)
from m3dfel.predictions.persons import PersonMap
from m3dfel.predictions.prediction import Prediction
from m3dfel.progress import progress
from m3dfel.video.sources import readable

_SAME = 1e-3  # a difference that nobody sees


def compare_over_videos(
    videos: Sequence[Video], persons: PersonMap, settings: PredictSettings, min_confidence: float
) -> None:
    """Write the results of videos anew whose persons the table also names in other videos.

    Args:
        videos: that are predicted, each compared with itself.
        persons: who is who.
        settings: of all videos.
        min_confidence: of the model.

    Raises:
        InputError: a file cannot be read or written.
    """
    named = {video.stem: set(persons.of(video.name).values()) for video in videos}
    counts = Counter(person for people in named.values() for person in people)
    several = {person for person, videos_of in counts.items() if videos_of > 1}
    videos = [video for video in videos if named[video.stem] & several]
    if not videos:
        return
    parts: dict[int, list[Usual]] = {person: [] for person in several}
    compared: dict[str, dict[int, Usual]] = {}
    for video in videos:
        prediction = _load(video, settings)
        seen_here = named[video.stem] & several & set(prediction.clips["person"])
        compared[video.stem] = {person: compared_with(prediction, person) for person in seen_here}
        for person in seen_here:
            if part := usual(prediction, person):
                parts[person].append(part)
    over_videos = {person: join_usual(seen) for person, seen in parts.items() if seen}
    for video in progress(videos, "comparing persons over videos", len(videos), "{:.1f} videos/s"):
        old = compared[video.stem]
        people = {p: over_videos[p] for p in old.keys() & over_videos.keys()}
        if any(_differ(people[person], old[person]) for person in people):
            _compare(video, people, settings, min_confidence)


def _differ(usual: Usual, other: Usual) -> bool:
    weights = abs(usual.weight - other.weight)
    return max(np.abs(usual.offset - other.offset).max(), weights) >= _SAME


def _compare(
    video: Video, people: Mapping[int, Usual], settings: PredictSettings, min_confidence: float
) -> None:
    smooth_s, files = settings.recognizer.smooth_s, video.files(settings)
    prediction = compare_with(_load(video, settings), people, min_confidence, smooth_s)
    needs_frames = ANNOTATED in files
    with readable(video.source) if needs_frames else nullcontext(video.source) as source:
        write_results(prediction, files, source, settings)


def _load(video: Video, settings: PredictSettings) -> Prediction:
    return Prediction.load(video.files(settings)["json"])
