"""Compare the persons of several videos with what is usual for them in all of these.

After a run with a table of persons and the baseline `own`, which until then has compared each
person with the same video alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from m3dfel.batch.predictor import write_results
from m3dfel.batch.settings import ANNOTATED, PredictSettings, Video
from m3dfel.predictions.baseline import Usual, compare_with, join_usual, usual
from m3dfel.predictions.persons import PersonMap
from m3dfel.predictions.prediction import Prediction
from m3dfel.progress import progress
from m3dfel.video.sources import readable

_SAME = 1e-3  # a difference between logits that nobody sees


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
    for video in videos:
        prediction = _load(video, settings)
        for person in named[video.stem] & several:
            if part := usual(prediction, person):
                parts[person].append(part)
    over_videos = {person: join_usual(seen) for person, seen in parts.items() if seen}
    for video in progress(videos, "comparing persons over videos", len(videos), "{:.1f} videos/s"):
        people = {p: over_videos[p] for p in named[video.stem] & over_videos.keys()}
        _compare(video, people, settings, min_confidence)


def _compare(
    video: Video, people: Mapping[int, Usual], settings: PredictSettings, min_confidence: float
) -> None:
    prediction = _load(video, settings)
    new = compare_with(prediction, people, min_confidence, settings.recognizer.smooth_s)
    if _largest_difference(prediction, new) < _SAME:
        return
    files = video.files(settings)
    if ANNOTATED in files:
        with readable(video.source) as source:
            write_results(new, files, source, settings)
    else:
        write_results(new, files, video.source, settings)


def _largest_difference(old: Prediction, new: Prediction) -> float:
    before, after = (prediction.settings["baseline_offsets"] for prediction in (old, new))
    return max(
        (
            abs(offset - before.get(person, {}).get(label, 0.0))
            for person, offsets in after.items()
            for label, offset in offsets.items()
        ),
        default=0.0,
    )


def _load(video: Video, settings: PredictSettings) -> Prediction:
    return Prediction.load(video.files(settings)["json"])
