"""The chosen frames of a clip before they are decoded.

Their size is known from a header, so that training can choose its crop first and then decode no
more than the crop needs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from m3dfel.errors import InputError
from m3dfel.opencv import cv2

Picture: TypeAlias = npt.NDArray[Any]
"""Pixels, or the bytes of a picture file: uint8."""

_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_JPEG = b"\xff\xd8"  # how the files start
_ORIENTATION = 274  # the Exif tag; from 5 on, width and height are exchanged


@dataclass(frozen=True)
class Frames:
    """T frames of a clip, as pixels or as picture files in memory.

    Attributes:
        path: the clip.
        names: the names of the frames, for messages.
        contents: the frames, uint8: all RGB pixels (H, W, 3), or all the bytes (L,) of a picture
            file.
        indices: of the frames in the clip, from 0.
    """

    path: str
    names: Sequence[str]
    contents: Sequence[Picture]
    indices: Sequence[int] = ()

    @property
    def encoded(self) -> bool:
        """Whether the frames are picture files."""
        return self.contents[0].ndim == 1

    @property
    def reducible(self) -> bool:
        """Whether the frames are JPEG files, which are decoded faster at a reduced size."""
        return self.encoded and bytes(self.contents[0][:2]) == _JPEG

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the first frame, from its header.

        Raises:
            InputError: it is not a picture.
        """
        first = self.contents[0]
        if first.ndim == 3:
            return first.shape[:2]
        try:
            with Image.open(io.BytesIO(first.tobytes())) as header:
                width, height = header.size
                turned = header.getexif().get(_ORIENTATION, 1) >= 5
        except (OSError, UnidentifiedImageError) as error:
            raise not_a_picture(self.names[0]) from error
        return (width, height) if turned else (height, width)

    def picture(self, index: int, reduction: int = 1) -> Picture:
        """Return a frame in OpenCV's order of channels, BGR (H, W, 3).

        Args:
            index: which frame, from 0 to T - 1.
            reduction: 1, 2, 4 or 8: decode a picture file at 1/reduction of its size, which is
                faster. Only for picture files.

        Raises:
            InputError: the frame is not a picture, or its size is not that of the first.
        """
        content = self.contents[index]
        if content.ndim == 3:
            rgb = self._of_one_size(content)
            return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)  # type: ignore[no-any-return]
        pixels = cv2.imdecode(content, _REDUCED[reduction]) if content.size else None
        if pixels is None:
            raise not_a_picture(self.names[index])
        return self._of_one_size(pixels, reduction)

    def _of_one_size(self, pixels: Picture, reduction: int = 1) -> Picture:
        """Return the pixels of a frame, if their size is that of the first."""
        # Some formats round a reduced size up, some down.
        reduced = [side / reduction for side in self.size]
        if any(abs(a - b) >= 1 for a, b in zip(pixels.shape[:2], reduced, strict=True)):
            raise InputError(f"{self.path} has frames of different sizes: resize them to one size")
        return pixels

    def pictures(self, reduction: int = 1) -> Iterator[Picture]:
        """Yield all frames, as `picture` does."""
        return (self.picture(index, reduction) for index in range(len(self.contents)))

    def decode(self) -> Tensor:
        """Return all frames, uint8 RGB (T, 3, H, W).

        Raises:
            InputError: a frame is not a picture, or they differ in size.
        """
        pictures = [
            self._of_one_size(content)
            if content.ndim == 3
            else cv2.cvtColor(self.picture(index), cv2.COLOR_BGR2RGB)
            for index, content in enumerate(self.contents)
        ]
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def not_a_picture(name: str) -> InputError:
    """Return the error about a file that cannot be decoded."""
    return InputError(f"{name} is not a picture that can be read: replace or remove it")
