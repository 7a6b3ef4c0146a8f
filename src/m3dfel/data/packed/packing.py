"""Packing: write all clips of a data set into a store (`store.py`), for training at speed.

Clips are read in several threads and written in the order of the manifest. A journal has one line
per clip written, so that a process killed at any moment continues where it stopped and the store
ends with the same bytes.
"""

from __future__ import annotations

import io
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import pandas as pd
import torch

from m3dfel.data.frames import Frames, Picture, read_frames
from m3dfel.data.layouts import VOTES
from m3dfel.data.manifest import Clip, Manifest, Problem, read_manifest
from m3dfel.data.packed.settings import PackSettings
from m3dfel.data.packed.store import (
    CLIPS,
    FORMAT,
    FRAMES,
    INFO,
    JOURNAL,
    digest,
    open_store,
    split_address,
)
from m3dfel.data.reading import picture_bytes, read_picture
from m3dfel.data.sampling import centered_indices
from m3dfel.errors import InputError
from m3dfel.files import LOCK, atomic_write, only_process, write_text
from m3dfel.opencv import cv2
from m3dfel.progress import progress_bar
from m3dfel.video.decode import PICTURES_PER_S

T = TypeVar("T")
R = TypeVar("R")


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
    names = _names(clips, Path(data).expanduser())
    table = _splits_table(manifests, clips, names)
    first = next(iter(manifests.values()))
    problems = tuple(dict.fromkeys(p for m in manifests.values() for p in m.problems))
    info = {
        "version": FORMAT,
        "dataset": first.dataset,
        "folds": first.folds,
        "packed_folds": list(manifests) if first.folds else [],
        "labels": list(first.labels),
        "settings": asdict(settings),
        "listing": digest(table.to_csv(index=False).encode()),
    }
    folder = Path(store).expanduser()
    with only_process(folder, "packing"):
        if (folder / INFO).exists():
            _require_same(asdict(open_store(folder).info), info, folder)
        else:
            rows, unreadable = _write_records(folder, info, clips, names, settings)
            problems += unreadable
            if not rows:
                raise InputError(f"no clip of {data} can be read: run `m3dfel data check {data}`")
            _write_index(folder, info, table.merge(pd.DataFrame(rows), on="name"))
        (folder / JOURNAL).unlink(missing_ok=True)
    packed = open_store(folder).table
    size = sum((folder / name).stat().st_size for name in (FRAMES, CLIPS, INFO))
    return Packed(len(packed), int(packed["frames"].sum()), size, problems)


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


def _splits_table(
    manifests: dict[int, Manifest], clips: Sequence[Clip], names: Sequence[str]
) -> pd.DataFrame:
    """Return a row per clip: its label, its votes, and for each fold its split and order there."""
    table = pd.DataFrame(
        {
            "name": names,
            "kind": ["still" if clip.kind == "still" else "frames" for clip in clips],
            "emotion": [clip.emotion for clip in clips],
            "identity": [clip.identity for clip in clips],
        }
    )
    voted = dict.fromkeys(emotion for clip in clips for emotion, _ in clip.votes)
    for emotion in voted:
        table[f"{VOTES}{emotion}"] = [dict(clip.votes).get(emotion, 0.0) for clip in clips]
    for fold, manifest in manifests.items():
        order = {clip.path: index for index, clip in enumerate(manifest.clips)}
        splits = {clip.path: clip.split for clip in manifest.clips}
        table[f"split_{fold}"] = [splits.get(clip.path, "") for clip in clips]
        table[f"order_{fold}"] = [order.get(clip.path, -1) for clip in clips]
    return table


# --- writing -------------------------------------------------------------------------------------


def _write_records(
    folder: Path,
    info: dict[str, Any],
    clips: Sequence[Clip],
    names: Sequence[str],
    settings: PackSettings,
) -> tuple[list[dict[str, Any]], tuple[Problem, ...]]:
    """Write the missing records; return the journal's rows, and the clips that cannot be read."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lines = _resume(folder, info)
        done, total = len(lines), len(clips)
        with (
            (folder / FRAMES).open("ab") as data,
            (folder / JOURNAL).open("ab") as journal,
            ThreadPoolExecutor(os.cpu_count()) as readers,
            progress_bar("packing", total, "{:.0f} clips/s", done) as advance,
        ):
            records = _in_order(readers, lambda clip: _record(clip, settings), clips[done:])
            for name, (record, facts) in zip(names[done:], records, strict=True):
                line = {"name": name, **facts}
                if record:
                    span = {"offset": data.tell(), "length": len(record)}
                    line |= {**span, "sha256": digest(record)}
                    data.write(record)
                    data.flush()
                _append(journal, line)
                lines.append(line)
                advance()
            os.fsync(data.fileno())
    except OSError as error:
        raise InputError(
            f"cannot write the store {folder} ({error.strerror or error}): make room, or choose "
            "another path"
        ) from error
    return (
        [line for line in lines if "problem" not in line],
        tuple(Problem(line["path"], line["problem"]) for line in lines if "problem" in line),
    )


def _resume(folder: Path, info: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the journal's lines whose records are complete, and cut both files after them."""
    journal, data = folder / JOURNAL, folder / FRAMES
    whole = journal.read_bytes().rpartition(b"\n")[0].splitlines() if journal.exists() else []
    if not whole:
        others = [item.name for item in folder.iterdir() if item.name not in (JOURNAL, LOCK)]
        if others:
            raise InputError(
                f"{folder} already holds other files ({others[0]}): choose another folder"
            )
        with journal.open("wb") as opened:
            _append(opened, info)
        return []
    _require_same(json.loads(whole[0]), info, folder)
    lines: list[dict[str, Any]] = []
    end = 0
    if data.exists():
        with data.open("r+b") as opened:
            for line in map(json.loads, whole[1:]):
                # After a power failure, the journal may be ahead of the records.
                if "problem" not in line:
                    if digest(opened.read(line["length"])) != line["sha256"]:
                        break
                    end += line["length"]
                lines.append(line)
            opened.truncate(end)
    with atomic_write(journal) as temporary, temporary.open("wb") as opened:
        for line in (info, *lines):
            _append(opened, line)
    return lines


def _append(journal: BinaryIO, line: dict[str, Any]) -> None:
    journal.write(json.dumps(line).encode() + b"\n")
    journal.flush()


def _require_same(packed: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    """Check that a store, complete or not, is the one that is asked for."""
    for name in wanted:
        if packed.get(name) != wanted[name]:
            was, now = packed.get(name), wanted[name]
            what = "other clips" if name == "listing" else f"{name} {was}, not {now}"
            raise InputError(
                f"{folder} holds a store with {what}: give the same data and settings as before, "
                "delete it, or choose another folder"
            )


def _write_index(folder: Path, info: dict[str, Any], table: pd.DataFrame) -> None:
    """Write `clips.parquet`, then `store.json`, which completes the store."""
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    with atomic_write(folder / CLIPS) as temporary:
        temporary.write_bytes(content.getvalue())
    sizes = {name: (folder / name).stat().st_size for name in (FRAMES, CLIPS)}
    info = info | {"bytes": sizes, "sha256": digest(content.getvalue())}
    write_text(folder / INFO, json.dumps(info, indent=2) + "\n")


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], ahead: int = 32
) -> Iterator[R]:
    """Yield the results of `work` in order, with few of them in memory."""
    waiting: deque[Future[R]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


# --- records -------------------------------------------------------------------------------------


def _record(clip: Clip, settings: PackSettings) -> tuple[bytes, dict[str, Any]]:
    """Return the record of a clip and its facts, or no record and the problem."""
    try:
        if clip.kind == "still":
            read_picture(clip.path)  # if it can be read
            contents, fps = [np.frombuffer(picture_bytes(clip.path), np.uint8)], PICTURES_PER_S
        else:
            frames, fps = _all_frames(clip, settings.frames)
            contents = _contents(frames, settings)
    except InputError as error:
        return b"", {"path": clip.path, "problem": str(error)}
    borders = np.cumsum([8 * (len(contents) + 1), *(content.size for content in contents)])
    record = borders.astype("<u8").tobytes() + b"".join(map(bytes, contents))
    return record, {"frames": len(contents), "fps": round(fps, 3)}


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


def _contents(frames: Frames, settings: PackSettings) -> list[Picture]:
    """Return the frames as the store keeps them: as picture files."""
    # Larger frames are reduced.
    factor = min(settings.size / min(frames.size), 1.0) if settings.size else 1.0
    height, width = (max(round(side * factor), 1) for side in frames.size)
    contents = []
    for index in range(len(frames.contents)):
        picture = frames.picture(index)
        keeps_size = picture.shape[:2] == (height, width)
        if frames.encoded and keeps_size:
            contents.append(frames.contents[index])
            continue
        if not keeps_size:
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, settings.quality]
        contents.append(cv2.imencode(".jpg", picture, quality)[1])
    return contents
