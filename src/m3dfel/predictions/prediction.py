"""What the faces of a video express: tables of clips, instances and frames, saved and loaded.

The last step from a video to its emotions: `rows` makes a `Prediction` of the `Update`s of all
tracks. It is data; all that draws and writes it is in `report`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from m3dfel.errors import InputError
from m3dfel.report.exports import DEFAULT_FORMATS, export
from m3dfel.report.recognized import BOX, per_label, table_columns
from m3dfel.report.spans import SPAN_COLUMNS, span_table, with_probabilities
from m3dfel.video.decode import Picture
from m3dfel.video.marks import UNCERTAIN, UNREADABLE
from m3dfel.video.sources import IN_MEMORY, Source, read_frames, source_id, source_stem

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(eq=False)
class Prediction:
    """What the faces of a video express, and when, as tables.

    Attributes:
        source: path or URL of the video, the folder, or the first picture; `frames` for frames in
            memory.
        labels: the model's label set.
        clips: one row for each clip of each face, with the columns:

            - `track`: number of the track, from 1.
            - `person`: number of the person, from 1: one person may have several tracks.
            - `start_s`, `end_s`: seconds.
            - `emotion`: the most probable emotion.
            - `confidence`: its probability.
            - `p_<emotion>`: the probability of each label, averaged over time.
            - `mark`: why the face is unreadable (`too small`, `turned away`, `blurred`; then
              emotion, confidence and `p_<emotion>` are missing), or `uncertain` if the confidence
              is below the model's `min_confidence`, or empty.
            - `raw_<emotion>`: the probabilities of this clip alone.
            - `movement_<name>`: how far each of `movements` goes on average, from 0 to 1; missing
              where the face is unreadable.
        instances: one row for each instance of each clip: `track`, `clip` (row number in `clips`),
            `instance` (from 0), `start_s`, `end_s`, and `evidence_<emotion>`, what the instance
            adds to that logit. The evidence of a clip's instances sums to the clip's logits.
        frames: one row for each face in each frame: `track`, `person`, `frame`, `time_s`, the box
            `x1`, `y1`, `x2`, `y2` in pixels, `score`, the `mark` of this frame, and `p_<emotion>`,
            the probabilities at this time, missing where the face is unreadable.
        duration_s: length of the video in seconds.
        note: a sentence for the user, such as that no face was found; usually empty.
        settings: how it was made; filled in by `m3dfel predict`.
        movements: names of what moves in the faces, if the model has learned it: blendshapes of
            ARKit, left and right as one.

    Example:
        The prediction for a short video of a drawn face that smiles:

        >>> from tempfile import TemporaryDirectory
        >>> from m3dfel import Prediction, Recognizer
        >>> from m3dfel.synthetic.clips import SyntheticClip, render
        >>> from m3dfel.video.encode import write_video
        >>> smile = SyntheticClip(seed=0, identity=101, clip=1, emotion="happiness")
        >>> folder = TemporaryDirectory()
        >>> video = f"{folder.name}/smile.mp4"
        >>> write_video(video, render(smile, range(smile.n_frames), size=112), fps=25)
        >>> prediction = Recognizer()(video, aligned=True)

        >>> prediction.spans[["person", "start_s", "end_s", "emotion"]]
           person  start_s  end_s    emotion
        0       1      0.0   1.44  happiness

        The clips that the spans are made of overlap, and have the probabilities of all emotions:

        >>> len(prediction.clips)
        6

        It is saved as tables and pictures, and loaded from the JSON file:

        >>> prediction.save(folder.name)
        >>> loaded = Prediction.load(f"{folder.name}/smile.json")
        >>> loaded.clips.equals(prediction.clips)
        True
        >>> folder.cleanup()
    """

    source: str
    labels: tuple[str, ...]
    clips: pd.DataFrame
    instances: pd.DataFrame
    frames: pd.DataFrame
    duration_s: float
    note: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    movements: tuple[str, ...] = ()

    def __repr__(self) -> str:
        counts = {column: self.clips[column].nunique() for column in ("person", "track")}
        counts["clip"] = len(self.clips)
        persons, tracks, clips = (f"{n} {word}{'s' * (n != 1)}" for word, n in counts.items())
        return f"Prediction({self.source!r}: {persons} in {tracks}, {clips})"

    def _repr_html_(self) -> str:
        """Return the timeline as a picture, for notebooks."""
        from m3dfel.report.html import embed_figure  # matplotlib is slow to import

        figure = self.plot()
        return f'<img alt="{escape(repr(self))}" src="{embed_figure(figure, figure.dpi)}">'

    @property
    def spans(self) -> pd.DataFrame:
        """What each person expresses when; see `m3dfel.report.spans.span_table`."""
        return span_table(self)

    @property
    def stem(self) -> str:
        """The source's name without folder and suffix, which the output files share."""
        return source_stem(self.source)

    def plot(
        self,
        path: str | Path | None = None,
        target_frames: npt.NDArray[np.bool_] | None = None,
        fps: float = 25.0,
        lang: str = "en",
    ) -> Figure:
        """Draw the timeline; see `m3dfel.report.timeline.plot_timeline`."""
        from m3dfel.report.timeline import plot_timeline  # matplotlib is slow to import

        return plot_timeline(self, path, target_frames, fps, lang)

    def save(
        self, path: str | Path, formats: Sequence[str] = DEFAULT_FORMATS, lang: str = "en"
    ) -> None:
        """Write the prediction into a folder, as files named after the source, or as one file.

        - `csv`: the spans.
        - `clips` (`<stem>_clips.csv`): the clips, without `raw_<emotion>`. As in the spans,
          `emotion` is the mark where no emotion is certain.
        - `xlsx`: both for Excel.
        - `parquet` (`<stem>_clips.parquet`): the clips with all columns, the mean box of the face
          in each clip, and the evidence of its instances as lists.
        - `json`: everything, for `load`.
        - `png`: the timeline.
        - `srt`, `vtt`: subtitles that say what the faces express.
        - `eaf`: annotations for ELAN, one tier for each person.
        - `boris` (`<stem>_boris.csv`): when each emotion starts and stops, as BORIS exports events.

        Args:
            path: the folder; or the file, as `holiday.csv`, whose ending then chooses the format.
            formats: the formats to write into the folder.
            lang: language of pictures and subtitles, `en` or `zh`.

        Raises:
            InputError: there is no such format, no font for the language, or the path cannot be
                written to.
        """
        export(self, Path(path), formats, lang)

    def annotate(
        self,
        path: str | Path,
        source: Source | None = None,
        lang: str = "en",
        fps: float | None = None,
        *,
        progress: bool = True,
    ) -> None:
        """Draw the prediction into its video; see `m3dfel.report.annotate.annotate_video`.

        It needs no model, so that a loaded prediction can be drawn at any time.

        Args:
            path: of the annotated video, ending in `.mp4`.
            source: the video; None for `self.source`. Frames in memory have to be given.
            lang: language of the emotions' names, `en` or `zh`.
            fps: frames per second of pictures; None for 25.
            progress: show how far it is, on stderr.

        Raises:
            InputError: the source cannot be read, or the video cannot be written.
        """
        from m3dfel.report.annotate import annotate_video  # so is scipy

        annotate_video(self, path, self._source(source), lang=lang, fps=fps, progress=progress)

    def crops(self, source: Source | None = None) -> Iterator[tuple[int, Picture]]:
        """Yield the number of each row of `frames` and the picture in its box, frame by frame.

        Args:
            source: the video; None for `self.source`.

        Raises:
            InputError: on the first crop if the source cannot be read.
        """
        rows = self.frames.groupby("frame").indices
        boxes = self.frames[BOX].to_numpy(float).round().astype(int).clip(0)
        for frame in read_frames(self._source(source)):
            for row in rows.get(frame.index, ()):
                left, top, right, bottom = boxes[row]
                yield int(row), frame.image[top:bottom, left:right].copy()

    def _source(self, source: Source | None) -> Source:
        if source is None and self.source == IN_MEMORY and not Path(IN_MEMORY).exists():
            raise InputError("this prediction is about frames in memory: give them as the source")
        return self.source if source is None else source

    @classmethod
    def load(cls, path: str | Path) -> Prediction:
        """Read a prediction back from the JSON file that `save` wrote.

        Raises:
            InputError: the file is missing or is not a prediction.
        """
        try:
            record = json.loads(Path(path).read_text(encoding="utf-8"))
            labels, movements = tuple(record["labels"]), tuple(record.get("movements", ()))
            tables: dict[str, Any] = {
                name: pd.DataFrame(record[name], columns=columns)
                for name, columns in table_columns(labels, movements).items()
            }
            if record["clips"]:  # without a readable face, all numbers are missing
                numbers = ["confidence", *per_label("p", labels)]
                numbers += per_label("movement", movements)
                tables["clips"] = tables["clips"].astype(dict.fromkeys(numbers, float))
            _check_record(record, tables)
            frames = with_probabilities(tables.pop("frames"), tables["clips"], labels)
            known = {name: record[name] for name in ("source", "duration_s", "note", "settings")}
            return cls(labels=labels, movements=movements, **tables, frames=frames, **known)
        except _UNREADABLE_FILE as error:
            raise InputError(
                f"{path} cannot be read as a prediction: give a .json file that `m3dfel predict` "
                "wrote"
            ) from error


_UNREADABLE_FILE = (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError)

_MAX_S = 1e6
"""Of a video: more than eleven days."""

_IDS = ("track", "person", "clip", "instance", "frame")


def _check_record(record: dict[str, Any], tables: dict[str, pd.DataFrame]) -> None:
    """Check what was read from a file, since figures and tables take it for granted.

    Raises:
        ValueError: a value is of the wrong type or out of range.
    """
    clips, marks = tables["clips"], {*tables["clips"]["mark"], *tables["frames"]["mark"]}
    _check_texts(record, marks)
    if not marks <= {"", UNCERTAIN, *UNREADABLE}:
        raise ValueError("an unknown mark")
    if not set(clips["emotion"].dropna()) <= set(record["labels"]):
        raise ValueError("an emotion that is no label")
    if (clips["emotion"].isna() != clips["mark"].isin(UNREADABLE)).any():
        raise ValueError("a readable face without an emotion, or the opposite")
    for table in tables.values():
        numbers = table[table.columns.difference(["emotion", "mark"])]
        if numbers.select_dtypes(object).notna().any(axis=None):
            raise ValueError("a text, or a number of more than 64 bits, among numbers")
        numbers = numbers.astype(float)
        known = numbers.columns.intersection([*_IDS, *BOX])
        if np.isinf(numbers.to_numpy()).any() or numbers[known].isna().to_numpy().any():
            raise ValueError("a number is missing or infinite")
        _check_times(record["duration_s"], table)


def _check_texts(record: dict[str, Any], words: Iterable[str]) -> None:
    labels, movements, source = record["labels"], record.get("movements", ()), record["source"]
    texts = [*labels, *movements, source, record["note"], *words]
    if any(len({*names}) != len(names) for names in (labels, movements)):
        raise ValueError("a label or a movement is named twice")
    if not labels or not all(isinstance(text, str) for text in texts) or "\0" in source:
        raise ValueError("no labels, or a text that is none")
    "".join(texts).encode("utf-8", errors="surrogateescape")  # half a character is a ValueError
    if not isinstance(record["settings"], dict):
        raise TypeError("the settings are no mapping")


def _check_times(duration_s: float, table: pd.DataFrame) -> None:
    times_s = table[[name for name in table.columns if name.endswith("_s")]].to_numpy(float)
    joined_s = np.append(times_s, float(duration_s))
    if not ((joined_s >= 0) & (joined_s <= _MAX_S)).all():
        raise ValueError("a time is out of range")


@dataclass(frozen=True, eq=False)
class Header:
    """What a saved prediction says of its video as a whole; see `Prediction`.

    Attributes:
        path: of the file.
    """

    path: Path
    source: str
    labels: tuple[str, ...]
    duration_s: float
    note: str
    settings: dict[str, Any]
    spans: pd.DataFrame

    @property
    def id(self) -> str:
        """What tells the source from all others; only `m3dfel predict` saves it."""
        return str(self.settings.get("file", source_id(self.source)))


def read_header(path: Path) -> Header | None:
    """Return the start of a JSON file, without its tables; None if it is not a prediction."""
    try:
        record = _read_start(path)
        spans = pd.DataFrame(record["spans"], columns=SPAN_COLUMNS)
        numbers = dict.fromkeys(["start_s", "end_s", "duration_s", "confidence"], "f8")
        spans = spans.astype({"person": "i8"} | numbers)
        _check_texts(record, spans["emotion"])
        _check_times(record["duration_s"], spans)
        known = {name: record[name] for name in ("source", "duration_s", "note", "settings")}
        return Header(path, labels=tuple(record["labels"]), spans=spans, **known)
    except _UNREADABLE_FILE:
        return None


_TABLES = re.compile(r',\s*"clips"\s*:')
_PART = 1 << 16  # characters


def _read_start(path: Path) -> dict[str, Any]:
    """Return what precedes the tables in a JSON file, whatever its spaces."""
    text = ""
    with path.open(encoding="utf-8") as file:
        while part := file.read(_PART):
            searched = max(0, len(text) - _PART)
            text += part
            if tables := _TABLES.search(text, searched):
                text = text[: tables.start()] + "}"
                break
            if '"source"' not in text and '"clips"' not in text:
                raise ValueError("another file, which may be large")
    record: dict[str, Any] = json.loads(text)
    return record
