"""MAFW (Liu et al., ACM MM 2022), eleven emotions, in the layout its users share.

Frames are in `data/frames/<5 digits>/`; labels are in
`Train & Test Set/single/no_caption/set_<fold>/{train,test}.txt`, in some copies below `split/`,
lines `00001.mp4 anger`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, Entry, Layout, label_lines
from m3dfel.errors import InputError


@LAYOUTS.register("MAFW")
class MAFW(Layout):
    """The five folds of MAFW's single-labeled clips."""

    folds = 5
    labels = (
        "anger",
        "disgust",
        "fear",
        "happiness",
        "neutral",
        "sadness",
        "surprise",
        "contempt",
        "anxiety",
        "helplessness",
        "disappointment",
    )
    expects = "a folder with `Train & Test Set/single/` or split/single/"

    @staticmethod
    def recognizes(path: Path) -> bool:
        return _label_folder(path) is not None

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        folder = _label_folder(path)
        assert folder, "the layout recognized the path"
        for split in ("train", "test"):
            labels = folder / f"set_{fold}" / f"{split}.txt"
            for number, line in label_lines(labels):
                video, _, word = line.strip().partition(" ")
                if not word:
                    raise InputError(
                        f"{labels} line {number} is {line!r}, expected `00001.mp4 anger`"
                    )
                yield Entry(str(path / "data" / "frames" / Path(video).stem), word, split)


def _label_folder(path: Path) -> Path | None:
    candidates = (path / top / "single" / "no_caption" for top in ("Train & Test Set", "split"))
    return next((folder for folder in candidates if folder.is_dir()), None)
