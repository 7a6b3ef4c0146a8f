"""How a packed store keeps frames.

Apart from `packing.py`, so that the command line's help need not load torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from m3dfel.config.ranges import JPEGQuality, NonNegativeInt, out_of_range
from m3dfel.errors import InputError


@dataclass(frozen=True)
class PackSettings:
    """How a store keeps the frames of clips; stills are always kept as they are.

    Attributes:
        size: shorter side of a frame in pixels; larger frames are reduced, smaller ones kept. 0
            keeps all sizes.
        quality: quality of the JPEG files, 1 to 100. Picture files that keep their size are copied.
        frames: at most this many frames per clip, evenly spaced; 0 keeps all.
    """

    size: NonNegativeInt = 128
    quality: JPEGQuality = 95
    frames: NonNegativeInt = 0

    def check(self) -> None:
        """Check every setting.

        Raises:
            InputError: naming the wrong setting, its value and what it must be.
        """
        problems = out_of_range(self)
        if 0 < self.size < 16:
            problems.append(f"size is {self.size} but must be 16 or more, or 0 to keep all sizes")
        if problems:
            raise InputError("; ".join(problems))
