"""Packing: write all clips of a data set into a store (`store.py`), for training at speed.

Clips are read in several threads and written in the order of the manifest, some at a time, so that
a process killed at any moment continues where it stopped and the store ends with the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import torch

from m3dfel.data.frames import Frames
from m3dfel.data.manifest import Clip, Manifest, Problem, read_manifest
from m3dfel.data.packed.settings import PackSettings
from m3dfel.data.packed.store import (
    CLIPS,
    FORMAT,
    StoreInfo,
    checksum,
    is_intact,
    listing_checksum,
    open_store,
    read_batches,
    split_address,
)
from m3dfel.data.reading import picture_bytes, read_frames, read_picture
from m3dfel.data.sampling import centered_indices
from m3dfel.errors import InputError
from m3dfel.files import LOCK, atomic_write, only_process
from m3dfel.opencv import cv2
from m3dfel.progress import progress_bar
from m3dfel.video.decode import PICTURES_PER_S

Row: TypeAlias = dict[str, Any]
"""What the store holds of a clip, by `store.COLUMNS`."""

_BATCH = 32  # clips that are written at a time, and may be lost by a kill


@dataclass(frozen=True)
class Packed:
    """What was packed.

    Attributes:
        clips: the number of clips in the store.
        frames: the number of their frames.
        size: the size of the store in bytes.
        problems: the clips that were left out.
    """

    clips: int
    frames: int
    size: int
    problems: tuple[Problem, ...]


def pack(
    data: str,
    store: str,
    settings: PackSettings | None = None,
    folds: Sequence[int] = (),
    labels: Sequence[str] = (),
) -> Packed:
    """Pack a data set into a store, or continue where an earlier call was interrupted.

    Args:
        data: a data set or manifest, as for `read_manifest`.
        store: the folder to write.
        settings: how frames are kept; the defaults if None.
        folds: the official folds whose splits the store has; all if empty. Every clip is stored
            once, whatever the number of folds.
        labels: the label set, as for `read_manifest`.

    Raises:
        InputError: the data cannot be used, the folder holds another store, or another process is
            packing into it.
    """
    settings = settings or PackSettings()
    settings.check()
    manifests = _read_folds(data, folds, labels)
    clips = _all_clips(manifests)
    rows = _listing(manifests, clips, Path(data).expanduser())
    first = next(iter(manifests.values()))
    listed = dict.fromkeys(problem for m in manifests.values() for problem in m.problems)
    info = StoreInfo(
        version=FORMAT,
        dataset=first.dataset,
        folds=first.folds,
        packed_folds=tuple(manifests) if first.folds else (),
        labels=first.labels,
        settings=settings,
        clips=len(rows),
        listing=listing_checksum(rows),
    )
    folder = Path(store).expanduser()
    with only_process(folder, "packing"):
        _write(folder, info, clips, rows)
    reasons = [row["problem"] for row in open_store(folder).rows()]
    pairs = zip(clips, reasons, strict=True)
    unreadable = [Problem(clip.path, reason) for clip, reason in pairs if reason]
    if len(unreadable) == len(clips):
        raise InputError(f"no clip of {data} can be read: run `m3dfel data check {data}`")
    _, batches, borders = read_batches(folder / CLIPS)
    return Packed(
        clips=len(clips) - len(unreadable),
        frames=sum(len(batch["frames"].flatten()) for batch in batches),
        size=borders[-1],
        problems=(*listed, *unreadable),
    )


# --- the listing of clips ------------------------------------------------------------------------


def _read_folds(data: str, folds: Sequence[int], labels: Sequence[str]) -> dict[int, Manifest]:
    """Return the manifest of each fold; without official folds, that of 0."""
    first = read_manifest(data, folds[0] if folds else 1, labels)
    if any(clip.kind == "synthetic" for clip in first.clips):
        raise InputError(f"{data} is drawn when it is needed: there is nothing to pack")
    if not first.folds:
        return {0: first}
    wanted = folds or range(1, first.folds + 1)
    try:
        return {fold: read_manifest(data, fold, labels) for fold in wanted}
    except InputError as error:
        if folds:
            raise
        raise InputError(f"{error}; to pack only the folds you have, name them: --fold 1") from None


def _all_clips(manifests: dict[int, Manifest]) -> list[Clip]:
    """Return every clip once, in the order in which the folds list them.

    Raises:
        InputError: the folds do not agree on a clip's label or identity.
    """
    clips: dict[str, Clip] = {}
    for manifest in manifests.values():
        for clip in manifest.clips:
            first = clips.setdefault(clip.path, clip)
            if (first.emotion, first.identity) != (clip.emotion, clip.identity):
                raise InputError(
                    f"{clip.path} is {first.emotion} in one fold and {clip.emotion} in another: "
                    "correct the labels, or pack each fold into a store of its own with --fold"
                )
    return list(clips.values())


def _names(clips: Sequence[Clip], root: Path) -> list[str]:
    """Return the names of the clips in the store: their paths, relative to the data set's."""
    base = f"{root if root.is_dir() else root.parent}{os.sep}"
    paths = (split_address(clip.path)[1] or clip.path.removeprefix(base) for clip in clips)
    return [path.replace(os.sep, "/") for path in paths]


def _listing(manifests: dict[int, Manifest], clips: Sequence[Clip], root: Path) -> list[Row]:
    """Return what the store holds of each clip apart from its frames."""
    orders = [
        {clip.path: index for index, clip in enumerate(manifest.clips)}
        for manifest in manifests.values()
    ]
    splits = [{clip.path: clip.split for clip in m.clips} for m in manifests.values()]
    return [
        {
            "name": name,
            "kind": "still" if clip.kind == "still" else "frames",
            "emotion": clip.emotion,
            "identity": clip.identity,
            "votes": clip.votes,
            "splits": [of_fold.get(clip.path, "") for of_fold in splits],
            "orders": [of_fold.get(clip.path, -1) for of_fold in orders],
        }
        for clip, name in zip(clips, _names(clips, root), strict=True)
    ]


# --- writing -------------------------------------------------------------------------------------


def _write(folder: Path, info: StoreInfo, clips: Sequence[Clip], rows: Sequence[Row]) -> None:
    """Write the rows that are missing."""
    total = len(rows)
    try:
        done = _resume(folder, info)
        with (
            (folder / CLIPS).open("ab") as file,
            ThreadPoolExecutor(os.cpu_count()) as readers,
            progress_bar("packing", total, "{:.0f} clips/s", done) as advance,
        ):
            for start in range(done, total, _BATCH):
                part, batch = slice(start, start + _BATCH), list[Row]()
                for row in readers.map(partial(_row, info.settings), clips[part], rows[part]):
                    batch.append(row)
                    advance()
                file.write(pa.RecordBatch.from_pylist(batch, info.schema()).serialize())
                file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(
            f"cannot write the store {folder} ({error.strerror or error}): make room, or choose "
            "another path"
        ) from error


def _resume(folder: Path, info: StoreInfo) -> int:
    """Return how many rows are complete, and cut the file after them."""
    file = folder / CLIPS
    if not file.exists():
        others = [item.name for item in folder.iterdir() if item.name != LOCK]
        if others:
            raise InputError(
                f"{folder} already holds other files ({others[0]}): choose another folder"
            )
        with atomic_write(file) as temporary:
            temporary.write_bytes(info.schema().serialize())
        return 0
    packed, batches, borders = read_batches(file)
    _require_same(asdict(packed), asdict(info), folder)
    if sum(map(len, batches)) == info.clips:
        return info.clips
    # After a power failure, not all of a batch need be on the disk.
    intact = list(takewhile(_is_intact, batches))
    done, end = sum(map(len, intact)), borders[len(intact)]
    del batches, intact  # some systems cut no file that is mapped
    os.truncate(file, end)
    return done


def _is_intact(batch: pa.RecordBatch) -> bool:
    return all(is_intact(batch.slice(row, 1)) for row in range(len(batch)))


def _require_same(packed: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    """Check that a store, complete or not, is the one that is asked for."""
    for name in ("dataset", "folds", "packed_folds", "labels", "settings", "listing"):
        if packed[name] != wanted[name]:
            what = f"{name} {packed[name]}, not {wanted[name]}"
            raise InputError(
                f"{folder} holds a store with {'other clips' if name == 'listing' else what}: give "
                "the same data and settings as before, delete it, or choose another folder"
            )


# --- rows ----------------------------------------------------------------------------------------


def _row(settings: PackSettings, clip: Clip, listed: Row) -> Row:
    """Return what the store holds of a clip: its frames, or the problem."""
    frames, fps, problem = list[bytes](), 0.0, ""
    try:
        if clip.kind == "still":
            read_picture(clip.path)  # if it can be read
            frames, fps = [picture_bytes(clip.path)], PICTURES_PER_S
        else:
            read, fps = _all_frames(clip, settings.frames)
            frames = _contents(read, settings)
    except InputError as error:
        problem = str(error)
    row = listed | {"fps": round(fps, 3), "problem": problem, "frames": frames}
    return row | {"checksum": checksum(row)}


def _all_frames(clip: Clip, limit: int) -> tuple[Frames, float]:
    """Return all frames of a clip, or `limit` evenly spaced ones if there are more.

    Returns:
        The frames, and how many there are for each second of the clip.
    """
    rates: list[float] = []

    def choose(available: int, _: int, fps: float) -> torch.Tensor:
        kept = min(limit or available, available)
        rates.append(fps * kept / available)
        return centered_indices(available, kept)

    return read_frames(clip, 0, choose), rates[0]


def _contents(frames: Frames, settings: PackSettings) -> list[bytes]:
    """Return the frames as the store keeps them: as picture files."""
    # Larger frames are reduced.
    factor = min(settings.size / min(frames.size), 1.0) if settings.size else 1.0
    height, width = (max(round(side * factor), 1) for side in frames.size)
    contents = []
    for index in range(len(frames.contents)):
        picture = frames.picture(index)
        keeps_size = picture.shape[:2] == (height, width)
        if frames.encoded and keeps_size:
            contents.append(frames.contents[index].tobytes())
            continue
        if not keeps_size:
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, settings.quality]
        contents.append(cv2.imencode(".jpg", picture, quality)[1].tobytes())
    return contents
