"""Everything the page shows about one video: the prediction, pictures of faces, and all files.

Between the recognizer and the page. The work reports how far it is and can be stopped at any frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias
from zipfile import ZipFile

from m3dfel.emotions import EMOTIONS, names_in
from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report.annotate import annotate_video
from m3dfel.report.exports import FORMATS
from m3dfel.report.fonts import check_fonts
from m3dfel.report.portraits import View, portrait_views
from m3dfel.video.decode import ANNOTATED_ENDING, Frame, VideoInfo, probe, read_video
from m3dfel.web.moments import Moment, clearest_moments, embedded_picture
from m3dfel.web.translations import Language

Step: TypeAlias = Literal["reading", "drawing"]
Report: TypeAlias = Callable[[Step, float], None]
"""Takes the current step and how much of all work is done, from 0 to 1.

An exception that it raises stops the work.
"""

_FORMATS = ("png", "xlsx", "csv", "json", "srt", "vtt", "eaf", "boris")
_READING = 0.6  # part of the work; the rest is to draw the annotated video
# A few bytes can state a picture of any size; this is the largest that cameras make, 8K.
_MAX_PIXELS = 8192 * 4320
# A file that ends earlier than it states, by more than this, is cut off.
_MISSING_S = 0.5

Reason: TypeAlias = Literal["unreadable", "one_video", "too_long", "too_many_pixels", "no_face"]
"""Why files have nothing to show: a key of `translations.WORDS`."""


class Unsuitable(Exception):  # noqa: N818
    """Raised if files have nothing to show."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Analysis:
    """What the page shows about a video.

    Attributes:
        prediction: the recognized faces; its source is the name of the file, without a folder.
        video: its properties, as the file states them.
        portraits: a view of each person.
        moments: the clearest moment of each emotion.
        pictures: of portraits and moments, as URLs of embedded JPEGs.
        files: to download, by format; `video` is the annotated video, `zip` has all of them.
    """

    prediction: Prediction
    video: VideoInfo
    portraits: list[View]
    moments: list[Moment]
    pictures: dict[View, str]
    files: dict[str, Path]

    @property
    def is_cut_off(self) -> bool:
        """Whether the file ends earlier than it states."""
        return self.prediction.duration_s < (self.video.duration_s or 0.0) - _MISSING_S


def analyze(
    video: Path,
    folder: Path,
    recognizer: Recognizer,
    max_s: float,
    language: Language,
    report: Report,
) -> Analysis:
    """Recognize the faces of a video, and write the annotated video and all tables.

    Args:
        video: the file.
        folder: receives what can be downloaded.
        recognizer: recognizes the faces.
        max_s: length in seconds that a video may have.
        language: of the subtitles, and of the video and the picture if there is a font for it.
        report: called for every frame.

    Raises:
        Unsuitable: the file is not a video, is too long or too large, or shows no face.
        InputError: a result cannot be written.
    """
    info = _probe(video, max_s)
    prediction = recognizer.predict(_frames(video, info, max_s, report), progress=False)
    if prediction.clips.empty:
        raise Unsuitable("no_face")
    prediction = replace(prediction, source=video.name)
    people, moments = portrait_views(prediction), clearest_moments(prediction)
    views = [*people, *(moment.view for moment in moments)]
    pictures: dict[View, str] = {}

    def on_frame(frame: Frame) -> None:
        done = min(1.0, frame.time_s / max(prediction.duration_s, 0.1))
        report("drawing", _READING + (1 - _READING) * done)
        for view in views:
            if view.frame == frame.index:
                pictures[view] = embedded_picture(frame, view)

    folder.mkdir(exist_ok=True)
    annotated = folder / f"{prediction.stem}{ANNOTATED_ENDING}"
    lang = drawn_language(language)
    annotate_video(prediction, annotated, str(video), on_frame, lang, progress=False)
    return Analysis(
        prediction,
        info,
        portraits=people,
        moments=moments,
        pictures=pictures,
        files={"video": annotated} | _write_files(prediction, folder, annotated, language),
    )


def _probe(video: Path, max_s: float) -> VideoInfo:
    try:
        info = probe(video)
    except InputError as error:
        raise Unsuitable("unreadable") from error
    if info.width * info.height > _MAX_PIXELS:
        raise Unsuitable("too_many_pixels")
    if (info.duration_s or 0.0) > max_s:
        raise Unsuitable("too_long")
    return info


def _frames(video: Path, info: VideoInfo, max_s: float, report: Report) -> Iterator[Frame]:
    """Yield the frames of a video, and report each of them."""
    for frame in read_video(video):
        if frame.time_s > max_s:  # recordings of a camera do not state their length
            raise Unsuitable("too_long")
        done = min(1.0, frame.time_s / info.duration_s) if info.duration_s else 0.0
        report("reading", _READING * done)
        yield frame


def drawn_language(language: Language) -> Language:
    """Return the language of the video and the picture: English where no font has the other's."""
    try:
        check_fonts(names_in(language, EMOTIONS).values())
    except InputError:
        return "en"
    return language


def _write_files(
    prediction: Prediction, folder: Path, annotated: Path, language: Language
) -> dict[str, Path]:
    files = {name: folder / f"{prediction.stem}{FORMATS[name].ending}" for name in _FORMATS}
    for name, path in files.items():
        lang = drawn_language(language) if name == "png" else language
        FORMATS[name].write(prediction, path, lang)
    archive = write_zip(folder / f"{prediction.stem}_m3dfel.zip", [annotated, *files.values()])
    return files | {"zip": archive}


def write_zip(path: Path, files: Iterable[Path]) -> Path:
    """Write files into an archive, and return its path."""
    with ZipFile(path, "w") as archive:
        for file in files:
            archive.write(file, file.name)
    return path
