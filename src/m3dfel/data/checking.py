"""The check of a whole data set before a long training: every frame of every clip is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import torch

from m3dfel.data.manifest import Clip, Manifest, Problem, read_manifest
from m3dfel.data.reading import read_clip
from m3dfel.errors import InputError
from m3dfel.progress import progress
from m3dfel.video.decode import read_video


def check_data(path: str, fold: int = 1, labels: Sequence[str] = ()) -> Manifest:
    """Read every frame of every clip of a data set; in a store, this compares the checksums.

    Args:
        path: as in `read_manifest`.
        fold: the official fold, for data sets with folds.
        labels: the label set, as for `read_manifest`.

    Returns:
        The manifest with the clips that can be read; the others are among its problems.

    Raises:
        InputError: there is no data set at the path, or no usable clip in it.
    """
    manifest = read_manifest(path, fold, labels)
    with ThreadPoolExecutor(os.cpu_count()) as readers:
        problems = readers.map(_problem, manifest.clips)
        total, rate = len(manifest.clips), "{:.0f} clips/s"
        reasons = list(progress(problems, "reading every clip", total, rate))
    checked = list(zip(manifest.clips, reasons, strict=True))
    readable = tuple(clip for clip, reason in checked if reason is None)
    broken = tuple(Problem(clip.path, reason) for clip, reason in checked if reason is not None)
    return replace(manifest, clips=readable, problems=manifest.problems + broken)


def _problem(clip: Clip) -> str | None:
    try:
        if clip.kind == "video":  # however long, one frame after the other
            for _ in read_video(clip.path):
                pass
        else:
            read_clip(clip, 0, 16, lambda available, *_: torch.arange(available))
    except InputError as error:
        return str(error)
    return None
