"""A trained model on videos: what each face expresses, and when.

The end of the way of the data: decode, detect, track and align (the video room), cut every track
into instances, read each instance once, and fuse every bag of neighbouring instances into one row
of the timeline. Overlapping clips thus cost no more than clips side by side.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track as with_progress
from torch import Tensor

from m3dfel.checkpoints import BUNDLED, load_model
from m3dfel.data.transforms import evaluation_transform
from m3dfel.errors import InputError
from m3dfel.files import atomic_write, write_text
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.report.timeline import plot_timeline
from m3dfel.video.align import TEMPLATE
from m3dfel.video.decode import PICTURE_SUFFIXES, VIDEO_SUFFIXES, Frame, read_images, read_video
from m3dfel.video.faces import CenterFace, FaceDetector
from m3dfel.video.quality import quality_marks
from m3dfel.video.tracks import Track, track_faces

# The 16 frames of a clip at 25 frames per second: short enough to tell when an expression begins.
CLIP_S = 0.64
# Standard deviation of the Gaussian that the probabilities are averaged with over time.
SMOOTH_S = 0.2
# A clip whose likeliest emotion is less probable is as likely wrong as right.
LEAST_CONFIDENCE = 0.5
UNCERTAIN = "uncertain"

# Instances read at once: four clips of the published model.
_BATCH = 16
# A track of one frame is shown as long as a frame at 25 frames per second.
_LONE_FRAME_S = 0.04
# Time stamps carry rounding errors: a frame shown from a moment on is on show at that moment.
_ROUNDING_S = 1e-6

Source: TypeAlias = str | Path | Sequence[str | Path] | Sequence[Frame]


@dataclass(eq=False)
class Prediction:
    """What the faces of a video express.

    Attributes:
        source: the video, the folder, or the first of the pictures.
        labels: the model's label set.
        clips: a row a clip and face: face (from 1), start_s, end_s, emotion, confidence (the
            emotion's probability), p_<emotion> of every label (averaged over time), mark, and
            raw_<emotion>, the probabilities of the clip alone. The mark is `too small`,
            `turned away` or `blurred` where the face cannot be read, and emotion, confidence and
            p_<emotion> are then missing; `uncertain` where no emotion is as likely as not; else
            empty.
        instances: a row an instance of each clip: face, clip (the row in `clips`), instance (from
            0), start_s, end_s and evidence_<emotion>, what the instance adds to that logit; over
            a clip's instances these sum to its logits.
        faces: a row a frame and face: face, frame, time_s, box x1, y1, x2, y2 in pixels, score,
            mark (of the frame, as above).
        note: a sentence to the user, such as that no face was found; empty when all is said.
    """

    source: str
    labels: tuple[str, ...]
    clips: pd.DataFrame
    instances: pd.DataFrame
    faces: pd.DataFrame
    note: str = ""

    @property
    def table(self) -> pd.DataFrame:
        """The clips: what the CSV file holds."""
        return self.clips

    @property
    def stem(self) -> str:
        """The name of the source without its ending; the files are called so."""
        return _stem(self.source)

    def plot(
        self,
        path: str | Path | None = None,
        target_frames: npt.NDArray[np.bool_] | None = None,
        fps: float = 25.0,
    ) -> Figure:
        """Draw the timeline; see `report.timeline.plot_timeline`."""
        return plot_timeline(self, path, target_frames, fps)

    def save(self, folder: str | Path) -> None:
        """Write what is known, as files named after the source.

        `<stem>.csv` holds the clips, but for raw_<emotion>; `<stem>.parquet` these too, the mean
        box of each clip and, as lists, its instances' evidence; `<stem>.json` everything, for
        `load`; `<stem>.png` the timeline.

        Raises:
            InputError: the folder cannot be written to.
        """
        folder = Path(folder)
        boxed = pd.concat([self.clips, self._mean_boxes()], axis=1)
        names = _names("evidence", self.labels)
        listed = self.instances.groupby("clip")[names].agg(list)
        record = {
            "source": self.source,
            "note": self.note,
            "labels": self.labels,
            "clips": boxed.astype(object).where(boxed.notna(), None).to_dict("records"),
            "instances": self.instances.to_dict("records"),
            "faces": self.faces.to_dict("records"),
        }
        told = self.clips.drop(columns=_names("raw", self.labels))
        write_text(folder / f"{self.stem}.csv", told.to_csv(index=False))
        write_text(folder / f"{self.stem}.json", json.dumps(record, indent=1))
        with atomic_write(folder / f"{self.stem}.parquet") as temporary:
            pd.concat([boxed, listed], axis=1).to_parquet(temporary, index=False)
        self.plot(folder / f"{self.stem}.png")

    @classmethod
    def load(cls, path: str | Path) -> Prediction:
        """Read a prediction back from the JSON file that `save` wrote.

        Raises:
            InputError: not such a file.
        """
        try:
            record = json.loads(Path(path).read_text(encoding="utf-8"))
            labels = tuple(record["labels"])
            clips, instances, faces = (
                pd.DataFrame(record[name], columns=columns)
                for name, columns in _columns(labels).items()
            )
            return cls(record["source"], labels, clips, instances, faces, record["note"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} cannot be read as a prediction: give a .json that `m3dfel predict` wrote"
            ) from error

    def _mean_boxes(self) -> pd.DataFrame:
        """Return the mean box of every clip, over the frames shown during it."""
        boxes = [np.empty((0, 4))]
        for face, clips in self.clips.groupby("face"):
            own = self.faces[self.faces["face"] == face]
            times_s = own["time_s"].to_numpy()
            first = _shown_at(times_s, clips["start_s"].to_numpy())
            after = np.searchsorted(times_s, clips["end_s"].to_numpy() - _ROUNDING_S)
            after = np.maximum(after, first + 1)
            sums = np.concatenate([np.zeros((1, 4)), own[_BOX].to_numpy().cumsum(0)])
            boxes.append((sums[after] - sums[first]) / (after - first)[:, None])
        return pd.DataFrame(np.concatenate(boxes).round(2), columns=_BOX)


class Recognizer:
    """Recognises what every face of a video expresses, and when.

    Args:
        model: a trained model, which is put into evaluation mode; None for the one that comes with
            the package.
        detector: finds the faces; None for the one that comes with the package.
        device: torch's word for where the model runs.
        clip_s: seconds a clip covers. Longer clips, such as the whole short videos of DFEW, answer
            more steadily; shorter ones tell better when.
        smooth_s: the probabilities of neighbouring clips are averaged with a Gaussian of this
            standard deviation in seconds, the same before and after, so that a change is told when
            it comes. 0 leaves every clip alone.

    Raises:
        InputError: there is no such device here, clips of no length or smoothing below 0.
    """

    def __init__(
        self,
        model: M3DFEL | None = None,
        detector: FaceDetector | None = None,
        device: str = "cpu",
        clip_s: float = CLIP_S,
        smooth_s: float = SMOOTH_S,
    ) -> None:
        if not clip_s > 0:
            raise InputError(f"a clip cannot last {clip_s} s: give a length above 0")
        if not smooth_s >= 0:
            raise InputError(f"clips cannot be averaged over {smooth_s} s: give 0 or more")
        try:
            self.model = (model or load_model(BUNDLED)).to(device).eval()
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f"torch cannot use the device {device!r} here: choose another, such as cpu"
            ) from error
        self.detector = detector or CenterFace()
        self.clip_s, self.smooth_s = clip_s, smooth_s

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        detector: FaceDetector | None = None,
        device: str = "cpu",
        clip_s: float = CLIP_S,
        smooth_s: float = SMOOTH_S,
    ) -> Recognizer:
        """Load a model: whatever `checkpoints.load_model` knows by that name.

        Raises:
            InputError: no model there, or settings that cannot be.
        """
        return cls(load_model(str(name)), detector, device, clip_s, smooth_s)

    def __call__(self, source: Source, aligned: bool = False) -> Prediction:
        """Recognise the faces of a video.

        Args:
            source: a video file; a folder of frames or a list of pictures, taken as 25 frames per
                second; or a list of `Frame`s.
            aligned: the frames show one cropped face already, as in face data sets: none is looked
                for, the whole frame is the face, and none is too small, turned away or blurred.

        Returns:
            One timeline a face. Without a face, an empty one with a note.

        Raises:
            InputError: the source cannot be read, or the model's weights are broken.
        """
        name = _name(source)
        frames = with_progress(
            _frames(source),
            f"looking at {Path(name).name}",
            console=Console(stderr=True),
            transient=True,
        )
        size, zoom = self.model.size, self.model.zoom
        if aligned:
            tracks = [_whole_frames(frames, size, zoom)]
            marks = [np.full(len(tracks[0].times_s), "")]
        else:
            tracks = track_faces(frames, self.detector, size, zoom)
            marks = [quality_marks(track) for track in tracks]
        note = "" if tracks else _NO_FACE.format(name)
        readings = [self._read(track, own) for track, own in zip(tracks, marks, strict=True)]
        return _prediction(name, self.model.labels, readings, note)

    @torch.inference_mode()
    def _read(self, track: Track, marks: npt.NDArray[np.str_]) -> _Reading:
        """Read every instance of a track once, then every bag of neighbouring instances."""
        model = self.model
        chosen, borders_s = cut_track(
            track.times_s, model.bag_size, model.instance_length, self.clip_s
        )
        features = torch.cat(
            [
                model.backbone(self._to_instances(track.crops[chosen[start : start + _BATCH]]))
                for start in range(0, len(chosen), _BATCH)
            ]
        )
        bags = features.unfold(0, model.bag_size, 1).transpose(1, 2)
        logits, evidence = model.fuse_explained(bags)
        if not logits.isfinite().all():
            raise InputError("the model's answers are not numbers: its weights are broken")
        raw = logits.softmax(1).double().cpu().numpy()
        of_clips = [
            _prevailing(marks[np.unique(chosen[start : start + model.bag_size])])
            for start in range(len(raw))
        ]
        unread = np.array(of_clips) != ""
        shares = smooth_probabilities(
            raw, (borders_s[: len(raw)] + borders_s[-len(raw) :]) / 2, unread, self.smooth_s
        )
        return _Reading(
            track, marks, borders_s, raw, shares, of_clips, evidence.double().cpu().numpy()
        )

    def _to_instances(self, crops: npt.NDArray[np.uint8]) -> Tensor:
        """Bring crops (M, t, S, S, 3) to the model: float (M, 3, t, S, S)."""
        frames = torch.from_numpy(crops).permute(0, 1, 4, 2, 3).to(self.model.mean.device)
        return self.model.normalize(frames).transpose(1, 2)


def cut_track(
    times_s: npt.NDArray[np.float64], bag_size: int, instance_length: int, clip_s: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Cut a track into equal instances, N of which are as close to a clip's length as they can be.

    A track shorter than a clip is one bag. Frames are chosen as in evaluation (`data.sampling`):
    each is the one shown in the middle of its part of the time, so that a video of any rate gives
    the same clip, and frames repeat where there are too few.

    Args:
        times_s: (T,), rising, when each frame of the track is shown.
        bag_size: N, instances a clip.
        instance_length: frames an instance.
        clip_s: seconds a clip should cover.

    Returns:
        Places of the frames in the track (M, instance length), M ≥ N, and the borders between the
        instances in seconds (M + 1,).
    """
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else _LONE_FRAME_S
    start_s, end_s = float(times_s[0]), float(times_s[-1]) + step_s
    instances = max(bag_size, round((end_s - start_s) / (clip_s / bag_size)))
    frames = instances * instance_length
    moments_s = start_s + (np.arange(frames) + 0.5) / frames * (end_s - start_s)
    chosen = _shown_at(times_s, moments_s).reshape(instances, instance_length)
    return chosen, np.linspace(start_s, end_s, instances + 1)


def smooth_probabilities(
    shares: npt.NDArray[np.float64],
    times_s: npt.NDArray[np.float64],
    unread: npt.NDArray[np.bool_],
    smooth_s: float,
) -> npt.NDArray[np.float64]:
    """Average probabilities over time with a Gaussian, which does not trail behind what it sees.

    Args:
        shares: (B, C), the probabilities of each clip.
        times_s: (B,), the middle of each clip in seconds.
        unread: (B,), the clips that have no answer: they are left out of every average, and their
            own is not a number.
        smooth_s: the Gaussian's standard deviation in seconds; 0 for no averaging.

    Returns:
        (B, C).
    """
    if smooth_s:
        weights = np.exp(-0.5 * ((times_s[:, None] - times_s) / smooth_s) ** 2)
    else:
        weights = np.eye(len(times_s))
    weights = weights * ~unread
    total = weights.sum(1, keepdims=True)
    averaged = np.divide(weights @ shares, total, where=total > 0, out=np.zeros_like(shares))
    return np.where(unread[:, None], np.nan, averaged)


def _prevailing(marks: npt.NDArray[np.str_]) -> str:
    """Return the mark of a clip: the commonest of its frames' where most have one."""
    found = Counter(mark for mark in marks.tolist() if mark)
    return found.most_common(1)[0][0] if 2 * found.total() > len(marks) else ""


def find_sources(paths: Sequence[str | Path]) -> list[str | list[str]]:
    """Return the sources that some paths name, each of which a `Recognizer` takes.

    A folder stands for the videos in it or, where there are none, for the video whose frames it
    holds; pictures named one by one are together one video.

    Raises:
        InputError: two sources of the same name, whose files would overwrite each other.
    """
    sources: list[str | list[str]] = []
    pictures: list[str] = []
    for path in dict.fromkeys(map(Path, paths)):
        if path.is_dir():
            sources += _videos(path) or [str(path)]
        elif path.suffix.lower() in PICTURE_SUFFIXES:
            pictures.append(str(path))
        else:
            sources.append(str(path))
    if pictures:
        sources.append(pictures)
    taken: dict[str, str] = {}
    for name in map(_name, sources):
        other = taken.setdefault(_stem(name), name)
        if other != name:
            raise InputError(
                f"{other} and {name} would both be written to {_stem(name)}.csv: rename one, or "
                "predict them into different folders"
            )
    return sources


def _videos(folder: Path) -> list[str]:
    return sorted(
        str(file)
        for file in folder.iterdir()
        if file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith(".")
    )


_NO_FACE = (
    "no face was found in {}: if its frames show one cropped face already, say so (--aligned, or "
    "aligned=True)"
)


# --- reading -------------------------------------------------------------------------------------


def _frames(source: Source) -> Iterable[Frame]:
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            return read_images(path)
        return read_images([path]) if path.suffix.lower() in PICTURE_SUFFIXES else read_video(path)
    frames = [item for item in source if isinstance(item, Frame)]
    if frames:
        return frames
    return read_images([item for item in source if not isinstance(item, Frame)])


def _name(source: Source) -> str:
    if isinstance(source, str | Path):
        return str(source)
    first = next(iter(source), "frames")
    return "frames" if isinstance(first, Frame) else str(first)


def _stem(source: str) -> str:
    path = Path(source)
    return path.resolve().name if path.is_dir() else path.stem


def _whole_frames(frames: Iterable[Frame], size: int, zoom: float) -> Track:
    """Return frames that show one aligned face as its track, resized as in evaluation."""
    resize = evaluation_transform(size, zoom)
    times_s, indices, boxes, crops = [], [], [], []
    for frame in frames:
        height, width = frame.image.shape[:2]
        picture = torch.from_numpy(np.ascontiguousarray(frame.image)).permute(2, 0, 1)
        times_s.append(frame.time_s)
        indices.append(frame.index)
        boxes.append((0, 0, width, height))
        crops.append(resize(picture).permute(1, 2, 0).numpy())
    corners = np.array(boxes, dtype=np.float32)
    return Track(
        face=1,
        times_s=np.array(times_s, dtype=np.float64),
        indices=np.array(indices, dtype=np.int64),
        boxes=corners,
        scores=np.ones(len(crops), dtype=np.float32),
        landmarks=(TEMPLATE * corners[:, None, 2:]).astype(np.float32),
        crops=np.stack(crops),
    )


def _shown_at(
    times_s: npt.NDArray[np.float64], moments_s: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Return for each moment the place of the frame on show, the first frame before it began."""
    return np.maximum(np.searchsorted(times_s, moments_s + _ROUNDING_S, side="right") - 1, 0)


# --- tables --------------------------------------------------------------------------------------

_BOX = ["x1", "y1", "x2", "y2"]


def _names(kind: str, labels: Sequence[str]) -> list[str]:
    return [f"{kind}_{label}" for label in labels]


def _columns(labels: Sequence[str]) -> dict[str, list[str]]:
    """Return the columns of each table of a prediction."""
    span = ["start_s", "end_s"]
    return {
        "clips": [
            *("face", *span, "emotion", "confidence"),
            *(*_names("p", labels), "mark", *_names("raw", labels)),
        ],
        "instances": ["face", "clip", "instance", *span, *_names("evidence", labels)],
        "faces": ["face", "frame", "time_s", *_BOX, "score", "mark"],
    }


@dataclass(frozen=True, eq=False)
class _Reading:
    """What was read of a track.

    Attributes:
        track: its T frames.
        frame_marks: (T,).
        borders_s: (M + 1,), between its instances.
        raw: (B, C), the probabilities of each clip alone.
        shares: (B, C), averaged over time; not a number where a clip is marked.
        marks: (B,), of the clips.
        evidence: (B, N, C).
    """

    track: Track
    frame_marks: npt.NDArray[np.str_]
    borders_s: npt.NDArray[np.float64]
    raw: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]
    marks: Sequence[str]
    evidence: npt.NDArray[np.float64]


def _prediction(
    name: str, labels: tuple[str, ...], readings: Sequence[_Reading], note: str
) -> Prediction:
    clips: list[list[Any]] = []
    instances: list[list[Any]] = []
    faces: list[list[Any]] = []
    for reading in readings:
        face, borders = reading.track.face, reading.borders_s.round(3).tolist()
        bag_size = reading.evidence.shape[1]
        for start, mark in enumerate(reading.marks):
            span = [borders[start], borders[start + bag_size]]
            for place, evidence in enumerate(reading.evidence[start].round(6).tolist()):
                own = borders[start + place : start + place + 2]
                instances.append([face, len(clips), place, *own, *evidence])
            shares, raw = reading.shares[start].round(6), reading.raw[start].round(6)
            likeliest = int(reading.shares[start].argmax())
            answer: list[Any] = [None, None]
            if not mark:
                answer = [labels[likeliest], shares[likeliest]]
                mark = UNCERTAIN if shares[likeliest] < LEAST_CONFIDENCE else ""
            clips.append([face, *span, *answer, *shares.tolist(), mark, *raw.tolist()])
        faces += _sightings(reading)
    columns = _columns(labels)
    return Prediction(
        name,
        labels,
        pd.DataFrame(clips, columns=columns["clips"]),
        pd.DataFrame(instances, columns=columns["instances"]),
        pd.DataFrame(faces, columns=columns["faces"]),
        note,
    )


def _sightings(reading: _Reading) -> Iterator[list[Any]]:
    track = reading.track
    boxes, scores = track.boxes.astype(np.float64).round(2), track.scores.astype(np.float64)
    for place, box in enumerate(boxes.tolist()):
        time_s, score = round(float(track.times_s[place]), 6), round(float(scores[place]), 4)
        mark = str(reading.frame_marks[place])
        yield [track.face, int(track.indices[place]), time_s, *box, score, mark]
