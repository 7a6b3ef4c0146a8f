"""What batches are made of: videos, how they are predicted, and what became of them.

A module without torch, which the pools of workers need not load.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from m3dfel.errors import InputError
from m3dfel.predictions.baseline import Baseline
from m3dfel.predictions.persons import PersonMap
from m3dfel.recognition.settings import RecognizerSettings
from m3dfel.report.exports import DEFAULT_FORMATS, FORMATS, check_formats
from m3dfel.video.decode import ANNOTATED_ENDING
from m3dfel.video.remote import is_url
from m3dfel.video.sources import source_id, source_name

ANNOTATED = "video"
"""The format of the annotated video."""


@dataclass(frozen=True)
class PredictSettings:
    """How videos are predicted, and what is written.

    Attributes:
        output: folder for the results.
        formats: names from `exports.FORMATS`.
        annotate: also write the annotated video.
        lang: language of pictures, subtitles and annotated videos, `en` or `zh`.
        model: whatever `checkpoints.load_model` takes.
        recognizer: how the recognizer works.
        aligned: the frames already show one cropped face.
        fps: frames per second of pictures; None for 25.
        region: left, top, right and bottom in pixels: only faces in it.
        persons: who is who, decided by hand.
        person: only this person.
        baseline: when the persons are at rest.
        plugins: Python files or modules with parts of the model.

    Raises:
        InputError: there is no such format, or the output is a URL or a file.
    """

    output: str
    formats: tuple[str, ...] = DEFAULT_FORMATS
    annotate: bool = False
    lang: str = "en"
    model: str = "bundled"
    recognizer: RecognizerSettings = field(default_factory=RecognizerSettings)
    aligned: bool = False
    fps: float | None = None
    region: tuple[float, float, float, float] | None = None
    persons: PersonMap | None = None
    person: int | None = None
    baseline: Baseline | None = None
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_formats(self.formats)
        if is_url(self.output):
            raise InputError(
                f"cannot write to {self.output}: give a folder on this machine with --output, and "
                "copy the results afterwards"
            )
        folder = Path(self.output)
        in_the_way = next((path for path in (folder, *folder.parents) if path.exists()), folder)
        if in_the_way.is_file():
            raise InputError(f"{in_the_way} is a file: give a folder with --output")


@dataclass(frozen=True)
class Video:
    """A video to predict.

    Attributes:
        source: a path, a URL, or the paths of pictures.
        stem: what the names of its results start with.
    """

    source: str | Sequence[str]
    stem: str

    @property
    def name(self) -> str:
        """The path or URL of the source; the path of the first picture, if there are several."""
        return source_name(self.source)

    @property
    def id(self) -> str:
        """What tells the source from all others, from whatever folder it is named."""
        if isinstance(self.source, str):
            return source_id(self.source)
        pictures = "\n".join(map(source_id, self.source))
        return f"{source_id(self.name)} {hashlib.sha256(pictures.encode()).hexdigest()[:16]}"

    def files(self, settings: PredictSettings) -> dict[str, Path]:
        """Return the files with the results by format, in the order they are written."""
        endings = {name: FORMATS[name].ending for name in settings.formats}
        if settings.annotate:
            endings[ANNOTATED] = ANNOTATED_ENDING
        if "json" in endings:
            endings["json"] = endings.pop("json")
        folder = Path(settings.output)
        return {name: folder / f"{self.stem}{ending}" for name, ending in endings.items()}


@dataclass(frozen=True)
class Outcome:
    """What became of a video.

    Attributes:
        video: the video.
        problem: why there are no results, or what is wrong with them; usually empty.
        finished: the results are written.
        disk_full: there was no room for them, as there will be none for those of other videos.
    """

    video: Video
    problem: str
    finished: bool
    disk_full: bool = False


Predict: TypeAlias = Callable[[Video], Outcome]
Start: TypeAlias = Callable[[PredictSettings], Predict]
"""Prepares a process and returns what predicts one video after the other in it."""


def start_predictor(settings: PredictSettings) -> Predict:
    """Load the model, and return what predicts a video on one thread, whatever happens."""
    # Here, since torch is slow to import.
    import torch

    from m3dfel.batch.predictor import VideoPredictor, predict_safely
    from m3dfel.opencv import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    return partial(predict_safely, VideoPredictor(settings))
