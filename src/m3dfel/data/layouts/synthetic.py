"""The synthetic data sets that ship with the package: drawn faces, nothing on disk.

`synthetic` has as many clips of every emotion; in `synthetic-brief` most frames do not show it; in
`synthetic-uneven` the emotions are as unevenly frequent in training as in DFEW. These names are
always taken as the synthetic sets; give the absolute path of a folder with such a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, Entry, Layout
from m3dfel.emotions import EMOTIONS
from m3dfel.synthetic.clips import synthetic_clips

SYNTHETIC_SPLITS = {"train": range(0, 80), "val": range(80, 100), "test": range(100, 160)}
"""The identities of each split."""

_NAMES = ("synthetic", "synthetic-brief", "synthetic-uneven")

# Training clips of each emotion in `synthetic-uneven`, in proportion to DFEW's fold 1; the most
# frequent emotion keeps all its 80.
_UNEVEN = dict(zip(EMOTIONS, (73, 57, 80, 65, 44, 4, 27), strict=True))


@LAYOUTS.register("synthetic")
class Synthetic(Layout):
    """One clip of each emotion and identity.

    The test split of `synthetic-uneven` stays even, so that the recall of rare classes can be
    measured.
    """

    expects = f"one of the names {', '.join(_NAMES)}"

    @staticmethod
    def recognizes(path: Path) -> bool:
        return str(path) in _NAMES

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        brief, uneven = str(path) == "synthetic-brief", str(path) == "synthetic-uneven"
        for split, identities in SYNTHETIC_SPLITS.items():
            for clip in synthetic_clips(0, identities, 1, EMOTIONS, brief=brief):
                surplus = clip.identity % 80 >= _UNEVEN[clip.emotion]
                if uneven and split != "test" and surplus:
                    continue
                yield Entry(str(clip), clip.emotion, split, f"drawn-{clip.identity}")
