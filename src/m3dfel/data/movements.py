"""Movements: how far each part of a face moves, as something to learn beside the emotion.

The coefficients are those of ARKit's blendshapes, from 0 to 1 (`jawOpen`, `mouthSmile`), as a face
landmarker estimates them. They lie in a table beside the CSV file of the clips: `clips.csv` has
`clips_movements.parquet`, with the columns `file`, `frame` (of a clip, from 0), one for each
coefficient, and optionally `presence`, the landmarker's logit that there is a face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from m3dfel.data.archives import split_member
from m3dfel.data.manifest import Clip
from m3dfel.errors import InputError, first_line

_SIDES = ("Left", "Right")
# A mirrored face moves to the other side, so both sides would have to be one movement.
_SIDEWAYS = {f"{part}{side}" for part in ("jaw", "mouth") for side in _SIDES}
_OTHER_COLUMNS = ("file", "frame", "presence")
_MIN_DEVIATION = 0.02  # what moves less is the noise of the landmarker


@dataclass(frozen=True)
class Movements:
    """The movements of the clips of several data sets.

    Attributes:
        names: of the K movements; left and right are one.
        deviations: the standard deviation of each over all frames, at least that of noise.
        files: of each data set, the coefficients of each file by its name in the CSV: float32
            (frames + 1, K), NaN where no face was found, and in the last row.
    """

    names: tuple[str, ...]
    deviations: tuple[float, ...]
    files: Sequence[dict[str, npt.NDArray[np.float32]]]

    def of(self, clip: Clip, indices: Sequence[int]) -> Tensor:
        """Return the movements in T frames of a clip: float32 (T, K), NaN where unknown.

        Args:
            clip: of one of the data sets.
            indices: of the frames.
        """
        frames = _find(self.files[clip.dataset], clip.path)
        if frames is None:
            return torch.full((len(indices), len(self.names)), torch.nan)
        return torch.from_numpy(frames[np.minimum(indices, len(frames) - 1)])


def movements_file(clips: Path) -> Path:
    """Return where the movements of the clips in a CSV file are."""
    return clips.with_name(f"{clips.stem}_movements.parquet")


def read_movements(paths: Sequence[str], names: Sequence[str] | None = None) -> Movements:
    """Read the movements of data sets; those without a table have none.

    Args:
        paths: of the data sets.
        names: of the movements to read, in this order; not given, all that occur.

    Raises:
        InputError: none has one, one cannot be read, they have different movements, or one of
            `names` is in none.
    """
    places = [movements_file(Path(path).expanduser()) for path in paths]
    tables = {place: _read(place) for place in places if place.is_file()}
    if not tables:
        raise InputError(
            f"there are no movements of {', '.join(paths)}, expected {places[0]}: make them with "
            "`m3dfel data movements`, or set loss.movements to 0"
        )
    columns = list(next(iter(tables.values())).columns)
    if any(list(table.columns) != columns for table in tables.values()):
        raise InputError(f"the movements of {', '.join(paths)} have different columns")
    if unknown := [name for name in names or () if name not in columns]:
        raise InputError(
            f"the model estimates {', '.join(unknown)}, but the movements of {', '.join(paths)} do "
            "not have it: name the movements to learn in model.movements"
        )
    deviations = pd.concat(tables.values()).astype(float).std(ddof=0)
    names = names or [str(name) for name in columns if deviations[name] >= _MIN_DEVIATION]
    deviations = deviations[list(names)].clip(lower=_MIN_DEVIATION)
    files = [_by_file(tables[place][list(names)]) if place in tables else {} for place in places]
    return Movements(tuple(names), tuple(deviations), files)


def _read(file: Path) -> pd.DataFrame:
    """Return a table with the movements as columns and (file, frame) as index."""
    try:
        table = pd.read_parquet(file)
        if "presence" in table:
            table.loc[table["presence"] <= 0, _coefficients(table)] = np.nan
        index = [table["file"], table.get("frame", pd.Series(0, table.index))]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot read the movements in {file}: {first_line(error)}") from error
    sides: dict[str, list[str]] = {}
    for name in _coefficients(table):
        if name not in _SIDEWAYS:
            sides.setdefault(name.removesuffix("Left").removesuffix("Right"), []).append(name)
    joined = pd.DataFrame({name: table[columns].mean(axis=1) for name, columns in sides.items()})
    return joined.set_axis(pd.MultiIndex.from_arrays(index)).astype(np.float32)


def _coefficients(table: pd.DataFrame) -> list[str]:
    return sorted(name for name in table.columns if name not in _OTHER_COLUMNS)


def _by_file(table: pd.DataFrame) -> dict[str, npt.NDArray[np.float32]]:
    """Return the frames of each file, in order, and one more; those without a row are NaN."""
    values, frames = table.to_numpy(), table.index.get_level_values(1).to_numpy()
    files: dict[str, npt.NDArray[np.float32]] = {}
    for name, rows in table.groupby(level=0, sort=False).indices.items():
        own = np.full((frames[rows].max() + 2, values.shape[1]), np.nan, np.float32)
        own[frames[rows]] = values[rows]
        files[str(name)] = own
    return files


def _find(files: dict[str, npt.NDArray[np.float32]], path: str) -> npt.NDArray[np.float32] | None:
    """Return the frames of the file that a path ends with."""
    archive, member = split_member(path)
    parts = Path(member or archive).parts
    names = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((files[name] for name in names if name in files), None)
