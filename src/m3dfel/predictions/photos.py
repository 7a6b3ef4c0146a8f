"""What the faces in photos express, as one table.

A photo is a source of a single frame; the table has the predictions of many, one row a face.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from m3dfel.files import as_utf8
from m3dfel.predictions.prediction import Prediction
from m3dfel.report.recognized import BOX, per_label
from m3dfel.video.marks import NO_FACE


def photo_table(predictions: Iterable[Prediction]) -> pd.DataFrame:
    """Return one row for each face in each photo; a photo without a face is one row, too.

    Args:
        predictions: of photos, by the same model.

    Returns:
        A table with the columns:

        - `file`: the source.
        - `face`: its number in the photo, from 1; missing if there is no face.
        - `x1`, `y1`, `x2`, `y2`: its box in pixels.
        - `emotion`, `confidence`, `p_<emotion>`, `mark`: as in `Prediction.clips`; the mark is
          `no face` if there is none.

    Example:
        >>> import numpy as np
        >>> from m3dfel import Recognizer, photo_table
        >>> photos = [np.zeros((64, 64, 3), np.uint8)] * 2
        >>> table = photo_table(Recognizer()(photos))
        >>> table[["file", "mark"]].values.tolist()
        [['frames', 'no face'], ['frames', 'no face']]
    """
    photos = list(predictions)
    labels = photos[0].labels if photos else ()
    answer = ["emotion", "confidence", *per_label("p", labels), "mark"]
    rows = [row for photo in photos for row in _rows(photo, answer)]
    table = pd.DataFrame(rows, columns=["file", "face", *BOX, *answer])
    return table.astype({"face": "Int64"})


def _rows(photo: Prediction, answer: list[str]) -> list[dict[str, object]]:
    faces = photo.frames[["track", *BOX]].merge(photo.clips[["track", *answer]], on="track")
    found = faces.rename(columns={"track": "face"}).to_dict("records") or [{"mark": NO_FACE}]
    file = {"file": as_utf8(photo.source)}
    return [file | {str(name): row[name] for name in row} for row in found]
