"""What the faces of a video express: tables of clips, instances and faces, saved and loaded.

The last step from a video to its emotions: `Recognizer.stream` makes one `Update` for each clip,
and together they are a `Prediction`.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from m3dfel.errors import InputError
from m3dfel.report.exports import DEFAULT_FORMATS, export
from m3dfel.report.recognized import BOX, per_label
from m3dfel.video.marks import UNCERTAIN
from m3dfel.video.sources import Source, source_id, source_stem
from m3dfel.video.tracks import TrackedFace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Values: TypeAlias = npt.NDArray[np.float64]
Column: TypeAlias = npt.NDArray[Any] | list[Any]


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
            - `mark`: why the face cannot be read (`too small`, `turned away`, `blurred`; then
              emotion, confidence and `p_<emotion>` are missing), or `uncertain` if the confidence
              is below the model's `min_confidence`, or empty.
            - `raw_<emotion>`: the probabilities of this clip alone.
        instances: one row for each instance of each clip: `track`, `clip` (row number in `clips`),
            `instance` (from 0), `start_s`, `end_s`, and `evidence_<emotion>`, what the instance
            adds to that logit. The evidence of a clip's instances sums to the clip's logits.
        frames: one row for each face in each frame: `track`, `person`, `frame`, `time_s`, the box
            `x1`, `y1`, `x2`, `y2` in pixels, `score`, and the `mark` of this frame.
        note: a sentence for the user, such as that no face was found; usually empty.
        settings: how it was made; filled in by `m3dfel predict`.

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

        The table has one row for each clip:

        >>> list(prediction.clips.columns[:6])
        ['track', 'person', 'start_s', 'end_s', 'emotion', 'confidence']
        >>> prediction.clips["emotion"].unique().tolist()
        ['happiness']

        It is saved in four formats, and loaded from the JSON file:

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
    note: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

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
        self, folder: str | Path, formats: Sequence[str] = DEFAULT_FORMATS, lang: str = "en"
    ) -> None:
        """Write the prediction as files named after the source.

        - `csv`: the clips, without `raw_<emotion>`.
        - `parquet`: the clips with all columns, the mean box of the face in each clip, and the
          evidence of its instances as lists.
        - `json`: everything, for `load`.
        - `png`: the timeline.
        - `srt`, `vtt`: subtitles that say what the faces express.
        - `eaf`: annotations for ELAN, one tier for each person.
        - `boris` (`<stem>_boris.csv`): when each emotion starts and stops, as BORIS exports events.
        - `openface` (`<stem>_openface.csv`): one row for each face in each frame.

        Args:
            folder: receives the files.
            formats: the formats to write.
            lang: language of pictures and subtitles, `en` or `zh`.

        Raises:
            InputError: there is no such format, no font for the language, or the folder cannot be
                written to.
        """
        export(self, Path(folder), formats, lang)

    def annotate(self, path: str | Path, source: Source | None = None, lang: str = "en") -> None:
        """Draw the prediction into its video; see `m3dfel.report.annotate.annotate_video`.

        It needs no model, so that a loaded prediction can be drawn at any time.

        Args:
            path: of the annotated video, ending in `.mp4`.
            source: the video; None for `self.source`.
            lang: language of the emotions' names, `en` or `zh`.

        Raises:
            InputError: the source cannot be read, or the video cannot be written.
        """
        from m3dfel.report.annotate import annotate_video

        annotate_video(self, path, source, lang=lang)

    @classmethod
    def load(cls, path: str | Path) -> Prediction:
        """Read a prediction back from the JSON file that `save` wrote.

        Raises:
            InputError: the file is missing or is not a prediction.
        """
        try:
            record = json.loads(Path(path).read_text(encoding="utf-8"))
            labels = tuple(record["labels"])
            tables = {
                name: pd.DataFrame(record[name], columns=columns)
                for name, columns in _columns(labels).items()
            }
            for name in ("clips", "frames"):
                persons = tables[name]["person"]  # missing in files of earlier versions
                tables[name]["person"] = persons.fillna(tables[name]["track"]).astype(int)
            settings = record.get("settings", {})
            return cls(record["source"], labels, **tables, note=record["note"], settings=settings)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} cannot be read as a prediction: give a .json file that `m3dfel predict` "
                "wrote"
            ) from error


@dataclass(frozen=True)
class Header:
    """What a saved prediction is about; see `Prediction`."""

    source: str
    note: str
    settings: dict[str, Any]

    @property
    def id(self) -> str:
        """What tells the source from all others; earlier versions did not save it."""
        return str(self.settings.get("file", source_id(self.source)))


def read_header(path: Path) -> Header | None:
    """Return the start of a JSON file, without its tables; None if it is not a prediction."""
    start = ""
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if line.startswith(' "clips": ['):
                    record = json.loads(start.rstrip().rstrip(",") + "}")
                    return Header(record["source"], record["note"], record.get("settings", {}))
                start += line
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


@dataclass(frozen=True, eq=False)
class Update:
    """What a face expresses in one clip of N instances, once it is final: a row of the table.

    Attributes:
        track: number of the track, from 1.
        start_s: start of the clip in seconds.
        end_s: its end.
        labels: the model's label set.
        emotion: the most probable emotion; None if the face cannot be read.
        confidence: its probability; None if the face cannot be read.
        probabilities: float64 (C,), of each label, averaged over time; NaN if the face cannot be
            read.
        mark: why the face cannot be read, or `uncertain`, or empty; as in `Prediction.clips`.
        raw: float64 (C,), the probabilities of this clip alone.
        evidence: float64 (N, C), what each instance adds to each logit.
        borders_s: float64 (N + 1,), where the instances start and end in seconds.
        box: left, top, right, bottom of the face in the clip's last frame, in pixels.
        latency_s: seconds of the source that were read between the clip's end and this update.
    """

    track: int
    start_s: float
    end_s: float
    labels: tuple[str, ...]
    emotion: str | None
    confidence: float | None
    probabilities: Values
    mark: str
    raw: Values
    evidence: Values
    borders_s: Values
    box: tuple[float, ...]
    latency_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return the update as numbers, words, lists and dictionaries by label, ready for JSON."""
        readable = self.emotion is not None
        return {
            "track": self.track,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "emotion": self.emotion,
            "confidence": self.confidence,
            "mark": self.mark,
            "probabilities": self._by_label(self.probabilities) if readable else None,
            "evidence": [self._by_label(instance) for instance in self.evidence],
            "box": list(self.box),
            "latency_s": self.latency_s,
        }

    def _by_label(self, values: Values) -> dict[str, float]:
        return dict(zip(self.labels, values.tolist(), strict=True))


def decide(
    labels: Sequence[str], probabilities: Values, mark: str, min_confidence: float
) -> tuple[str | None, float | None, str]:
    """Return the emotion of a clip, its confidence, and its mark.

    Args:
        labels: the label set, C words.
        probabilities: (C,), averaged over time.
        mark: why the face cannot be read: then there is no emotion.
        min_confidence: below it, the clip is marked as uncertain.
    """
    if mark:
        return None, None, mark
    best = int(probabilities.argmax())
    confidence = float(probabilities[best].round(6))
    return labels[best], confidence, UNCERTAIN if confidence < min_confidence else ""


class FaceRows:
    """The rows of one face in the tables of a prediction, in little memory.

    All numbers are in two long arrays: many small ones that stay, between large ones that come and
    go, would fragment the memory.

    Args:
        track: its number, from 1.
        labels: the model's label set, C words.
        bag_size: N, instances a clip.
    """

    def __init__(self, track: int, labels: Sequence[str], bag_size: int) -> None:
        self.track, self.frame_marks = track, list[str]()
        self._labels, self._bag_size = len(labels), bag_size
        self._frames, self._clips = array("d"), array("d")
        self._emotions: list[str | None] = []
        self._confidences: list[float | None] = []
        self._clip_marks: list[str] = []

    def __len__(self) -> int:
        """The number of clips."""
        return len(self._clip_marks)

    def add_frame(self, face: TrackedFace) -> None:
        """Add the face in one more frame."""
        detection = face.detection
        box = detection.box.astype(np.float64).round(2).tolist()
        self._frames.extend([face.index, round(face.time_s, 6), *box])
        self._frames.append(round(float(detection.score), 4))
        self.frame_marks.append(face.mark)

    def add_clip(self, update: Update) -> None:
        """Add the answer for one more clip."""
        self._emotions.append(update.emotion)
        self._confidences.append(update.confidence)
        self._clip_marks.append(update.mark)
        self._clips.extend([update.start_s, update.end_s])
        for values in (update.probabilities, update.raw, update.borders_s, update.evidence):
            self._clips.extend(values.ravel().tolist())

    def box(self, frame: int) -> tuple[float, ...]:
        """Return left, top, right and bottom of the face in its frame of this index."""
        return tuple(self._frames[7 * frame + 2 : 7 * frame + 6])

    def clips(self) -> list[Column]:
        """Return the columns of the table `clips`."""
        spans, probabilities, raw, _, _ = self._clip_numbers()
        faces = np.full(len(self), self.track)
        answers = [self._emotions, self._confidences, *probabilities.T, self._clip_marks]
        return [faces, faces, *spans.T, *answers, *raw.T]

    def instances(self, first_clip: int) -> list[Column]:
        """Return the columns of the table `instances`.

        Args:
            first_clip: row of the first clip in the table `clips`.
        """
        size = self._bag_size
        *_, borders_s, evidence = self._clip_numbers()
        clips = first_clip + np.arange(len(self)).repeat(size)
        instances = np.tile(np.arange(size), len(self))
        spans = [borders_s[:, :-1].ravel(), borders_s[:, 1:].ravel()]
        by_label = evidence.reshape(-1, self._labels).T
        return [np.full(len(clips), self.track), clips, instances, *spans, *by_label]

    def frames(self) -> list[Column]:
        """Return the columns of the table `faces`."""
        numbers = np.array(self._frames).reshape(-1, 7)
        faces, indices = np.full(len(numbers), self.track), numbers[:, 0].astype(np.int64)
        return [faces, faces, indices, *numbers[:, 1:].T, self.frame_marks]

    def _clip_numbers(self) -> list[Values]:
        """Return spans (B, 2), probabilities, raw (B, C), borders (B, N + 1), evidence (B, N·C)."""
        widths = [2, self._labels, self._labels, self._bag_size + 1]
        numbers = np.array(self._clips).reshape(len(self), -1)
        return np.split(numbers, np.cumsum(widths), axis=1)


def build_prediction(
    source: str, labels: tuple[str, ...], faces: Sequence[FaceRows], note: str = ""
) -> Prediction:
    """Return the rows of all faces that have clips as tables, each face a person of its own."""
    faces = [face for face in faces if len(face)]
    first_clips = accumulate((len(face) for face in faces), initial=0)
    columns = _columns(labels)
    return Prediction(
        source,
        labels,
        _table(columns["clips"], [face.clips() for face in faces]),
        _table(
            columns["instances"],
            [face.instances(clip) for face, clip in zip(faces, first_clips, strict=False)],
        ),
        _table(columns["frames"], [face.frames() for face in faces]),
        note,
    )


def _table(names: Sequence[str], parts: Sequence[list[Column]]) -> pd.DataFrame:
    """Return the columns of all faces below each other."""
    if not parts:
        return pd.DataFrame(columns=list(names))
    joined = [
        np.concatenate(column) if isinstance(column[0], np.ndarray) else [*chain(*column)]
        for column in zip(*parts, strict=True)
    ]
    return pd.DataFrame(dict(zip(names, joined, strict=True)))


def _columns(labels: Sequence[str]) -> dict[str, list[str]]:
    """Return the columns of each table of a prediction."""
    span = ["start_s", "end_s"]
    return {
        "clips": [
            *("track", "person", *span, "emotion", "confidence"),
            *(*per_label("p", labels), "mark", *per_label("raw", labels)),
        ],
        "instances": ["track", "clip", "instance", *span, *per_label("evidence", labels)],
        "frames": ["track", "person", "frame", "time_s", *BOX, "score", "mark"],
    }
