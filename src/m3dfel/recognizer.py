"""A trained model on videos: what each face expresses, and when.

The end of the way of the data: decode, detect, track and align (the video room), cut every track
into instances, read each instance once, and fuse every bag of neighbouring instances into one row
of the timeline. Overlapping clips thus cost no more than clips side by side.
"""

from __future__ import annotations

import json
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

from m3dfel.checkpoints import load_model
from m3dfel.data.manifest import VIDEO_SUFFIXES
from m3dfel.data.transforms import evaluation_transform
from m3dfel.errors import InputError
from m3dfel.files import replacing, write_text
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.report import plot_timeline
from m3dfel.video.align import TEMPLATE
from m3dfel.video.decode import PICTURE_SUFFIXES, Frame, read_images, read_video
from m3dfel.video.faces import CenterFace, FaceDetector
from m3dfel.video.tracks import Track, track_faces

# The 16 frames of a clip at 25 frames per second: short enough to tell when an expression begins.
CLIP_S = 0.64

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
            emotion's probability) and p_<emotion> of every label.
        instances: a row an instance of each clip: face, clip (the row in `clips`), instance (from
            0), start_s, end_s and evidence_<emotion>, what the instance adds to that logit.
        faces: a row a frame and face: face, frame, time_s, box x1, y1, x2, y2 in pixels, score.
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
        truth: npt.ArrayLike | None = None,
        fps: float = 25.0,
    ) -> Figure:
        """Draw the timeline; see `report.plot_timeline`."""
        return plot_timeline(self, path, truth, fps)

    def save(self, folder: str | Path) -> None:
        """Write what is known, as files named after the source.

        `<stem>.csv` holds the clips; `<stem>.parquet` besides the mean box of each clip and, as
        lists, its instances' evidence; `<stem>.json` everything, for `load`; `<stem>.png` the
        timeline.

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
            "clips": boxed.to_dict("records"),
            "instances": self.instances.to_dict("records"),
            "faces": self.faces.to_dict("records"),
        }
        write_text(folder / f"{self.stem}.csv", self.clips.to_csv(index=False))
        write_text(folder / f"{self.stem}.json", json.dumps(record, indent=1))
        with replacing(folder / f"{self.stem}.parquet") as temporary:
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
        model: a trained model; it is put into evaluation mode.
        detector: finds the faces; None for the one that comes with the package.
        device: torch's word for where the model runs.
        clip_s: seconds a clip covers. Longer clips, such as the whole short videos of DFEW, answer
            more steadily; shorter ones tell better when.

    Raises:
        InputError: there is no such device here, or clips of no length.
    """

    def __init__(
        self,
        model: M3DFEL,
        detector: FaceDetector | None = None,
        device: str = "cpu",
        clip_s: float = CLIP_S,
    ) -> None:
        if not clip_s > 0:
            raise InputError(f"a clip cannot last {clip_s} s: give a length above 0")
        try:
            self.model = model.to(device).eval()
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f"torch cannot use the device {device!r} here: choose another, such as cpu"
            ) from error
        self.detector = detector or CenterFace()
        self.clip_s = clip_s

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        detector: FaceDetector | None = None,
        device: str = "cpu",
        clip_s: float = CLIP_S,
    ) -> Recognizer:
        """Load a model: a run, a model's folder, a published `.pth` or a name on the hub.

        Raises:
            InputError: no model there, or settings that cannot be.
        """
        return cls(load_model(str(name)), detector, device, clip_s)

    def __call__(self, source: Source, aligned: bool = False) -> Prediction:
        """Recognise the faces of a video.

        Args:
            source: a video file; a folder of frames or a list of pictures, taken as 25 frames per
                second; or a list of `Frame`s.
            aligned: the frames show one cropped face already, as in face data sets: none is looked
                for, and the whole frame is the face.

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
        size = self.model.size
        if aligned:
            tracks = [_whole_frames(frames, size)]
        else:
            tracks = track_faces(frames, self.detector, size)
        note = "" if tracks else _NO_FACE.format(name)
        return _prediction(name, self.model.labels, [self._read(track) for track in tracks], note)

    @torch.inference_mode()
    def _read(self, track: Track) -> _Reading:
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
        logits = model.fuse(bags)
        if not logits.isfinite().all():
            raise InputError("the model's answers are not numbers: its weights are broken")
        evidence = model.dliam.contributions(bags) @ model.classifier.weight.T
        return _Reading(track, borders_s, logits.softmax(1).double().cpu(), evidence.double().cpu())

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


def _whole_frames(frames: Iterable[Frame], size: int) -> Track:
    """Return frames that show one aligned face as its track, resized as in evaluation."""
    resize = evaluation_transform(size)
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
        "clips": ["face", *span, "emotion", "confidence", *_names("p", labels)],
        "instances": ["face", "clip", "instance", *span, *_names("evidence", labels)],
        "faces": ["face", "frame", "time_s", *_BOX, "score"],
    }


@dataclass(frozen=True, eq=False)
class _Reading:
    """A track, its instances' borders (M + 1,), probabilities (B, C) and evidence (B, N, C)."""

    track: Track
    borders_s: npt.NDArray[np.float64]
    shares: Tensor
    evidence: Tensor


def _prediction(
    name: str, labels: tuple[str, ...], readings: Sequence[_Reading], note: str
) -> Prediction:
    clips: list[list[Any]] = []
    instances: list[list[Any]] = []
    faces: list[list[Any]] = []
    for reading in readings:
        face, borders = reading.track.face, reading.borders_s.round(3).tolist()
        bag_size = reading.evidence.shape[1]
        for start, (shares, bag) in enumerate(
            zip(reading.shares.numpy().round(6), reading.evidence.numpy().round(6), strict=True)
        ):
            likeliest = int(shares.argmax())
            span = [borders[start], borders[start + bag_size]]
            for place, evidence in enumerate(bag.tolist()):
                own = borders[start + place : start + place + 2]
                instances.append([face, len(clips), place, *own, *evidence])
            clips.append([face, *span, labels[likeliest], shares[likeliest], *shares.tolist()])
        faces += _sightings(reading.track)
    columns = _columns(labels)
    return Prediction(
        name,
        labels,
        pd.DataFrame(clips, columns=columns["clips"]),
        pd.DataFrame(instances, columns=columns["instances"]),
        pd.DataFrame(faces, columns=columns["faces"]),
        note,
    )


def _sightings(track: Track) -> Iterator[list[Any]]:
    boxes, scores = track.boxes.astype(np.float64).round(2), track.scores.astype(np.float64)
    for place, box in enumerate(boxes.tolist()):
        time_s, score = float(track.times_s[place]), float(scores[place])
        yield [track.face, int(track.indices[place]), round(time_s, 6), *box, round(score, 4)]
