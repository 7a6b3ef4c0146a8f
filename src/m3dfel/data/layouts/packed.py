"""Packed stores (`m3dfel data pack`): the clips of any other data set in one file.

A store keeps the name of the data set, its folds with their splits, the order of its clips and the
votes of their annotators, so that a run on the store and a run on the data set hold out and draw
the same clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, DataSet, Entry, Layout
from m3dfel.data.packed.store import CLIPS, address, open_store
from m3dfel.errors import InputError


@LAYOUTS.register("store")
class PackedStore(Layout):
    """The clips of a store, in one of the folds that were packed."""

    expects = f"a folder with {CLIPS}, written by `m3dfel data pack`"

    @staticmethod
    def recognizes(path: Path) -> bool:
        return (path / CLIPS).is_file()

    @classmethod
    def describe(cls, path: Path) -> DataSet:
        info = open_store(path).info
        return DataSet(info.dataset, info.folds, info.labels)

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        store = open_store(path)
        packed = store.info.packed_folds
        if packed and fold not in packed:
            raise InputError(
                f"the store {path} holds only fold {', '.join(map(str, packed))}, not fold {fold}: "
                "pack the data set again without --fold"
            )
        index = packed.index(fold) if packed else 0
        in_fold = (row for row in store.rows() if row["orders"][index] >= 0 and not row["problem"])
        for row in sorted(in_fold, key=lambda row: row["orders"][index]):
            clip, votes = address(path, row["name"]), dict(row["votes"])
            yield Entry(clip, row["emotion"], row["splits"][index], row["identity"], votes)
