"""Estimate the movements of labeled faces with MediaPipe's face landmarker, to learn them too.

The landmarker is a file that users bring (`face_landmarker_v2_with_blendshapes.task`, from
MediaPipe). Its estimates are what `movements` reads; they are no coding of muscles by people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from m3dfel.data.archives import split_member
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.movements import movements_file
from m3dfel.data.reading import read_clip
from m3dfel.errors import InputError, first_line, needs_extra
from m3dfel.files import atomic_write
from m3dfel.opencv import cv2
from m3dfel.progress import progress

Estimate: TypeAlias = Callable[[npt.NDArray[np.uint8]], dict[str, float]]
"""Returns the coefficients of the face in a picture, uint8 RGB (H, W, 3); empty without a face."""

# The landmarker looks for faces in their surroundings, which aligned crops hardly have.
_BORDER = 0.125
_SIDE = 256


def estimate_movements(table: str, landmarker: str) -> tuple[Path, int, int]:
    """Write what moves in the clips of a CSV file into a table beside it.

    Clips that are in the table already are not estimated again.

    Args:
        table: a CSV file of clips, such as `m3dfel data crop` writes.
        landmarker: the landmarker's file.

    Returns:
        The table, the number of frames with a face, and the number of frames without.

    Raises:
        InputError: MediaPipe is not installed, or a file cannot be read or written.
    """
    manifest = read_manifest(table)
    path = movements_file(Path(table).expanduser())
    rows: list[Any] = pd.read_parquet(path).to_dict("records") if path.is_file() else []
    done = {row["file"] for row in rows}
    clips = {_name(clip, path.parent): clip for clip in manifest.clips}
    left = [(name, clip) for name, clip in clips.items() if name not in done]
    seen = without = 0
    with open_landmarker(landmarker) as estimate:
        try:
            for name, clip in progress(left, "estimating movements", len(left), "{:.1f} clips/s"):
                found = [*_clip_rows(name, clip, estimate)]
                rows += found
                without += sum(len(row) == 2 for row in found)
                seen += len(found)
        finally:  # also at an interruption: nothing is estimated twice
            with atomic_write(path) as temporary:
                pd.DataFrame(rows).to_parquet(temporary, index=False)
    return path, seen - without, without


def _clip_rows(name: str, clip: Clip, estimate: Estimate) -> Iterator[dict[str, Any]]:
    """Yield what moves in each frame of a clip; only its name and number without a face."""
    frames = read_clip(clip, 1, _SIDE, lambda available, _frames, _fps: torch.arange(available))
    for number, frame in enumerate(frames.permute(0, 2, 3, 1).numpy()):
        yield {"file": name, "frame": number, **estimate(_with_border(frame))}


def _with_border(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    border = round(_BORDER * crop.shape[0])
    wide = cv2.copyMakeBorder(crop, *(border,) * 4, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(wide, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def _name(clip: Clip, folder: Path) -> str:
    """Return the name of a clip relative to its archive or to a folder."""
    archive, member = split_member(clip.path)
    path = Path(archive)
    if member:
        return member
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


@contextmanager
def open_landmarker(file: str) -> Iterator[Estimate]:
    """Open a landmarker of MediaPipe.

    Args:
        file: a `.task` file with blendshapes.

    Raises:
        InputError: MediaPipe is not installed, or the file is no landmarker.
    """
    with needs_extra("movements", "movements are estimated by MediaPipe"):
        import mediapipe
        from mediapipe.tasks.python import vision
        from mediapipe.tasks.python.core.base_options import BaseOptions
    try:
        content = Path(file).expanduser().read_bytes()
        options = vision.FaceLandmarkerOptions(
            BaseOptions(model_asset_buffer=content), output_face_blendshapes=True
        )
        landmarker = vision.FaceLandmarker.create_from_options(options)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{file} cannot be opened as a face landmarker ({first_line(error)}): give "
            "face_landmarker_v2_with_blendshapes.task of MediaPipe"
        ) from error

    def estimate(picture: npt.NDArray[np.uint8]) -> dict[str, float]:
        image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(picture))
        faces = landmarker.detect(image).face_blendshapes
        coefficients = faces[0] if faces else []
        return {c.category_name: c.score for c in coefficients if c.category_name != "_neutral"}

    with landmarker:
        yield estimate
