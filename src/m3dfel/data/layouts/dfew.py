"""DFEW (Jiang et al., ACM MM 2020), in the layout in which its authors distribute it.

Frames are in `Clip/clip_224x224/<5 digits>/`, in some copies with `clip_224x224` twice; labels are
in `EmoLabel_DataSplit/{train,test}(single-labeled)/set_<fold>.csv`, lines `order,label` with
labels from 1 to 7.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from m3dfel.data.layouts import Entry, Layout, label_lines
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.registry import LAYOUTS


@LAYOUTS.register("DFEW")
class DFEW(Layout):
    """The five folds of DFEW's single-labelled clips."""

    folds = 5
    expects = "a folder with EmoLabel_DataSplit/"

    @staticmethod
    def recognizes(path: Path) -> bool:
        return (path / "EmoLabel_DataSplit").is_dir()

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        clips = path / "Clip" / "clip_224x224"
        if (clips / "clip_224x224").is_dir():
            clips = clips / "clip_224x224"
        for split in ("train", "test"):
            labels = path / "EmoLabel_DataSplit" / f"{split}(single-labeled)" / f"set_{fold}.csv"
            for number, line in label_lines(labels, header=True):
                row = next(csv.reader([line]))
                if len(row) < 2:
                    raise InputError(f"{labels} line {number} is {line!r}, expected `order,label`")
                yield Entry(str(clips / row[0].strip().zfill(5)), _emotion(row[1]), split)


def _emotion(label: str) -> str:
    """Return the emotion of a number from 1 to 7; anything else stays as it is."""
    numbers = {str(number): emotion for number, emotion in enumerate(EMOTIONS, 1)}
    return numbers.get(label.strip(), label)
