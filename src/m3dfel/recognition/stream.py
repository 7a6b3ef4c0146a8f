"""The stream of recognition: frames go in, and answers come out as soon as they are final.

Every track is cut into instances while its frames come, the backbone runs once for each instance,
and every N neighboring instances are fused into one clip of the timeline. So overlapping clips
cost no more than clips side by side. Reading and face detection run in threads of their own. No
frame or crop is kept once it is read, so memory grows only by the rows of the tables.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from m3dfel.errors import InputError
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.opencv import cv2
from m3dfel.predictions.prediction import (
    FaceRows,
    Prediction,
    Update,
    Values,
    build_prediction,
    decide,
)
from m3dfel.predictions.smoothing import kernel_radius, smooth_probabilities
from m3dfel.recognition.instances import Instance, InstanceCutter
from m3dfel.video.decode import Frame
from m3dfel.video.marks import majority_mark
from m3dfel.video.prefetch import run_ahead
from m3dfel.video.tracks import TrackedFace, TrackedFrame

TrackFaces: TypeAlias = Callable[[Iterable[Frame]], Generator[TrackedFrame, None, None]]
"""Finds the faces in the frames of a source."""

_NO_FACE = (
    "no face was found in {}: if its frames already show one cropped face, use --aligned "
    "(in Python: aligned=True)"
)


def leave_a_core_to_detection() -> None:
    """Reserve a CPU core for face detection, in a program that does nothing but recognize.

    Where torch's threads share a core with face detection, most of their time is waiting: on two
    cores, a whole prediction then costs half as much again. OpenCV, which detects, uses one thread.
    """
    torch.set_num_threads(max(1, torch.get_num_threads() - 1))
    cv2.setNumThreads(1)


@dataclass(frozen=True, eq=False)
class Step:
    """One more frame of a stream.

    Attributes:
        frame: the frame.
        faces: the faces in it.
        updates: of the clips that are final now.
    """

    frame: Frame
    faces: Sequence[TrackedFace]
    updates: Sequence[Update]


class Stream:
    """The answers for one source, as they become final: an iterator of `Update`s.

    Used in a `with` statement, it stops reading at the end of the block, also after an error.

    Args:
        model: a trained model in evaluation mode.
        name: of the source.
        frames: of the source, in the order of their times.
        track: finds the faces in the frames.
        clip_s: seconds a clip covers.
        smooth_s: standard deviation in seconds of the Gaussian that averages over time.
        batch: how many instances to wait for before they are read together.
        ahead: how many frames may be read before their faces are looked for.
    """

    def __init__(
        self,
        model: M3DFEL,
        name: str,
        frames: Iterable[Frame],
        track: TrackFaces,
        clip_s: float,
        smooth_s: float,
        batch: int,
        ahead: int,
    ) -> None:
        self.model, self.name = model, name
        self.clip_s, self.smooth_s, self.batch = clip_s, smooth_s, batch
        self._newest_s = 0.0
        self._faces: list[_Face] = []
        self._open: dict[int, _Face] = {}
        self._unread: list[tuple[_Face, Instance]] = []
        read = run_ahead(self._note_time(frames), ahead)
        self._steps = self._run(read, track(read))

    def __iter__(self) -> Iterator[Update]:
        for step in self._steps:
            yield from step.updates

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading the source."""
        self._steps.close()

    def steps(self) -> Iterator[Step]:
        """Yield each frame with its faces, and with the updates that are final after it."""
        return self._steps

    def prediction(self) -> Prediction:
        """Return all updates so far as tables; at the end of the source, the whole prediction."""
        return build_prediction(
            self.name,
            self.model.labels,
            [face.rows for face in self._faces],
            note="" if self._faces else _NO_FACE.format(self.name),
        )

    def _note_time(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            self._newest_s = frame.time_s
            yield frame

    def _run(
        self,
        frames: Generator[Frame, None, None],
        tracked_frames: Generator[TrackedFrame, None, None],
    ) -> Generator[Step, None, None]:
        with closing(frames), closing(tracked_frames):
            for tracked in tracked_frames:
                for seen in tracked.faces:
                    face = self._open.get(seen.track) or self._new_face(seen.track)
                    self._unread += [(face, instance) for instance in face.add(seen)]
                for number in tracked.ended:
                    face = self._open[number]
                    self._unread += [(face, instance) for instance in face.end()]
                updates = []
                if tracked.ended or len(self._unread) >= self.batch:
                    updates = self._answer()
                for number in tracked.ended:
                    del self._open[number]
                in_frame = [seen for seen in tracked.faces if seen.index == tracked.frame.index]
                yield Step(tracked.frame, in_frame, updates)

    def _new_face(self, number: int) -> _Face:
        face = _Face(number, self.model, self.clip_s, self.smooth_s)
        self._faces.append(face)
        self._open[number] = face
        return face

    def _answer(self) -> list[Update]:
        """Read all unread instances and return the updates that are final now."""
        unread, self._unread = self._unread, []
        if unread:
            self._read(unread)
        updates = [update for face in self._open.values() for update in face.finish(self._newest_s)]
        return sorted(updates, key=lambda update: update.end_s)

    @torch.inference_mode()
    def _read(self, unread: Sequence[tuple[_Face, Instance]]) -> None:
        features = self._instance_features([instance for _, instance in unread])
        instances = zip(unread, features, strict=True)
        bags = [face.add_instance(instance.frames, row) for (face, instance), row in instances]
        clips = [bag for bag in bags if bag]
        if not clips:
            return
        logits, evidence = self.model.fuse_with_evidence(
            torch.stack([bag.features for bag in clips])
        )
        if not logits.isfinite().all():
            raise InputError(
                "the model's logits are not numbers: its weights are damaged, load another model"
            )
        raw = logits.softmax(1).double().cpu().numpy()
        for bag, *answer in zip(clips, raw, evidence.double().cpu().numpy(), strict=True):
            bag.face.add_clip(bag, *answer)

    def _instance_features(self, instances: Sequence[Instance]) -> Tensor:
        """Run the backbone on M instances: float (M, F)."""
        crops = torch.from_numpy(np.stack([instance.crops for instance in instances]))
        numbers = torch.tensor([instance.number for instance in instances])
        device = self.model.mean.device
        return self.model.encode(crops.permute(0, 1, 4, 2, 3).to(device), numbers.to(device))


@dataclass(frozen=True, eq=False)
class _Bag:
    """The features (N, F) of a clip of a face, and the positions of its frames in the track."""

    face: _Face
    features: Tensor
    frames: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Clip:
    """The answer for a clip alone, before it is averaged over time; see `Update`."""

    raw: Values
    evidence: Values
    mark: str
    box: tuple[float, ...]


class _Face:
    """One face: the rows of its tables, and what is needed to go on with them.

    Args:
        number: of the face, from 1.
        model: whose clips the track is cut into.
        clip_s: seconds a clip covers.
        smooth_s: standard deviation in seconds of the Gaussian that averages over time.
    """

    def __init__(self, number: int, model: M3DFEL, clip_s: float, smooth_s: float) -> None:
        self.rows = FaceRows(number, model.labels, model.bag_size)
        self._labels, self._bag_size = model.labels, model.bag_size
        self._min_confidence = model.min_confidence
        self._cutter = InstanceCutter(model.bag_size, model.instance_length, clip_s, model.context)
        self._spread = smooth_s / self._cutter.instance_s
        self._radius = kernel_radius(self._spread)
        self._borders_s: list[float] = []
        self._features: deque[Tensor] = deque(maxlen=model.bag_size)
        self._frames: deque[npt.NDArray[np.int64]] = deque(maxlen=model.bag_size)
        # The clips that are not final, and before them `_past` that are averaged with them.
        self._clips: deque[_Clip] = deque()
        self._past = 0
        self._ended = False

    def add(self, tracked: TrackedFace) -> list[Instance]:
        """Add the face in one more frame and return the instances that are complete now."""
        self.rows.add_frame(tracked)
        return self._with_borders(self._cutter.add(tracked.time_s, tracked.crop))

    def end(self) -> list[Instance]:
        """End the track and return its last instances."""
        instances = self._with_borders(self._cutter.end())
        self._borders_s[-1] = self._cutter.end_s
        self._ended = True
        return instances

    def _with_borders(self, instances: list[Instance]) -> list[Instance]:
        if instances and not self._borders_s:
            self._borders_s.append(instances[0].start_s)
        self._borders_s += [instance.end_s for instance in instances]
        return instances

    def add_instance(self, frames: npt.NDArray[np.int64], features: Tensor) -> _Bag | None:
        """Add the features (F,) of an instance; return the bag that it completes, if any."""
        self._frames.append(frames)
        self._features.append(features)
        if len(self._features) < self._bag_size:
            return None
        return _Bag(self, torch.stack([*self._features]), np.unique(np.stack([*self._frames])))

    def add_clip(self, bag: _Bag, raw: Values, evidence: Values) -> None:
        """Add what the model says about a bag."""
        mark = majority_mark([self.rows.frame_marks[frame] for frame in bag.frames])
        self._clips.append(_Clip(raw, evidence, mark, self.rows.box(int(bag.frames[-1]))))

    def finish(self, newest_s: float) -> list[Update]:
        """Return the updates of the clips that no later frame will change.

        Args:
            newest_s: time of the last frame that was read.
        """
        updates = []
        needed = 0 if self._ended else self._radius
        while len(self._clips) > self._past + needed:
            updates.append(self._update(newest_s))
            self.rows.add_clip(updates[-1])
            self._past += 1
            if self._past > self._radius:
                self._clips.popleft()
                self._past -= 1
        if self._ended:
            self._features.clear()
        return updates

    def _update(self, newest_s: float) -> Update:
        """Return the next update: of the first clip that is not final."""
        clip, around = (
            self._clips[self._past],
            [*islice(self._clips, self._past + self._radius + 1)],
        )
        probabilities = smooth_probabilities(
            self._past,
            np.stack([other.raw for other in around]),
            unreadable=np.array([other.mark != "" for other in around]),
            spread=self._spread,
        )
        emotion, confidence, mark = decide(
            self._labels, probabilities, clip.mark, self._min_confidence
        )
        number = len(self.rows)
        borders_s = self._borders_s[number : number + self._bag_size + 1]
        return Update(
            track=self.rows.track,
            start_s=round(borders_s[0], 3),
            end_s=round(borders_s[-1], 3),
            labels=self._labels,
            emotion=emotion,
            confidence=confidence,
            probabilities=probabilities.round(6),
            mark=mark,
            raw=clip.raw.round(6),
            evidence=clip.evidence.round(6),
            borders_s=np.array(borders_s).round(3),
            box=clip.box,
            latency_s=max(0.0, round(newest_s - borders_s[-1], 3)),
        )
