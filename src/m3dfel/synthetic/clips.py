"""Synthetic clips: drawn faces whose expression is known in every frame.

A clip is determined by its seed, identity, number and emotion, so a manifest needs only its address
and nothing is stored on disk. As in real clips, the label is weak: the expression appears between
neutral frames, in which the face blinks, looks around and talks. Each emotion is the prototype of
action units in the Facial Action Coding System (Ekman, Friesen and Hager, 2002); `drawing.py`
paints them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.opencv import cv2
from m3dfel.synthetic.anatomy import GRID, Face
from m3dfel.synthetic.curves import MIDDLE
from m3dfel.synthetic.drawing import MARGIN, OVERSAMPLING, Picture, Portrait, Scene

ACTION_UNITS: tuple[int, ...] = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 17, 18, 20, 23, 25, 26, 45)

PROTOTYPES: dict[str, dict[int, float]] = {
    "happiness": {6: 1.0, 12: 1.0, 25: 0.9},
    "sadness": {1: 1.0, 4: 0.8, 15: 1.0, 17: 0.3},
    "neutral": {},
    "anger": {4: 1.0, 5: 0.6, 7: 0.8, 23: 1.0},
    "surprise": {1: 0.9, 2: 1.0, 5: 0.9, 25: 0.6, 26: 0.9},
    "disgust": {9: 1.0, 10: 1.0, 17: 0.6},
    "fear": {1: 1.0, 2: 0.7, 4: 0.9, 5: 1.0, 20: 1.0, 25: 0.9, 26: 0.3},
}

_PREFIX = "synthetic:"
_FORM = "synthetic:<seed>/<identity>/<clip>/<emotion>[/brief]"

# Each purpose has its own random generator, so that a frame does not depend on the others.
_LENGTH, _MOTION, _IDENTITY, _SCENE, _CAMERA, _NOISE = range(6)


@dataclass(frozen=True)
class SyntheticClip:
    """A synthetic clip; `str(clip)` is its address in a manifest.

    Attributes:
        seed: seed of the identities.
        identity: 0 or more; the same number is the same face in all clips of a seed.
        clip: number among the clips of this identity and emotion.
        emotion: its label.
        brief: the expression lasts for 8 to 18 percent of the frames instead of 30 to 50, and
            begins and ends faster.

    Example:
        >>> from m3dfel.synthetic.clips import SyntheticClip
        >>> str(SyntheticClip(seed=0, identity=7, clip=0, emotion="fear"))
        'synthetic:0/7/0/fear'
    """

    seed: int
    identity: int
    clip: int
    emotion: str
    brief: bool = False

    def __str__(self) -> str:
        ending = "/brief" if self.brief else ""
        return f"{_PREFIX}{self.seed}/{self.identity}/{self.clip}/{self.emotion}{ending}"

    @property
    def n_frames(self) -> int:
        """The number of frames: 32 to 64, mostly about 40."""
        return 32 + int(33 * _random(self, _LENGTH).beta(1.2, 3.2))


def is_synthetic(path: str) -> bool:
    """Return whether a path is the address of a synthetic clip."""
    return path.startswith(_PREFIX)


def parse_synthetic(path: str) -> SyntheticClip:
    """Return the clip of an address.

    Raises:
        InputError: the address does not have the form
            `synthetic:<seed>/<identity>/<clip>/<emotion>[/brief]`.
    """
    parts = path.removeprefix(_PREFIX).split("/")
    brief = parts[4:] == ["brief"]
    numbers, emotion = parts[:3], parts[3] if len(parts) > 3 else ""
    valid = len(parts) == 4 + brief and all(n.isascii() and n.isdigit() for n in numbers)
    if not (is_synthetic(path) and valid and emotion in PROTOTYPES):
        raise InputError(
            f"{path!r} is not the address of a synthetic clip: write {_FORM} with one of the "
            f"emotions {', '.join(EMOTIONS)}"
        )
    return SyntheticClip(int(numbers[0]), int(numbers[1]), int(numbers[2]), emotion, brief)


def synthetic_clips(
    seed: int,
    identities: Iterable[int],
    per_emotion: int,
    labels: Sequence[str] = EMOTIONS,
    brief: bool = False,
) -> list[SyntheticClip]:
    """Return `per_emotion` clips of each label for some identities, ordered by identity."""
    return [
        SyntheticClip(seed, identity, clip, emotion, brief)
        for identity in identities
        for emotion in labels
        for clip in range(per_emotion)
    ]


# --- ground truth ---------------------------------------------------------------------------------


def intensities(clip: SyntheticClip) -> NDArray[np.float64]:
    """Return the intensity of the clip's emotion in each frame, 0 to 1, float64 (n_frames,).

    It is zero in neutral frames, and in all frames of a neutral clip.
    """
    return _motion(clip).intensity.copy()


def target_frames(clip: SyntheticClip) -> NDArray[np.bool_]:
    """Return which frames show the emotion, bool (n_frames,).

    Target frames have more than half of the clip's highest intensity; a neutral clip has none.
    """
    intensity = intensities(clip)
    return np.greater(intensity, 0.5 * intensity.max())


def truth_table(clips: Iterable[SyntheticClip]) -> pd.DataFrame:
    """Return the ground truth of clips, one row per frame: path, frame, intensity, target."""
    rows: list[tuple[str, int, float, bool]] = []
    for clip in clips:
        frames = range(clip.n_frames)
        rows += zip(
            [str(clip)] * clip.n_frames, frames, intensities(clip), target_frames(clip), strict=True
        )
    return pd.DataFrame(rows, columns=["path", "frame", "intensity", "target"])


# --- motion ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Motion:
    """The motion of a face: arrays with one row per frame; `units` has a column for each unit."""

    intensity: NDArray[np.float64]
    units: NDArray[np.float64]
    gaze: NDArray[np.float64]
    turn: NDArray[np.float64]


@lru_cache(maxsize=1024)
def _motion(clip: SyntheticClip) -> _Motion:
    rng = _random(clip, _MOTION)
    n = clip.n_frames
    strength = rng.uniform(0.8, 1.0) if PROTOTYPES[clip.emotion] else 0.0
    shape = _expression_curve(n, clip.brief, rng)
    units = np.zeros((n, len(ACTION_UNITS)))
    for unit, weight in PROTOTYPES[clip.emotion].items():
        amount = strength * weight * rng.uniform(0.8, 1.1)
        # Muscles do not start together, but up to a frame and a half earlier or later.
        delayed = np.interp(np.arange(n) - rng.uniform(-1.5, 1.5), np.arange(n), shape)
        units[:, ACTION_UNITS.index(unit)] = amount * delayed
    quiet = 1 - shape if strength else np.ones(n)
    units += quiet[:, None] * _incidental_units(n, rng)
    units[:, ACTION_UNITS.index(45)] = _blinks(n, rng)
    return _Motion(
        intensity=strength * shape,
        units=units.clip(0, 1),
        gaze=_gaze(n, rng),
        turn=np.stack([_slow_motion(n, 3.5, rng), _slow_motion(n, 2.5, rng)], 1),
    )


def _expression_curve(n: int, brief: bool, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the expression over time, 0 to 1: neutral, onset, apex, offset, neutral."""
    if brief:
        onset, apex, offset = rng.uniform(2, 4), n * rng.uniform(0.08, 0.18), rng.uniform(2, 5)
    else:
        onset, apex, offset = rng.uniform(3, 6), n * rng.uniform(0.3, 0.5), rng.uniform(4, 8)
    start = rng.uniform(2, n - 2 - onset - apex - offset)
    time = np.arange(n, dtype=np.float64) - start
    rising = _smoothstep(time / onset)
    falling = _smoothstep((time - onset - apex) / offset)
    return rising * (1 - falling) * (1 - 0.08 * np.sin(time / rng.uniform(2, 5)) ** 2)


def _incidental_units(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the units of a face that talks, raises its brows or presses its lips at times."""
    units = np.zeros((n, len(ACTION_UNITS)))
    time = np.arange(n)

    def add(unit: int, intensity: NDArray[np.float64]) -> None:
        units[:, ACTION_UNITS.index(unit)] += intensity

    talks = _smoothstep(2 * np.sin(time / rng.uniform(5, 10) + rng.uniform(0, 6.3)))
    talks *= rng.uniform() < 0.4
    syllables = np.sin(np.pi * time / rng.uniform(2.5, 4.5) + rng.uniform(0, 6.3)) ** 2
    add(25, 0.7 * talks * syllables)
    add(26, 0.28 * talks * syllables)
    add(18, 0.4 * talks * np.sin(time / rng.uniform(2.5, 5)) ** 2)
    for combination, strongest in (((1, 2), 0.5), ((4,), 0.4), ((23,), 0.6), ((12,), 0.4)):
        if rng.uniform() < 0.2:
            flash = np.exp(-(((time - rng.uniform(0, n)) / rng.uniform(2, 4)) ** 2))
            amount = rng.uniform(0.4, 1) * strongest
            for unit in combination:
                add(unit, amount * flash)
    return units


def _blinks(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how far the eyes are closed, 0 to 1: a blink of three frames about every 30."""
    closed = np.zeros(n)
    at = rng.uniform(0, 24)
    while at < n:
        closed = np.maximum(closed, 1 - np.abs(np.arange(n) - at) / 2.2)
        at += rng.uniform(16, 44)
    return closed.clip(0, 1)


def _gaze(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the direction of the eyes, right and down, (n, 2): four fixations with jumps."""
    jumps = np.sort(rng.integers(1, n, 3))
    fixations = np.clip(rng.normal(0, 0.35, (4, 2)), -0.9, 0.9)
    fixations[0] *= 0.3
    return fixations[np.searchsorted(jumps, np.arange(n), side="right")]


def _slow_motion(n: int, limit: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a slow motion around 0, within ± the limit, (n,)."""
    time = np.linspace(0, 1, n)
    rates, phases = rng.uniform(0.3, 1.2, (2, 1)), rng.uniform(0, 1, (2, 1))
    waves = np.sin(2 * np.pi * (rates * time + phases))
    return limit * rng.uniform(-0.5, 0.5, 2) @ waves


def _smoothstep(x: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip(x, 0, 1)
    return t * t * (3 - 2 * t)


# --- pictures -------------------------------------------------------------------------------------


def render(clip: SyntheticClip, indices: Sequence[int], size: int) -> NDArray[np.uint8]:
    """Draw some frames of a clip.

    A frame does not depend on the other frames drawn. Faces are aligned as `video/align.py` aligns
    real ones, apart from the slight motion of a hand-held camera.

    Args:
        clip: the clip.
        indices: T frame indices, each from 0 to `clip.n_frames - 1`, in any order.
        size: height and width in pixels, 16 or more.

    Returns:
        uint8 RGB (T, size, size, 3).

    Raises:
        InputError: the clip has no such frame, or the size is below 16.
    """
    if size < 16:
        raise InputError(f"a synthetic clip needs a size of 16 pixels or more, not {size}")
    for index in indices:
        if not 0 <= index < clip.n_frames:
            raise InputError(f"{clip} has frames 0 to {clip.n_frames - 1}, not {index}")
    motion = _motion(clip)
    scene = Scene(_random(clip, _SCENE))
    portrait = Portrait(_face(clip.seed, clip.identity), scene, size)
    camera = _Camera(clip)
    frames = np.empty((len(indices), size, size, 3), np.uint8)
    for frame, i in zip(frames, indices, strict=True):
        units = dict(zip(ACTION_UNITS, motion.units[i].tolist(), strict=True))
        canvas = portrait.paint(units, tuple(motion.gaze[i]), tuple(motion.turn[i]))
        frame[:] = camera.shoot(canvas, i, size)
    return frames


@lru_cache(maxsize=1024)
def _face(seed: int, identity: int) -> Face:
    return Face(np.random.default_rng([seed, identity, _IDENTITY]))


class _Camera:
    """The camera of a clip.

    Args:
        clip: the clip it films.

    Attributes:
        path: (n_frames, 4): shift x and y in grid units, angle in radians, log scale.
        blur: standard deviation in grid units.
        noise: standard deviation in gray levels of 0 to 255.
    """

    def __init__(self, clip: SyntheticClip) -> None:
        rng, n = _random(clip, _CAMERA), clip.n_frames
        limits = np.array([2.5, 2.5, 0.07, 0.04])
        center = rng.uniform(-0.7, 0.7, 4) * limits
        self._clip = clip
        self.path = center + np.stack([_slow_motion(n, limit, rng) for limit in limits], 1)
        self.blur = rng.uniform(0, 0.9)
        self.noise = rng.uniform(1, 5)

    def shoot(self, canvas: Picture, index: int, size: int) -> Picture:
        """Return one frame of the canvas as this camera sees it, (size, size, 3)."""
        x, y, angle, log_scale = self.path[index]
        side = OVERSAMPLING * size
        unit = side / GRID
        center = (MIDDLE + MARGIN) * unit
        turn = cv2.getRotationMatrix2D((center, center), np.degrees(angle), np.exp(log_scale))
        turn = turn + np.array([[0, 0, x - MARGIN], [0, 0, y - MARGIN]]) * unit
        seen = cv2.warpAffine(canvas, turn, (side, side), borderMode=cv2.BORDER_REFLECT)
        seen = cv2.resize(seen, (size, size), interpolation=cv2.INTER_AREA)
        if self.blur > 0.3:
            seen = cv2.GaussianBlur(seen, (0, 0), self.blur * size / GRID)
        grain = _random(self._clip, _NOISE, index).standard_normal(seen.shape, np.float32)
        noisy = seen + self.noise * grain
        return np.clip(noisy, 0, 255).astype(np.uint8)


def _random(clip: SyntheticClip, purpose: int, *more: int) -> np.random.Generator:
    emotion = EMOTIONS.index(clip.emotion)
    return np.random.default_rng([clip.seed, clip.identity, clip.clip, emotion, purpose, *more])
