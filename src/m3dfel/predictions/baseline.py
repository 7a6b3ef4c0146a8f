"""Subtract each person's resting expression.

After recognition, and off by default. Some faces look sad or angry to a model while they express
nothing. Given some seconds in which a person is at rest, what the model sees in that face beyond
neutral is subtracted from all its logits.

With z the logits of a clip, m their mean over the clips of the baseline, n the index of neutral and
C labels, the corrected logits of all labels c but neutral are

    z'_c = z_c - max(0, (m_c - m_n) - r),    r = log((1 - q) / (q (C - 1))),    q = 0.6

At rest, the answer then is neutral with a probability of q or more. An emotion that the resting
face does not show is left as it is.

The baseline `own` needs no rest: it is all that is seen of the person in the video. With p the
probabilities of a clip, m the mean of log(p + ε) over the person's readable clips, which cover n
seconds together,

    z'_c = (1 + w / 2) (log(p_c + ε) - w m_c),    w = n / (n + k), ε = 0.003, k = 5 s

so the answer is what a clip shows beyond what is usual for the person, and where there is little of
the person, less changes. The factor gives back the confidence that the subtraction takes away.
Where a table of persons says that several videos show the same person, m and n are of all of them,
each video counting by its n (`join_usual`). Without ε, emotions that are never probable would
decide. All were chosen on seven people who act and speak (docs/trials.md).

What the logits lose is taken from the evidence of the instances, in equal parts, so that it still
sums to the logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import softmax

from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.predictions.smoothing import kernel_radius, smooth_probabilities
from m3dfel.predictions.update import Values, decide
from m3dfel.report.recognized import per_label
from m3dfel.report.spans import equal_spans, with_probabilities

NEUTRAL, OWN = "neutral", "own"
# q in the formula: at rest, a face gets at least this probability of neutral.
_NEUTRAL_AT_REST = 0.6
# ε, k and the gain of 1/2 in the formula of the own baseline.
_OWN_FLOOR, _OWN_S, _OWN_GAIN = 0.003, 5.0, 0.5
# The first neutral seconds: of the first neutral span of at least _MIN_S, at most _MAX_S.
_MIN_S, _MAX_S = 0.5, 2.0


@dataclass(frozen=True)
class Baseline:
    """When the persons of a video are at rest.

    Attributes:
        start_s: in seconds; None for the first seconds in which the model sees a person as neutral.
        end_s: in seconds.
        own: compare with all that is seen of a person, instead of with rest.
    """

    start_s: float | None = None
    end_s: float | None = None
    own: bool = False

    @classmethod
    def parse(cls, words: str) -> Baseline:
        """Return the baseline that is meant by `neutral`, by `own` or by `START,END`.

        Raises:
            InputError: it is none of these, or ends before it starts.
        """
        if words == OWN:
            return cls(own=True)
        if words == NEUTRAL:
            return cls()
        try:
            start_s, end_s = map(float, words.split(","))
        except ValueError:
            start_s = end_s = np.nan
        if not 0 <= start_s < end_s < np.inf:
            raise InputError(
                f"the baseline is {words!r} but must be START,END in seconds, such as 0,2.5, or "
                f"`{NEUTRAL}` for the first neutral seconds, or `{OWN}` for all of each person"
            )
        return cls(start_s, end_s)

    def __str__(self) -> str:
        if self.start_s is None:
            return OWN if self.own else NEUTRAL
        return f"{self.start_s:g},{self.end_s:g}"

    def clips(self, clips: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Return which clips of one person, a boolean for each row, are part of the baseline."""
        readable = clips["emotion"].notna().to_numpy()
        if self.own:
            return readable
        start_s, end_s = clips["start_s"].to_numpy(), clips["end_s"].to_numpy()
        if self.start_s is not None and self.end_s is not None:
            middle_s = (start_s + end_s) / 2
            return readable & (middle_s >= self.start_s) & (middle_s <= self.end_s)
        chosen = np.zeros(len(clips), dtype=bool)
        words = [*zip(clips["track"], clips["emotion"], strict=True)]
        for first, last, (_, emotion) in equal_spans(words):
            if emotion == NEUTRAL and end_s[last] - start_s[first] >= _MIN_S:
                chosen[first : last + 1] = end_s[first : last + 1] <= start_s[first] + _MAX_S
                chosen[first] = True
                break
        return chosen


def subtract_baseline(
    prediction: Prediction,
    baseline: Baseline,
    min_confidence: float,
    smooth_s: float,
) -> Prediction:
    """Return a prediction from which the baseline of each person is subtracted.

    A person who is not seen during the baseline keeps all answers, and the note says so. What was
    subtracted is in the settings of the prediction: `baseline_offsets`, by person and emotion, and
    for the baseline `own` also `baseline_seconds`, n of each person.

    Args:
        prediction: of a video.
        baseline: when the persons are at rest.
        min_confidence: of the model; answers with less are marked as uncertain.
        smooth_s: of the `Recognizer` that made the prediction.

    Raises:
        InputError: the label set has no neutral, which a baseline at rest needs.
    """
    labels = prediction.labels
    if NEUTRAL not in labels and not baseline.own:
        raise InputError(
            f"a baseline needs a model that knows neutral, but its labels are {', '.join(labels)}"
        )
    logits = _logits(prediction)
    floored = np.log(softmax(logits, axis=1) + _OWN_FLOOR)
    subtracted = np.zeros_like(logits)
    offsets: dict[str, dict[str, float]] = {}
    seconds: dict[str, float] = {}
    notes = [prediction.note] if prediction.note else []
    for person, clips in prediction.clips.groupby("person"):
        chosen = clips[baseline.clips(clips)]
        if len(chosen):
            if baseline.own:
                own = Usual(_seconds(chosen), floored[chosen.index].mean(0))
                compared = own.compare(floored[clips.index])
                subtracted[clips.index] = logits[clips.index] - compared
                offset, seconds[str(person)] = own.offset, own.seconds
            else:
                offset = _offset(logits[chosen.index].mean(0), labels.index(NEUTRAL))
                subtracted[clips.index] = offset
            offsets[str(person)] = dict(zip(labels, offset.tolist(), strict=True))
        else:
            notes.append(f"person {person} is not seen in the baseline: the answers are unchanged")
    answers = _subtract(prediction, logits, subtracted, min_confidence, smooth_s)
    stated = {"baseline": str(baseline), "baseline_offsets": offsets}
    stated |= {"baseline_seconds": seconds} if baseline.own else {}
    return replace(answers, note="; ".join(notes), settings=prediction.settings | stated)


@dataclass(frozen=True)
class Usual:
    """What the model sees in a person on average.

    Attributes:
        seconds: n, how long the person is seen.
        mean: m of log(p + ε), for each label.
    """

    seconds: float
    mean: Values

    @property
    def weight(self) -> float:
        """w, from 0 to 1: less where little is seen of the person."""
        return self.seconds / (self.seconds + _OWN_S)

    @property
    def offset(self) -> Values:
        """What the baseline `own` subtracts, for each label."""
        return (self.weight * self.mean).round(6)

    def compare(self, floored: Values) -> Values:
        """Return the logits of clips (M, C) in comparison, from their log(p + ε)."""
        return self._factor * (floored - self.offset)

    def restore(self, compared: Values) -> Values:
        """Return log(p + ε) of clips (M, C), from their logits in comparison."""
        return compared / self._factor + self.offset

    @property
    def _factor(self) -> float:
        return 1 + _OWN_GAIN * self.weight


def compared_with(prediction: Prediction, person: int) -> Usual:
    """Return what a person was compared with by the baseline `own`, from the settings."""
    offsets = prediction.settings["baseline_offsets"].get(str(person), {})
    offset = np.array([offsets.get(label, 0.0) for label in prediction.labels])
    seconds = prediction.settings["baseline_seconds"].get(str(person), 0.0)
    return Usual(seconds, offset * (seconds + _OWN_S) / seconds if seconds else offset)


def usual(prediction: Prediction, person: int) -> Usual | None:
    """Return what is usual for a person in a video from which the baseline `own` is subtracted.

    Returns:
        None if the video never shows the person well enough.
    """
    clips = prediction.clips
    seen = clips[(clips["person"] == person) & clips["emotion"].notna()]
    if seen.empty:
        return None
    floored = compared_with(prediction, person).restore(_logits(prediction)[seen.index])
    return Usual(_seconds(seen), floored.mean(0))


def join_usual(parts: Sequence[Usual]) -> Usual:
    """Return what is usual for a person over several videos, each of which counts by its length."""
    seconds = np.array([part.seconds for part in parts])
    return Usual(float(seconds.sum()), np.average([part.mean for part in parts], 0, seconds))


def compare_with(
    prediction: Prediction, usual: Mapping[int, Usual], min_confidence: float, smooth_s: float
) -> Prediction:
    """Return a prediction whose persons are compared with what is usual for them elsewhere too.

    Args:
        prediction: of a video from which the baseline `own` is subtracted.
        usual: of some of its persons, over all of their videos.
        min_confidence: of the model.
        smooth_s: of the `Recognizer` that made the prediction.
    """
    labels, logits = prediction.labels, _logits(prediction)
    offsets = dict(prediction.settings["baseline_offsets"])
    seconds = dict(prediction.settings["baseline_seconds"])
    subtracted = np.zeros_like(logits)
    for person in usual.keys() & set(prediction.clips["person"]):
        of_person = (prediction.clips["person"] == person).to_numpy()
        floored = compared_with(prediction, person).restore(logits[of_person])
        subtracted[of_person] = logits[of_person] - usual[person].compare(floored)
        offsets[str(person)] = dict(zip(labels, usual[person].offset.tolist(), strict=True))
        seconds[str(person)] = usual[person].seconds
    answers = _subtract(prediction, logits, subtracted, min_confidence, smooth_s)
    stated = {"baseline_offsets": offsets, "baseline_seconds": seconds}
    return replace(answers, settings=prediction.settings | stated)


def _logits(prediction: Prediction) -> Values:
    """Return the logits of the clips, (M, C)."""
    evidence = prediction.instances[per_label("evidence", prediction.labels)]
    logits: Values = evidence.groupby(prediction.instances["clip"]).sum().to_numpy()
    return logits


def _subtract(
    prediction: Prediction,
    logits: Values,
    subtracted: Values,
    min_confidence: float,
    smooth_s: float,
) -> Prediction:
    """Return a prediction with other answers: (M, C) is subtracted from the logits of its clips."""
    labels = prediction.labels
    evidence = per_label("evidence", labels)
    instances = prediction.instances.copy()
    of_clip = instances["clip"].to_numpy(int)
    in_clip = np.bincount(of_clip, minlength=len(logits))[of_clip]
    instances[evidence] = (instances[evidence] - subtracted[of_clip] / in_clip[:, None]).round(6)
    clips = prediction.clips.copy()
    for i in clips[subtracted.any(1)].groupby("track").groups.values():
        rows = clips.loc[i]
        bag_size = np.count_nonzero(of_clip == i[0])
        spread = smooth_s * bag_size / (rows["end_s"].iloc[0] - rows["start_s"].iloc[0])
        raw = softmax(logits[i] - subtracted[i], axis=1)
        answers = _answers(rows, raw, labels, spread, min_confidence)
        clips.loc[i, answers.columns] = answers
    frames = with_probabilities(prediction.frames, clips, labels)
    return replace(prediction, clips=clips, instances=instances, frames=frames)


def _offset(logits: Values, neutral: int) -> Values:
    """Return what is subtracted, from the mean logits (C,) at rest."""
    q, others = _NEUTRAL_AT_REST, len(logits) - 1
    offset = np.maximum(0.0, logits - logits[neutral] - np.log((1 - q) / (q * others)))
    offset[neutral] = 0.0
    return offset.round(6)


def _seconds(clips: pd.DataFrame) -> float:
    """Return the time that clips cover together, although neighboring ones overlap."""
    covered_s = clips.groupby("track")["end_s"].shift()  # by the clip before, if there is one
    return float((clips["end_s"] - np.fmax(clips["start_s"], covered_s)).sum())


def _answers(
    clips: pd.DataFrame, raw: Values, labels: Sequence[str], spread: float, min_confidence: float
) -> pd.DataFrame:
    """Return the columns of the table `clips` with the answers for the clips of one face.

    Args:
        clips: of the face.
        raw: (B, C), the probabilities of each clip alone.
        labels: the label set.
        spread: of the average over time, in clips.
        min_confidence: answers with less are marked as uncertain.
    """
    unreadable = clips["emotion"].isna().to_numpy()
    marks = clips["mark"].where(unreadable, "")
    radius = kernel_radius(spread)
    answers = []
    for clip, mark in enumerate(marks):
        first = max(0, clip - radius)
        around = slice(first, clip + radius + 1)
        mean = smooth_probabilities(clip - first, raw[around], unreadable[around], spread).round(6)
        answer = decide(labels, mean, mark, min_confidence)
        answers.append([*answer, *mean, *raw[clip].round(6)])
    columns = ["emotion", "confidence", "mark", *per_label("p", labels), *per_label("raw", labels)]
    return pd.DataFrame(answers, index=clips.index, columns=columns)
