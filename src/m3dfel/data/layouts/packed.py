"""Packed stores (`m3dfel data pack`): the clips of any other data set in one file.

A store keeps the name of the data set, its folds with their splits, the order of its clips and the
votes of their annotators, so that a run on the store and a run on the data set hold out and draw
the same clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, VOTES, DataSet, Entry, Layout, parse_votes
from m3dfel.data.packed.store import INFO, JOURNAL, address, open_store
from m3dfel.errors import InputError


@LAYOUTS.register("store")
class PackedStore(Layout):
    """The clips of a store, in one of the folds that were packed."""

    expects = f"a folder with {INFO}, written by `m3dfel data pack`"

    @staticmethod
    def recognizes(path: Path) -> bool:
        return (path / INFO).is_file() or (path / JOURNAL).is_file()

    @classmethod
    def describe(cls, path: Path) -> DataSet:
        info = open_store(path).info
        return DataSet(info.dataset, info.folds, tuple(info.labels))

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        store = open_store(path)
        packed = store.info.packed_folds
        if packed and fold not in packed:
            raise InputError(
                f"the store {path} holds only fold {', '.join(map(str, packed))}, not fold {fold}: "
                "pack the data set again without --fold"
            )
        split, order = (f"{name}_{fold if packed else 0}" for name in ("split", "order"))
        rows = store.table[store.table[order] >= 0].sort_values(order)
        names = [str(name) for name in rows.columns if str(name).startswith(VOTES)]
        for row in rows.to_dict("records"):
            votes = parse_votes({name.removeprefix(VOTES): row[name] for name in names})
            clip = address(path, row["name"])
            yield Entry(clip, row["emotion"], row[split], row["identity"], votes)
