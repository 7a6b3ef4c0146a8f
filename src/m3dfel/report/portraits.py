"""Portraits: a picture of each person of a video, which says who person 3 is.

For the page, the timeline and the summary of several people. A prediction keeps no pictures, so
that they are cut out of the video, if that is still where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from m3dfel.errors import InputError
from m3dfel.opencv import cv2
from m3dfel.report.drawing.boxes import person_color
from m3dfel.report.recognized import BOX, Recognized
from m3dfel.video.decode import Picture, read_at

# Side of a picture in pixels, and in sides of the face's box.
_SIDE, _SIDES_OF_BOX = 240, 1.7


@dataclass(frozen=True)
class View:
    """A face in one frame.

    Attributes:
        person: whose face it is, from 1.
        frame: index of the frame.
        time_s: when the frame is shown.
        box: x1, y1, x2, y2 in pixels.
    """

    person: int
    frame: int
    time_s: float
    box: tuple[float, ...]


def view_of(rows: pd.DataFrame, index: int) -> View:
    """Return a row of the table `frames` of a prediction as a view."""
    row = rows.iloc[index]
    box = tuple(float(row[side]) for side in BOX)
    return View(int(row["person"]), int(row["frame"]), float(row["time_s"]), box)


def portrait_views(prediction: Recognized) -> list[View]:
    """Return each person where the face is surest to be one, in a frame without mark if any."""
    views = []
    for _, rows in prediction.frames.groupby("person"):
        readable = rows[rows["mark"] == ""]
        best = rows if readable.empty else readable
        views.append(view_of(best, int(best["score"].to_numpy(float).argmax())))
    return views


def read_portraits(source: str, views: Sequence[View]) -> dict[int, Picture]:
    """Return the pictures of persons; of a video that cannot be read any more, none.

    Args:
        source: of the prediction.
        views: a view of each person.
    """
    if not Path(source).is_file():
        return {}
    try:
        frames = read_at(source, [view.time_s for view in views])
    except InputError:
        return {}
    return {
        view.person: cut_out(frames[view.time_s], view.box)
        for view in views
        if view.time_s in frames
    }


def cut_out(image: Picture, box: tuple[float, ...]) -> Picture:
    """Return a square around a box, moved into the image where it would reach beyond."""
    x1, y1, x2, y2 = box
    height, width = image.shape[:2]
    side = round(min(_SIDES_OF_BOX * max(x2 - x1, y2 - y1), height, width))
    left = round(min(max((x1 + x2 - side) / 2, 0), width - side))
    top = round(min(max((y1 + y2 - side) / 2, 0), height - side))
    square = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def draw_portrait(
    axes: Axes,
    portrait: Picture,
    person: int,
    size: float,
    xy: tuple[float, float],
    offset: tuple[float, float],
) -> None:
    """Draw the picture of a person into a figure, with an edge in the color of the person's box.

    Args:
        axes: of the figure.
        portrait: from `read_portraits`.
        person: whose it is, from 1.
        size: of its sides, in points.
        xy: a position in the axes, as fractions.
        offset: from there to the middle of its right side, in points.
    """
    box = AnnotationBbox(
        OffsetImage(portrait, zoom=size / len(portrait)),
        xy,
        offset,
        xycoords="axes fraction",
        boxcoords="offset points",
        box_alignment=(1, 0.5),
        pad=0.0,
        bboxprops={"edgecolor": person_color(person), "linewidth": 1.2},
    )
    axes.add_artist(box)
