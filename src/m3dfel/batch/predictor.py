"""Predict videos and write their results, so that a run that is killed can go on.

Between the `Recognizer` and `m3dfel predict`. The results of a video are written one by one, each
atomically, and the JSON file last: a video with a JSON file of the same source, made with the same
settings, is finished.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from m3dfel.batch.settings import ANNOTATED, Outcome, PredictSettings, Video
from m3dfel.emotions import EMOTIONS, names_in
from m3dfel.errors import DiskFullError, InputError
from m3dfel.files import start_list
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.plugins import load_plugin
from m3dfel.predictions.baseline import subtract_baseline
from m3dfel.predictions.persons import only_person, only_region
from m3dfel.predictions.prediction import Prediction, read_header
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report.exports import FORMATS
from m3dfel.report.fonts import check_fonts
from m3dfel.video.sources import readable, source_version


class VideoPredictor:
    """Predicts one video after the other, and writes the results.

    Raises:
        InputError: there is no such model, or a setting is invalid.
    """

    def __init__(self, settings: PredictSettings) -> None:
        check_fonts(names_in(settings.lang, EMOTIONS).values())
        for plugin in settings.plugins:
            load_plugin(plugin)
        self.settings = settings
        self.recognizer = Recognizer(settings.model, settings.recognizer)
        self._weights = _checksum(self.recognizer.model, settings.model)

    def record(self, video: Video) -> dict[str, Any]:
        """Return what the results of a video depend on, which is saved with them."""
        settings = self.settings
        record: dict[str, Any] = {
            "version": version("m3dfel"),
            "file": video.id,
            "model": settings.model,
            "weights": self._weights,
            **asdict(settings.recognizer),
            "aligned": settings.aligned,
        }
        chosen = {
            "lang": settings.lang if settings.lang != "en" else None,
            "fps": settings.fps,
            "region": settings.region and list(settings.region),
            "persons": settings.persons
            and [list(pair) for pair in settings.persons.of(video.name).items()],
            "person": settings.person,
            "baseline": settings.baseline and str(settings.baseline),
        }
        return record | {name: value for name, value in chosen.items() if value}

    def __call__(self, video: Video, again: bool = False) -> Prediction:
        """Predict a video and write the results; if it is finished, only those that are missing.

        Args:
            video: the video.
            again: predict it even if it is finished.

        Raises:
            InputError: the video cannot be read, or the results cannot be written.
        """
        finished = not again and self.has_finished(video)
        left = self.left_to_write(video, again)
        needs_frames = not finished or ANNOTATED in left
        with readable(video.source) if needs_frames else nullcontext(video.source) as source:
            prediction = (
                Prediction.load(video.files(self.settings)["json"])
                if finished
                else self._predict(video, source)
            )
            write_results(prediction, left, source, self.settings)
        return prediction

    def left_to_write(self, video: Video, again: bool = False) -> dict[str, Path]:
        """Return the files with results, by format, that calling this predictor would write."""
        finished = not again and self.has_finished(video)
        files = video.files(self.settings).items()
        return {name: path for name, path in files if not (finished and path.exists())}

    def _predict(self, video: Video, source: str | Sequence[str]) -> Prediction:
        """Predict a video; warnings, such as that the file is cut off, become part of the note.

        Args:
            video: the video.
            source: the file or files to read: those of the video, or a copy.
        """
        # Before it is read: whoever replaces it meanwhile gets an answer for the new one next time.
        file_version = source_version(video.source)
        settings = self.settings
        with _logged_warnings() as warnings:
            prediction = self.recognizer.predict(source, settings.aligned, settings.fps)
        note = "; ".join([*warnings, *filter(None, [prediction.note])])
        prediction.note = note.replace(prediction.source, video.name)
        prediction.source = video.name
        prediction.settings = self.record(video) | {"file_version": file_version}
        if settings.persons is not None:
            prediction = settings.persons.apply(prediction)
        if settings.region is not None:
            prediction = only_region(prediction, settings.region)
        if settings.person is not None:
            prediction = only_person(prediction, settings.person)
        if settings.baseline is not None:
            prediction = subtract_baseline(
                prediction,
                settings.baseline,
                self.recognizer.model.min_confidence,
                settings.recognizer.smooth_s,
            )
        return prediction

    def has_finished(self, video: Video) -> bool:
        """Return whether there is a JSON file for this video as it is, with these settings."""
        path = video.files(self.settings).get("json")
        header = path and read_header(path)
        if not path or not header or different_settings(header.settings, self.record(video)):
            return False
        version = header.settings.get("file_version")
        return header.id == video.id and version == source_version(video.source)


def write_results(
    prediction: Prediction,
    files: Mapping[str, Path],
    source: str | Sequence[str],
    settings: PredictSettings,
) -> None:
    """Write the results of a video.

    Args:
        prediction: of the video.
        files: by format, in the order they are written.
        source: the file or files of the video, which only the annotated video needs.
        settings: of all videos.

    Raises:
        InputError: a file cannot be written.
    """
    start_list(Path(settings.output))
    for name, path in files.items():
        if name == ANNOTATED:
            prediction.annotate(path, source, settings.lang, settings.fps)
        else:
            FORMATS[name].write(prediction, path, settings.lang)


def predict_safely(predict: VideoPredictor, video: Video) -> Outcome:
    """Predict a video and return what became of it, whatever happens."""
    try:
        return Outcome(video, predict(video).note, finished=True)
    except InputError as error:
        return Outcome(video, str(error), False, disk_full=isinstance(error, DiskFullError))
    except Exception as error:  # a file can be broken in ways that no library expects
        return Outcome(video, f"{type(error).__name__}: {error}", finished=False)


def different_settings(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return the names of the settings that differ between two records."""
    # The file and the device are no settings, the weights say more than the name of the model, and
    # the offsets follow from the video.
    others = {"file", "file_version", "device", "model", "baseline_offsets", "baseline_seconds"}
    names = (was.keys() | now.keys()) - others
    return sorted(name for name in names if was.get(name) != now.get(name))


@contextmanager
def _logged_warnings() -> Iterator[list[str]]:
    """Collect the warnings that the package logs."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("m3dfel")
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


def _checksum(model: M3DFEL, name: str) -> str:
    """Return a checksum of a model's weights; of its name, if another engine has the weights."""
    has_weights = next(model.parameters(), None) is not None
    checksum = hashlib.sha256(b"" if has_weights else name.encode())
    for name, weight in sorted(model.state_dict().items()):
        checksum.update(name.encode() + weight.cpu().contiguous().numpy().tobytes())
    return checksum.hexdigest()[:16]
