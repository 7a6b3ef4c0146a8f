"""RAVDESS (Livingstone and Russo, PLoS ONE 2018), as its authors distribute it.

Whole scenes of 24 actors in `Actor_<number>/`, named by two digits each for modality, channel,
emotion, intensity, statement, repetition and actor, such as `01-01-06-01-02-01-12.mp4`. Speech with
sound (01-01) is read: 60 clips an actor. The pictures without sound (02) are the same, and songs
(channel 02) lack some emotions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, Entry, Layout

_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}


@LAYOUTS.register("RAVDESS")
class Ravdess(Layout):
    """The spoken clips of RAVDESS, with eight emotions; no official folds."""

    labels = tuple(_EMOTIONS.values())
    expects = "folders Actor_01 to Actor_24 with videos such as 01-01-06-01-02-01-12.mp4"
    scenes = True

    @staticmethod
    def recognizes(path: Path) -> bool:
        return any(path.glob("Actor_[0-9][0-9]"))

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        for video in sorted(path.glob("Actor_*/01-01-*.mp4")):
            parts = video.stem.split("-")
            if len(parts) != 7:
                problem = "its name is not that of a clip of RAVDESS"
                yield Entry(str(video), "", "", problem=problem)
                continue
            yield Entry(str(video), _EMOTIONS.get(parts[2], parts[2]), "", f"actor {parts[6]}")
