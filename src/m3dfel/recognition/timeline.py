"""The timeline of one track: faces go in, and updates come out as soon as they are final."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from m3dfel.models.m3dfel import M3DFEL
from m3dfel.predictions.rows import TrackRows
from m3dfel.predictions.smoothing import kernel_radius, smooth_probabilities
from m3dfel.predictions.update import Update, Values, decide
from m3dfel.recognition.instances import Instance, InstanceCutter
from m3dfel.recognition.settings import RecognizerSettings
from m3dfel.video.marks import majority_mark
from m3dfel.video.tracks import MAX_HOLD_S, TrackedFace


class Timeline:
    """What one track expresses.

    The faces of the track are cut into instances; the features of every N neighboring instances are
    a bag; the model's answer for a bag is averaged over time with those around it.

    Args:
        track: its number, from 1.
        model: whose clips the track is cut into.
        settings: how long clips are, and how far answers are averaged.
    """

    def __init__(self, track: int, model: M3DFEL, settings: RecognizerSettings) -> None:
        self.rows = TrackRows(track)
        self._labels, self._bag_size = model.labels, model.bag_size
        self._movements = model.reported_movements
        self._min_confidence = model.min_confidence
        self._cutter = InstanceCutter(
            model.bag_size, model.instance_length, settings.clip_s, model.context
        )
        self._spread = settings.smooth_s / self._cutter.instance_s
        self._radius = kernel_radius(self._spread)
        self._features: deque[Tensor] = deque(maxlen=model.bag_size)
        # Start, end and frames of the instances whose clips have no answer yet.
        self._instances: deque[tuple[float, float, npt.NDArray[np.int64]]] = deque()
        # The answers that are not final, and before them `_past` that are averaged with them.
        self._answers: deque[Update] = deque()
        self._past = 0
        self._ended = False

    def add(self, face: TrackedFace) -> Iterator[Instance]:
        """Add the face in one more frame and yield the instances that are complete now."""
        self.rows.add_frame(face)
        shown_s = face.frame.duration_s
        is_held = shown_s is not None and shown_s <= MAX_HOLD_S
        return self._cutter.add(face.frame.time_s, face.crop, shown_s if is_held else None)

    def end(self) -> Iterator[Instance]:
        """End the track and yield its last instances."""
        yield from self._cutter.end()
        self._ended = True

    def add_features(self, instance: Instance, features: Tensor) -> Tensor | None:
        """Add the features (F,) of an instance; return the bag (N, F) that it completes, if any."""
        self._instances.append((instance.start_s, instance.end_s, instance.frames))
        self._features.append(features)
        return torch.stack([*self._features]) if len(self._features) == self._bag_size else None

    def add_answer(self, probabilities: Values, evidence: Values, movements: Values) -> None:
        """Add what the model says about the next bag: (C,), (N, C) and (K,)."""
        starts_s, ends_s, frames = zip(*islice(self._instances, self._bag_size), strict=True)
        self._instances.popleft()
        shown = np.unique(np.stack(frames))
        mark = majority_mark([self.rows.frame_marks[frame] for frame in shown])
        emotion, confidence, mark = decide(self._labels, probabilities, mark, self._min_confidence)
        self._answers.append(
            Update(
                track=self.rows.track,
                start_s=round(starts_s[0], 3),
                end_s=round(ends_s[-1], 3),
                labels=self._labels,
                emotion=emotion,
                confidence=confidence,
                probabilities=probabilities,
                mark=mark,
                raw=probabilities.round(6),
                evidence=evidence.round(6),
                borders_s=np.array([*starts_s, ends_s[-1]]).round(3),
                box=self.rows.box(int(shown[-1])),
                latency_s=0.0,
                movements=dict(zip(self._movements, movements.round(4).tolist(), strict=True)),
            )
        )

    def finish(self, newest_s: float) -> list[Update]:
        """Return the updates that no later frame will change.

        Args:
            newest_s: time of the newest frame that was read.
        """
        if self._ended and self._answers:
            self._answers[-1] = self._extended(self._answers[-1])
        updates = []
        needed = 0 if self._ended else self._radius
        while len(self._answers) > self._past + needed:
            updates.append(self._final(newest_s))
            self.rows.add_clip(updates[-1])
            self._past += 1
            if self._past > self._radius:
                self._answers.popleft()
                self._past -= 1
        return updates

    def _extended(self, answer: Update) -> Update:
        """Return the last answer with the rest of the track, too short for an instance."""
        end_s = round(self._cutter.end_s, 3)
        return replace(answer, end_s=end_s, borders_s=np.append(answer.borders_s[:-1], end_s))

    def _final(self, newest_s: float) -> Update:
        """Return the first answer that is not final, averaged with those around it."""
        answer = self._answers[self._past]
        around = [*islice(self._answers, self._past + self._radius + 1)]
        probabilities = smooth_probabilities(
            self._past,
            np.stack([other.probabilities for other in around]),
            unreadable=np.array([other.emotion is None for other in around]),
            spread=self._spread,
        )
        mark = answer.mark if answer.emotion is None else ""
        emotion, confidence, mark = decide(self._labels, probabilities, mark, self._min_confidence)
        if emotion is None:
            answer = replace(answer, movements=dict.fromkeys(answer.movements, np.nan))
        return replace(
            answer,
            emotion=emotion,
            confidence=confidence,
            probabilities=probabilities.round(6),
            mark=mark,
            latency_s=max(0.0, round(newest_s - answer.end_s, 3)),
        )
