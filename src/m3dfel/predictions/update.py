"""What a track expresses in one clip, and how probabilities become an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from m3dfel.video.marks import UNCERTAIN

Values: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Update:
    """What a track expresses in one clip of N instances, once it is final: a row of `clips`.

    Attributes:
        track: number of the track, from 1.
        start_s: start of the clip in seconds.
        end_s: its end.
        labels: the model's label set.
        emotion: the most probable emotion; None if the face is unreadable.
        confidence: its probability; None if the face is unreadable.
        probabilities: float64 (C,), of each label, averaged over time; NaN if the face is
            unreadable.
        mark: why the face is unreadable, or `uncertain`, or empty; as in `Prediction.clips`.
        raw: float64 (C,), the probabilities of this clip alone.
        evidence: float64 (N, C), what each instance adds to each logit.
        borders_s: float64 (N + 1,), where the instances start and end in seconds.
        box: left, top, right, bottom of the face in the clip's last frame, in pixels.
        latency_s: seconds of the source that were read between the clip's end and this update.
        movements: how far each movement that the model has learned goes on average, from 0 to 1;
            NaN if the face is unreadable.
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
    movements: dict[str, float] = field(default_factory=dict)

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
            "movements": self.movements if readable else None,
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
        mark: why the face is unreadable: then there is no emotion.
        min_confidence: below it, the clip is marked as uncertain.
    """
    if mark:
        return None, None, mark
    best = int(probabilities.argmax())
    confidence = float(probabilities[best].round(6))
    return labels[best], confidence, UNCERTAIN if confidence < min_confidence else ""
