"""Settings of recognition, in a module without torch: `--help` has to answer at once."""

from __future__ import annotations

from dataclasses import dataclass

from m3dfel.config.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, out_of_range
from m3dfel.errors import InputError
from m3dfel.video import DETECT_EVERY


@dataclass(frozen=True)
class RecognizerSettings:
    """How a `Recognizer` works.

    Attributes:
        device: torch device of the model, such as `cpu` or `cuda`; `auto` for CUDA if there is one,
            else MPS, else the CPU.
        clip_s: seconds per clip: longer clips are steadier, shorter ones locate changes better. At
            25 frames per second, 0.64 s are 16 frames.
        smooth_s: standard deviation in seconds of the Gaussian that averages the probabilities over
            time; it is symmetric, so changes appear without shift, and live answers lag four times
            as much behind. 0 for none.
        detect_every: detect faces in the full frame every N frames, and follow known faces in
            between; 1 searches every frame, which takes several times as long.

    Raises:
        InputError: a value is out of its range.
    """

    device: str = "auto"
    clip_s: PositiveFloat = 0.64
    smooth_s: NonNegativeFloat = 0.2
    detect_every: PositiveInt = DETECT_EVERY

    def __post_init__(self) -> None:
        for problem in out_of_range(self):
            raise InputError(problem)
