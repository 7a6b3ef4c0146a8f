"""Find the cuts between the shots of a video.

Used in tracking: a face after a cut is another one, even at the same position.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from m3dfel.opencv import cv2

_Map = npt.NDArray[np.float32]

# Everything is measured on a small picture, on which noise and small motions do not count.
_SMALL = (64, 36)
_TINY = (16, 9)
_BINS = 4
# Gray levels: a picture with less contrast is blank, as in a fade or under a flash.
_BLANK = 3.0
# Below all three, a frame belongs to a new shot. Chosen on real videos: in cuts between two of
# them all three were lower, and in none of the disturbances that tests/video/test_cuts.py imitates.
_SAME_LAYOUT = 0.6
_SAME_DETAIL = 0.5
_SAME_COLORS = 0.75


class CutFinder:
    """Detects shot boundaries.

    In a cut, layout, detail and colors all change. A flash changes the colors, but not the
    detail; camera shake and fast motion change the layout, but not the colors. Blank frames are
    skipped, so the frame after them is compared with the one before.
    """

    def __init__(self) -> None:
        self._last: _Thumbnail | None = None

    def __call__(self, image: npt.NDArray[np.uint8]) -> bool:
        """Return whether this frame, uint8 RGB (H, W, 3), starts a new shot.

        Frames must come in the order they are shown. The first one starts none.
        """
        thumbnail = _Thumbnail(image)
        if thumbnail.blank:
            return False
        last, self._last = self._last, thumbnail
        return last is not None and not last.is_like(thumbnail)


class _Thumbnail:
    """A frame made small: arrays of mean 0 for layout and detail, and a color histogram."""

    def __init__(self, image: npt.NDArray[np.uint8]) -> None:
        small = cv2.resize(image, _SMALL, interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        tiny = cv2.resize(gray, _TINY, interpolation=cv2.INTER_AREA).astype(np.float32)
        detail = tiny - cv2.blur(tiny, (3, 3))
        colors = cv2.calcHist([small], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
        self.layout: _Map = tiny - tiny.mean()
        self.detail: _Map = detail - detail.mean()
        self.colors: _Map = colors / colors.sum()

    @property
    def blank(self) -> bool:
        return float(self.layout.std()) < _BLANK

    def is_like(self, other: _Thumbnail) -> bool:
        return (
            _correlation(self.layout, other.layout) > _SAME_LAYOUT
            or _correlation(self.detail, other.detail) > _SAME_DETAIL
            or float(np.minimum(self.colors, other.colors).sum()) > _SAME_COLORS
        )


def _correlation(one: _Map, other: _Map) -> float:
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / norm if norm else 0.0
