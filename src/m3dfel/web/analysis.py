"""Everything the page shows about one video: the prediction, the annotated video, pictures, files.

Between the recognizer and the page. The work reports how far it is and can be stopped at any frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report.annotate import annotate_video
from m3dfel.report.exports import FORMATS
from m3dfel.video.decode import Frame, probe, read_video
from m3dfel.web.moments import Gallery, Moment, View, clearest_moments, portraits

Step: TypeAlias = Literal["reading", "drawing"]
Report: TypeAlias = Callable[[Step, float], None]
"""Takes the current step and how much of all work is done, from 0 to 1.

An exception that it raises stops the work.
"""

_TABLES = ("csv", "json", "srt", "vtt")
_READING = 0.6  # part of the work; the rest is to draw the annotated video


class UnsuitableVideo(Exception):  # noqa: N818
    """Raised if a video has nothing to show; the message is the key of a sentence in `words`."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What the page shows about a video.

    Attributes:
        prediction: the recognized faces.
        duration_s: length of the annotated video in seconds.
        portraits: a view of each person.
        moments: the clearest moment of each emotion.
        pictures: of portraits and moments, as URLs of embedded JPEGs.
        files: to download, by format; `video` is the annotated video.
    """

    prediction: Prediction
    duration_s: float
    portraits: list[View]
    moments: list[Moment]
    pictures: dict[View, str]
    files: dict[str, Path]


def analyze(video: Path, recognizer: Recognizer, max_s: float, report: Report) -> Analysis:
    """Recognize the faces of a video, and write the annotated video and all tables beside it.

    Args:
        video: the file.
        recognizer: recognizes the faces.
        max_s: length in seconds that a video may have.
        report: called for every frame.

    Raises:
        UnsuitableVideo: the file is not a video, is too long, or shows no face.
        InputError: a result cannot be written.
    """
    prediction, length_s = _recognize(video, recognizer, max_s, report)
    people, moments = portraits(prediction), clearest_moments(prediction)
    gallery = Gallery([*people, *(moment.view for moment in moments)])

    def on_frame(frame: Frame) -> None:
        report("drawing", _READING + (1 - _READING) * min(1.0, frame.time_s / length_s))
        gallery.collect(frame)

    annotated = video.with_name(f"{video.stem}_annotated.mp4")
    annotate_video(prediction, annotated, on_frame=on_frame, progress=False)
    return Analysis(
        prediction,
        duration_s=probe(annotated).duration_s or length_s,
        portraits=people,
        moments=moments,
        pictures=gallery.pictures,
        files={"video": annotated} | _write_files(prediction),
    )


def _recognize(
    video: Path, recognizer: Recognizer, max_s: float, report: Report
) -> tuple[Prediction, float]:
    """Return the prediction and the length of the video in seconds."""
    try:
        frames = _ReportedFrames(video, probe(video).duration_s, max_s, report)
        prediction = recognizer(frames, progress=False)
    except InputError as error:
        raise UnsuitableVideo("not_a_video") from error
    if prediction.clips.empty:
        raise UnsuitableVideo("no_face")
    return replace(prediction, source=str(video)), max(frames.duration_s or 0.0, frames.end_s, 0.1)


@dataclass(eq=False)
class _ReportedFrames:
    """The frames of a video; each is reported when it is read, even for a second time.

    Attributes:
        video: the file.
        duration_s: as the file states it; None if it does not, as recordings of a camera.
        max_s: length in seconds that a video may have.
        report: called for every frame.
        end_s: when the last of the frames so far is shown.
    """

    video: Path
    duration_s: float | None
    max_s: float
    report: Report
    end_s: float = 0.0

    def __iter__(self) -> Iterator[Frame]:
        self._check_length(self.duration_s or 0.0)
        for frame in read_video(self.video):
            self._check_length(frame.time_s)
            self.end_s = max(self.end_s, frame.time_s)
            part = min(1.0, self.end_s / self.duration_s) if self.duration_s else 0.0
            self.report("reading", _READING * part)
            yield frame

    def _check_length(self, length_s: float) -> None:
        if length_s > self.max_s:
            raise UnsuitableVideo("too_long")


def _write_files(prediction: Prediction) -> dict[str, Path]:
    folder = Path(prediction.source).parent
    # ELAN looks for the video beside the document; the JSON file does not name our folder.
    prediction.save(folder, ["eaf"])
    replace(prediction, source=Path(prediction.source).name).save(folder, _TABLES)
    names = (*_TABLES, "eaf")
    return {name: folder / f"{prediction.stem}{FORMATS[name].ending}" for name in names}
