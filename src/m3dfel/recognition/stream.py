"""The stream of recognition: frames go in, and answers come out as soon as they are final.

Every track is cut into instances while its frames come, the backbone runs once for each instance,
and every N neighboring instances are fused into one clip of the timeline. So overlapping clips
cost no more than clips side by side. No frame or crop is kept once it is encoded, so memory grows
only by the rows of the tables.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from m3dfel.errors import InputError
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.opencv import cv2
from m3dfel.predictions.persons import with_persons
from m3dfel.predictions.prediction import Prediction
from m3dfel.predictions.rows import TrackRows, build_prediction
from m3dfel.predictions.update import Update
from m3dfel.recognition.appearance import AppearanceEncoder, Vectors
from m3dfel.recognition.instances import Instance
from m3dfel.recognition.persons import Portraits, join_tracks
from m3dfel.recognition.settings import RecognizerSettings
from m3dfel.recognition.timeline import Timeline
from m3dfel.video.decode import Frame
from m3dfel.video.tracks import TrackedFace, TrackedFrame

_MAX_PENDING = 16
"""Instances that may wait to be encoded, also where a frame that was held completes many."""

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

    It stops reading when it is closed, at the end of a `with` block, and when nobody iterates over
    it any more.

    Args:
        model: a trained model in evaluation mode.
        settings: of the recognizer.
        name: of the source.
        tracked_frames: the frames of the source with their faces.
        encoder: describes what tracks look like; None if all of them are one person.
        batch: how many instances to wait for before they are encoded together.
    """

    def __init__(
        self,
        model: M3DFEL,
        settings: RecognizerSettings,
        name: str,
        tracked_frames: Generator[TrackedFrame, None, None],
        encoder: AppearanceEncoder | None,
        batch: int,
    ) -> None:
        self.model, self.settings, self.name = model, settings, name
        self._tracked_frames, self._encoder, self._batch = tracked_frames, encoder, batch
        self._reported = [model.movements.index(name) for name in model.reported_movements]
        self._rows: list[TrackRows] = []
        self._vectors: dict[int, Vectors] = {}
        self._open: dict[int, Timeline] = {}
        self._portraits: dict[int, Portraits] = {}
        self._pending: list[tuple[Timeline, Instance]] = []
        self._newest_s = self._end_s = 0.0

    def __iter__(self) -> Iterator[Update]:
        for step in self.steps():
            yield from step.updates

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading the source."""
        self._tracked_frames.close()

    def steps(self) -> Iterator[Step]:
        """Yield each frame with its faces, and with the updates that are final after it."""
        for tracked in self._tracked_frames:
            updates = list[Update]()
            for face in tracked.faces:
                timeline = self._open.get(face.track) or self._start(face.track)
                updates += self._collect(timeline, timeline.add(face), tracked.newest_s)
                if self._encoder:
                    self._portraits[face.track].add(face)
            for track in tracked.ended:
                timeline = self._open[track]
                updates += self._collect(timeline, timeline.end(), tracked.newest_s)
            if tracked.ended or len(self._pending) >= self._batch:
                updates += self._flush(tracked.newest_s)
            for track in tracked.ended:
                del self._open[track]
                if self._encoder:
                    self._vectors[track] = self._portraits.pop(track).vectors()
            frame = tracked.frame
            self._end_s = frame.time_s + (frame.duration_s or frame.time_s - self._newest_s)
            self._newest_s = frame.time_s
            faces = [face for face in tracked.faces if face.frame is frame]
            yield Step(frame, faces, updates)

    def prediction(self) -> Prediction:
        """Return all updates so far as tables; at the end of the source, the whole prediction."""
        prediction = build_prediction(
            self.name,
            self.model.labels,
            self._rows,
            self._end_s,
            note="" if self._rows else _NO_FACE.format(self.name),
            movements=self.model.reported_movements,
        )
        if not self._encoder:
            return with_persons(prediction, {rows.track: 1 for rows in self._rows})
        seen = {track: portraits.vectors() for track, portraits in self._portraits.items()}
        return join_tracks(prediction, self._vectors | seen, self._encoder.min_similarity)

    def _start(self, track: int) -> Timeline:
        timeline = self._open[track] = Timeline(track, self.model, self.settings)
        self._rows.append(timeline.rows)
        if self._encoder:
            self._portraits[track] = Portraits(self._encoder)
        return timeline

    def _collect(
        self, timeline: Timeline, instances: Iterable[Instance], newest_s: float
    ) -> list[Update]:
        """Note instances for the next batch; of many, encode some now, so that few are kept."""
        updates = list[Update]()
        for instance in instances:
            self._pending.append((timeline, instance))
            if len(self._pending) >= _MAX_PENDING:
                updates += self._flush(newest_s)
        return updates

    def _flush(self, newest_s: float) -> list[Update]:
        """Encode all pending instances and return the updates that are final now."""
        pending, self._pending = self._pending, []
        if pending:
            self._encode(pending)
        timelines = self._open.values()
        updates = [update for timeline in timelines for update in timeline.finish(newest_s)]
        return sorted(updates, key=lambda update: update.end_s)

    @torch.inference_mode()
    def _encode(self, pending: Sequence[tuple[Timeline, Instance]]) -> None:
        features = self._features([instance for _, instance in pending])
        completed = [
            (timeline, timeline.add_features(instance, row))
            for (timeline, instance), row in zip(pending, features, strict=True)
        ]
        bags = [(timeline, bag) for timeline, bag in completed if bag is not None]
        if not bags:
            return
        features = torch.stack([bag for _, bag in bags])
        logits, evidence = self.model.fuse_with_evidence(features)
        if not logits.isfinite().all():
            raise InputError(
                "the model's logits are not numbers: its weights are damaged, load another model"
            )
        movements = self.model.estimate_movements(features).mean(1).clamp(0, 1)
        answers = (logits.softmax(1), evidence, movements[:, self._reported])
        columns = [answer.cpu().double().numpy() for answer in answers]
        for (timeline, _), *answer in zip(bags, *columns, strict=True):
            timeline.add_answer(*answer)

    def _features(self, instances: Sequence[Instance]) -> Tensor:
        """Return the features of M instances: float (M, F)."""
        device = self.model.mean.device
        crops = torch.from_numpy(np.stack([instance.crops for instance in instances])).to(device)
        numbers = torch.tensor([instance.number for instance in instances], device=device)
        return self.model.encode(crops.permute(0, 1, 4, 2, 3), numbers)
