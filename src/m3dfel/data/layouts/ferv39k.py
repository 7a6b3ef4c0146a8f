"""FERV39k (Wang et al., CVPR 2022), in the layout in which its authors distribute it.

Frames are in `2_ClipsforFaceCrop/<scene>/<emotion>/<4 digits>/`; labels are in
`4_setups/All_scenes/{train,test}_All.csv`, lines `<scene>/<emotion>/<4 digits> <emotion>`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, Entry, Layout, label_lines


@LAYOUTS.register("FERV39k")
class FERV39k(Layout):
    """The clips of all scenes of FERV39k."""

    expects = "a folder with 4_setups/"

    @staticmethod
    def recognizes(path: Path) -> bool:
        return (path / "4_setups").is_dir()

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        for split in ("train", "test"):
            labels = path / "4_setups" / "All_scenes" / f"{split}_All.csv"
            for _, line in label_lines(labels, header=True):
                clip, _, word = next(csv.reader([line]))[0].strip().rpartition(" ")
                yield Entry(str(path / "2_ClipsforFaceCrop" / clip), word, split)
