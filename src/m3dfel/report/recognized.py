"""What reports need to know of a prediction, and the names of its columns.

`m3dfel.predictions.prediction.Prediction` fits. It is above this room, since it draws and saves
itself with what is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pandas as pd

BOX = ["x1", "y1", "x2", "y2"]
"""The columns with left, top, right and bottom of a face, in pixels."""


def per_label(kind: str, labels: Sequence[str]) -> list[str]:
    """Return the columns with a number for each label; `kind` is `p`, `raw` or `evidence`.

    Those with a number for each movement, of the kind `movement`, are named in the same way.
    """
    return [f"{kind}_{label}" for label in labels]


def table_columns(labels: Sequence[str], movements: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the columns of each table of a prediction; `spans.with_probabilities` adds more."""
    span = ["start_s", "end_s"]
    return {
        "clips": [
            *("track", "person", *span, "emotion", "confidence"),
            *(*per_label("p", labels), "mark", *per_label("raw", labels)),
            *per_label("movement", movements),
        ],
        "instances": ["track", "clip", "instance", *span, *per_label("evidence", labels)],
        "frames": ["track", "person", "frame", "time_s", *BOX, "score", "mark"],
    }


class Recognized(Protocol):
    """The faces of a video and what they express; see `Prediction`."""

    source: str
    labels: tuple[str, ...]
    clips: pd.DataFrame
    instances: pd.DataFrame
    frames: pd.DataFrame
    duration_s: float
    note: str
    settings: dict[str, Any]
    movements: tuple[str, ...]

    @property
    def stem(self) -> str:
        """The source's name without folder and suffix, which the output files share."""
        ...
