"""From a clip of the manifest to its frames in memory.

Every kind of clip (frame folder, video, still picture, synthetic clip) becomes one uint8 tensor
(T, 3, H, W) of the frames that a function from `sampling.py` chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from m3dfel.data.archives import read_bytes
from m3dfel.data.frames import Frames, not_a_picture
from m3dfel.data.manifest import Clip
from m3dfel.data.packed.store import open_store, split_address
from m3dfel.data.sampling import ChooseFrames
from m3dfel.opencv import cv2
from m3dfel.synthetic.clips import SyntheticClip, parse_synthetic, render
from m3dfel.video.decode import PICTURES_PER_S, read_chosen
from m3dfel.video.pictures import frame_files


def read_clip(
    clip: Clip,
    frames: int,
    size: int,
    choose: ChooseFrames,
    *,
    keep_all: bool = False,
) -> Tensor:
    """Read the frames of a clip that `choose` selects.

    Args:
        clip: any clip of a manifest.
        frames: T, the number of frames that `choose` is asked for; as many of a still.
        size: height and width in pixels at which a synthetic clip is drawn; other clips keep their
            own size.
        choose: returns the indices of the frames.
        keep_all: draw all frames of a synthetic clip and keep them in memory, for callers that
            read the clip again for other frames, as training does.

    Returns:
        uint8 (T, 3, H, W), or as many frames as `choose` returns.

    Raises:
        InputError: the clip cannot be read; the message names it.
    """
    if clip.kind == "still":
        return read_picture(clip.path).expand(frames, -1, -1, -1)
    if clip.kind == "synthetic":
        synthetic = parse_synthetic(clip.path)
        indices = choose(synthetic.n_frames, frames, PICTURES_PER_S)
        if keep_all:
            return _draw(synthetic, range(synthetic.n_frames), size)[indices]
        return _draw(synthetic, tuple(indices.tolist()), size)
    return read_frames(clip, frames, choose).decode()


def read_frames(clip: Clip, frames: int, choose: ChooseFrames) -> Frames:
    """Read the frames of a frame folder, a video or a clip of a store that `choose` selects.

    Args:
        clip: a clip whose kind is `frames` or `video`.
        frames: T, the number of frames that `choose` is asked for.
        choose: returns the indices of the frames. Folders of frames are taken as 25 per second.

    Raises:
        InputError: the clip cannot be read; the message names it.
    """
    store, name = split_address(clip.path)
    if store:
        files, fps = open_store(store).frames(name)
        indices = choose(len(files), frames, fps).tolist()
        names = [f"frame {index} of {clip.path}" for index in indices]
        contents = [np.frombuffer(files[index].as_buffer(), np.uint8) for index in indices]
        return Frames(clip.path, names, contents, indices)
    if clip.kind == "video":
        chosen, images = read_chosen(
            clip.path, lambda available, fps: choose(available, frames, fps).tolist()
        )
        names = [f"frame {index} of {clip.path}" for index in chosen]
        return Frames(clip.path, names, images, chosen)
    folder = Path(clip.path)
    changed = folder.stat().st_mtime_ns if folder.is_dir() else 0
    files = _frame_names(clip.path, changed).split("\0")
    indices = choose(len(files), frames, PICTURES_PER_S).tolist()
    names = [f"{clip.path}/{files[index]}" for index in indices]
    contents = [np.frombuffer(read_bytes(name), np.uint8) for name in names]
    return Frames(clip.path, names, contents, indices)


@lru_cache(maxsize=65536)
def _frame_names(folder: str, changed: int) -> str:
    # Training reads each folder once an epoch, and listing it takes a while. One string takes much
    # less memory than a list of paths; the time of the last change is only there for the cache.
    return "\0".join(file.name for file in frame_files(folder))


@lru_cache(maxsize=4096)
def _draw(clip: SyntheticClip, indices: Sequence[int], size: int) -> Tensor:
    # Cached because drawing a clip takes longer than a training step of a small model.
    return torch.from_numpy(render(clip, indices, size)).permute(0, 3, 1, 2)


def read_picture(path: str, grayscale: bool = False) -> Tensor:
    """Read a picture from a file, from `archive.zip!member` or from a store.

    Returns:
        uint8 RGB (3, H, W), or luminance (1, H, W).

    Raises:
        InputError: the file is missing, empty or not a picture.
    """
    data = picture_bytes(path)
    flag = cv2.IMREAD_GRAYSCALE if grayscale else cv2.IMREAD_COLOR
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    if pixels is None:
        raise not_a_picture(path)
    if grayscale:
        return torch.from_numpy(pixels)[None]
    return torch.from_numpy(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)).permute(2, 0, 1)


def picture_bytes(path: str) -> bytes:
    """Return the content of a picture file, of an archive's member or of a still in a store.

    Raises:
        InputError: it is missing or cannot be read.
    """
    store, name = split_address(path)
    return open_store(store).frames(name)[0][0].as_py() if store else read_bytes(path)
