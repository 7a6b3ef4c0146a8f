"""The packed store: all clips of a data set in one memory-mapped file, with an index.

A store is a folder of three files. `frames.bin` holds one record per clip: the borders of its
frames (little-endian uint64, one more than there are frames), then the frames: picture files.
`clips.parquet` has one row per clip: label, votes (if any), splits, frame rate, and where the
record lies. `store.json` describes the data set and holds the sizes of the other two and the
checksum of the index; it is written last, so that a folder without it is not a complete store.
`packing.py` writes stores.

A clip in a store is named by `STORE/frames.bin!CLIP`, as files in zip archives are.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import TypeAdapter

from m3dfel.data.packed.settings import PackSettings
from m3dfel.errors import InputError

FORMAT = 3
FRAMES, CLIPS, INFO, JOURNAL = "frames.bin", "clips.parquet", "store.json", "packing.jsonl"

_MARK = f"/{FRAMES}!"

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class StoreInfo:
    """The content of `store.json`.

    Attributes:
        version: the format of the store.
        dataset: the name of the data set.
        folds: how many official folds it has.
        packed_folds: those that are in the store.
        labels: the emotions that the data set's words may mean.
        settings: how frames are kept.
        listing: a checksum of the names, labels and splits of all clips.
        bytes: the size of each of the other files.
        sha256: the checksum of the index.
    """

    version: int
    dataset: str
    folds: int
    packed_folds: list[int]
    labels: list[str]
    settings: PackSettings
    listing: str
    bytes: dict[str, int]
    sha256: str


class Store:
    """A complete store, open for reading.

    Args:
        folder: the folder of the store.

    Attributes:
        info: the content of `store.json`.
        table: the rows of `clips.parquet`.

    Raises:
        InputError: the store is incomplete, damaged or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.info = _read_info(folder)
        self.table = _read_table(folder, self.info)
        self._rows = {name: row for row, name in enumerate(self.table["name"])}
        self._kinds = self.table["kind"].tolist()
        self._rates = self.table["fps"].tolist()
        self._spans = self.table[["offset", "length", "frames"]].to_numpy()
        self._checksums = self.table["sha256"].tolist()
        self._verified = bytearray(len(self.table))
        # Only the pages that are read come into memory, and processes share them.
        self._data = np.memmap(folder / FRAMES, np.uint8, "r")

    def kind(self, name: str) -> Literal["frames", "still"]:
        """Return the kind of a clip: `frames` (also for packed videos) or `still`.

        Raises:
            InputError: there is no such clip.
        """
        return self._kinds[self._row(name)]  # type: ignore[no-any-return]

    def frame_count(self, name: str) -> int:
        """Return the number of frames of a clip."""
        return int(self._spans[self._row(name)][2])

    def frame_rate(self, name: str) -> float:
        """Return the frames per second of a clip."""
        return self._rates[self._row(name)]  # type: ignore[no-any-return]

    def frames(self, name: str, indices: list[int]) -> list[Bytes]:
        """Return frames of a clip, as views of the memory-mapped file.

        The clip is verified when it is first read.

        Returns:
            For each index the bytes (L,) of a picture file.

        Raises:
            InputError: there is no such clip, or it does not match its checksum.
        """
        row = self._row(name)
        if not self._verified[row]:
            self.verify(name)
            self._verified[row] = True
        record = self.record(name)
        borders = record[: 8 * (self.frame_count(name) + 1)].view("<u8").tolist()
        return [record[borders[index] : borders[index + 1]] for index in indices]

    def record(self, name: str) -> Bytes:
        """Return the record of a clip."""
        offset, length = self._spans[self._row(name)][:2].tolist()
        return np.asarray(self._data[offset : offset + length])

    def verify(self, name: str) -> None:
        """Compare a clip's record with its checksum.

        Raises:
            InputError: they differ.
        """
        if digest(self.record(name).data) != self._checksums[self._row(name)]:
            raise InputError(
                f"{name} in {self.folder / FRAMES} does not match its checksum: the file is "
                "damaged; copy it again, or delete the store and pack it again"
            )

    def _row(self, name: str) -> int:
        try:
            return self._rows[name]
        except KeyError:
            raise InputError("not in the store") from None


def open_store(folder: str | Path) -> Store:
    """Return the store in a folder, opened again if its files have changed.

    Raises:
        InputError: the store is missing, incomplete, damaged or of another version.
    """
    files = [Path(folder, name) for name in (FRAMES, CLIPS, INFO)]
    if files[-1].exists():
        store, states = _OPEN.get(str(folder), (None, ()))
        if store is None or states != tuple(map(_state, files)):
            store = Store(Path(folder))
            _OPEN[str(folder)] = store, tuple(map(_state, files))
        return store
    if Path(folder, JOURNAL).exists():
        raise InputError(
            f"the store {folder} is not complete: run the same `m3dfel data pack` again to "
            "continue it"
        )
    raise InputError(f"there is no store at {folder}: check the path")


def opened_store(folder: str) -> Store:
    """Return a store whose clips have been listed, without looking at its files again.

    Raises:
        InputError: as `open_store`, if it is not open in this process.
    """
    known = _OPEN.get(folder)
    return known[0] if known else open_store(folder)


_OPEN: dict[str, tuple[Store, tuple[tuple[int, int], ...]]] = {}


def _state(file: Path) -> tuple[int, int]:
    """Return the size of a file and the time of its last change; zeros if it is missing."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def address(folder: Path, name: str) -> str:
    """Return the path by which manifests name a clip in a store."""
    return f"{folder.as_posix()}{_MARK}{name}"


def split_address(path: str) -> tuple[str, str]:
    """Split the path of a clip into the store's folder and the clip's name.

    Both are empty if the clip is not in a store.

    Example:
        >>> split_address("packed/frames.bin!Clip/00001")
        ('packed', 'Clip/00001')
        >>> split_address("Clip/00001")
        ('', '')
    """
    folder, mark, name = path.partition(_MARK)
    return (folder, name) if mark else ("", "")


def digest(data: bytes | memoryview) -> str:
    """Return the SHA-256 of some bytes in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


_INFO = TypeAdapter(StoreInfo)
_COLUMNS = {
    **dict.fromkeys(("name", "kind", "emotion", "identity", "sha256"), "O"),
    **dict.fromkeys(("offset", "length", "frames"), "i"),
    "fps": "f",
}
"""The columns of the index that every store has, and the kinds of their values."""


def _read_info(folder: Path) -> StoreInfo:
    file = folder / INFO
    try:
        text = file.read_text(encoding="utf-8")
        version = json.loads(text)["version"]
        if version != FORMAT:
            raise InputError(
                f"the store {folder} has the format {version}, but this version of m3dfel reads "
                f"the format {FORMAT}: pack it again"
            )
        return _INFO.validate_json(text)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(file) from error


def _damaged(file: Path) -> InputError:
    return InputError(f"{file} is damaged: copy it again, or delete the store and pack it again")


def _read_table(folder: Path, info: StoreInfo) -> pd.DataFrame:
    """Read the index, after checking that both files are those that were written."""
    for name in (FRAMES, CLIPS):
        actual, stated = _state(folder / name)[0], info.bytes.get(name)
        if actual != stated or not actual:
            raise InputError(
                f"{folder / name} has {actual} bytes but must have {stated}: it is "
                "cut off or was changed; copy it again, or delete the store and pack it again"
            )
    if digest((folder / CLIPS).read_bytes()) != info.sha256:
        raise InputError(
            f"{folder / CLIPS} does not match its checksum: copy it again, or delete the store and "
            "pack it again"
        )
    try:
        table = pd.read_parquet(folder / CLIPS)
        _check_table(table, info)
    except Exception as error:  # what a changed Parquet file raises depends on where it was changed
        raise _damaged(folder / CLIPS) from error
    return table


def _check_table(table: pd.DataFrame, info: StoreInfo) -> None:
    """Check what the reading of clips takes for granted.

    Raises:
        ValueError: a column is missing or of another type, or a number is out of range.
    """
    by_fold = dict[str, str]()
    for fold in info.packed_folds or [0]:
        by_fold |= {f"split_{fold}": "O", f"order_{fold}": "i"}
    for name, kind in (_COLUMNS | by_fold).items():
        column = table[name]
        if column.dtype.kind != kind or (
            kind == "O" and not all(isinstance(cell, str) for cell in column)
        ):
            raise ValueError(f"the column {name} is of another type")
    ends, borders = table["offset"] + table["length"], 8 * (table["frames"] + 1)
    in_range = (table["offset"] >= 0) & (ends <= info.bytes[FRAMES]) & (table["frames"] > 0)
    in_range &= (borders <= table["length"]) & table["kind"].isin(["frames", "still"])
    if not (in_range & (table["fps"] > 0)).all():
        raise ValueError("a number is out of range")
