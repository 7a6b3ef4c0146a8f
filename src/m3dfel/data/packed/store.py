"""The packed store: all clips of a data set in one memory-mapped file.

A store is a folder with `clips.arrow`, a stream of Apache Arrow with one row per clip: its label,
votes, splits and frame rate, its frames as picture files, and a checksum. The metadata of the
schema describe the data set and hold the number of clips: a store with fewer rows is not complete.
`packing.py` writes stores.

A clip in a store is named by `STORE/clips.arrow!CLIP`, as files in zip archives are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import pyarrow as pa
from pydantic import TypeAdapter

from m3dfel.data.packed.settings import PackSettings
from m3dfel.errors import InputError

FORMAT = 4
CLIPS = "clips.arrow"

LISTING: dict[str, pa.DataType] = {
    "name": pa.string(),
    "kind": pa.string(),
    "emotion": pa.string(),
    "identity": pa.string(),
    "votes": pa.map_(pa.string(), pa.float64()),
    "splits": pa.list_(pa.string()),  # in each packed fold
    "orders": pa.list_(pa.int64()),  # index in each packed fold; -1 if it is not in the fold
}
"""The columns that a data set lists, before any clip is read."""

COLUMNS = LISTING | {
    "fps": pa.float64(),
    "problem": pa.string(),  # why there are no frames
    "frames": pa.list_(pa.large_binary()),
    "checksum": pa.int64(),
}

_MARK = f"/{CLIPS}!"
_METADATA = b"m3dfel"


@dataclass(frozen=True)
class StoreInfo:
    """The description of a store.

    Attributes:
        version: the format of the store.
        dataset: the name of the data set.
        folds: how many official folds it has.
        packed_folds: those that are in the store.
        labels: the emotions that the data set's words may mean.
        settings: how frames are kept.
        clips: the number of rows, also of clips that cannot be read.
        listing: the checksum of the listing.
    """

    version: int
    dataset: str
    folds: int
    packed_folds: tuple[int, ...]
    labels: tuple[str, ...]
    settings: PackSettings
    clips: int
    listing: int

    def schema(self) -> pa.Schema:
        """Return the schema of the stream, which the file starts with."""
        fields = [pa.field(name, kind, nullable=False) for name, kind in COLUMNS.items()]
        return pa.schema(fields, {_METADATA: _INFO.dump_json(self)})


_INFO = TypeAdapter(StoreInfo)


class Store:
    """A complete store, open for reading.

    Args:
        folder: the folder of the store.

    Attributes:
        info: its description.

    Raises:
        InputError: the store is incomplete, damaged or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / CLIPS
        self.info, self._batches, _ = read_batches(self.file)
        if sum(map(len, self._batches)) < self.info.clips:
            raise InputError(
                f"the store {folder} is not complete: run the same `m3dfel data pack` again to "
                "continue it, or copy it again"
            )
        if listing_checksum(self.rows()) != self.info.listing:
            raise _damaged(self.file)
        self._places: dict[str, tuple[pa.RecordBatch, int]] = {
            name: (batch, row)
            for batch in self._batches
            for row, name in enumerate(batch["name"].to_pylist())
        }
        self._verified = set[str]()

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield what is known of each clip: the columns of `LISTING`, `fps` and `problem`."""
        for batch in self._batches:
            yield from batch.select([*LISTING, "fps", "problem"]).to_pylist()

    def kind(self, name: str) -> Literal["frames", "still"]:
        """Return the kind of a clip: `frames` (also for packed videos) or `still`.

        Raises:
            InputError: there is no such clip.
        """
        return self._row(name)["kind"][0].as_py()  # type: ignore[no-any-return]

    def frames(self, name: str) -> tuple[pa.LargeBinaryArray, float]:
        """Return the frames of a clip, and how many there are a second.

        The clip is verified when it is first read.

        Returns:
            The picture files, still in the memory-mapped file, and the frame rate.

        Raises:
            InputError: there is no such clip, or it does not match its checksum.
        """
        row = self._row(name)
        if name not in self._verified:
            if not is_intact(row):
                raise InputError(
                    f"{name} in {self.file} does not match its checksum: the file is damaged; copy "
                    "it again, or delete the store and pack it again"
                )
            self._verified.add(name)
        return row["frames"][0].values, row["fps"][0].as_py()

    def _row(self, name: str) -> pa.RecordBatch:
        try:
            batch, row = self._places[name]
        except KeyError:
            raise InputError("not in the store") from None
        return batch.slice(row, 1)


def read_batches(file: Path) -> tuple[StoreInfo, list[pa.RecordBatch], list[int]]:
    """Read what is whole of a store's file, whose writer may have been killed.

    Returns:
        The description, the batches of rows, and where in the file each of them starts, and the
        last one ends.

    Raises:
        InputError: the start of the file is damaged, or of another version.
    """
    try:
        # Only the pages that are read come into memory, and processes share them.
        source = pa.memory_map(str(file))
        stream = pa.ipc.open_stream(source)
        text = stream.schema.metadata[_METADATA]
        version = json.loads(text)["version"]
        if version == FORMAT:
            info: StoreInfo = _INFO.validate_json(text)
            if not stream.schema.equals(info.schema()):
                raise ValueError("other columns")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, pa.ArrowException) as error:
        raise _damaged(file) from error
    if version != FORMAT:
        raise InputError(
            f"the store {file.parent} has the format {version}, but this version of m3dfel reads "
            f"the format {FORMAT}: pack it again"
        )
    batches, borders = list[pa.RecordBatch](), [source.tell()]
    try:
        for batch in stream:
            batch.validate(full=True)
            batches.append(batch)
            borders.append(source.tell())
    except (OSError, ValueError, pa.ArrowException):  # cut off
        pass
    return info, batches, borders


def _damaged(file: Path) -> InputError:
    return InputError(f"{file} is damaged: copy it again, or delete the store and pack it again")


def open_store(folder: str | Path) -> Store:
    """Return the store in a folder, opened again if its file has changed.

    Raises:
        InputError: the store is missing, incomplete, damaged or of another version.
    """
    try:
        status = Path(folder, CLIPS).stat()
    except OSError:
        raise InputError(f"there is no store at {folder}: check the path") from None
    return _opened(str(folder), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _opened(folder: str, size: int, changed: int) -> Store:
    return Store(Path(folder))  # size and time are only there for the cache


def address(folder: Path, name: str) -> str:
    """Return the path by which manifests name a clip in a store."""
    return f"{folder.as_posix()}{_MARK}{name}"


def split_address(path: str) -> tuple[str, str]:
    """Split the path of a clip into the store's folder and the clip's name.

    Both are empty if the clip is not in a store.

    Example:
        >>> split_address("packed/clips.arrow!Clip/00001")
        ('packed', 'Clip/00001')
        >>> split_address("Clip/00001")
        ('', '')
    """
    folder, mark, name = path.partition(_MARK)
    return (folder, name) if mark else ("", "")


def listing_checksum(rows: Iterable[Mapping[str, Any]]) -> int:
    """Return the checksum of the columns of `LISTING`."""
    value = 0
    for row in rows:
        value = crc32(json.dumps([row[name] for name in LISTING]).encode(), value)
    return value


def checksum(row: Mapping[str, Any]) -> int:
    """Return the checksum of all that a row has beside the listing."""
    value = crc32(json.dumps([row["name"], row["fps"], row["problem"]]).encode())
    for frame in row["frames"]:
        value = crc32(frame, value)
    return value


def is_intact(row: pa.RecordBatch) -> bool:
    """Return whether a row has frames and matches its checksum."""
    (cells,) = row.to_pylist()
    return bool(cells["frames"] and checksum(cells) == cells["checksum"])
