"""Boxes around faces, each with a name tag; in the annotated video and in the live window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from m3dfel.opencv import cv2
from m3dfel.report.drawing.layout import unit_of
from m3dfel.report.drawing.sprites import composite, rgb, tag
from m3dfel.report.spans import Values
from m3dfel.video.decode import Picture

# Dark, so that white text is legible on them.
_PERSON_COLORS = ("#16325c", "#a8326e", "#0b7285", "#7a4b12", "#4a4a4a", "#5f6b0a")

_TAG, _TAG_GAP, _RADIUS, _LINE, _RIM = 19.0, 5.0, 9.0, 1.4, 3.2  # in units
_TAG_STAYS_FRAMES = 49  # looked at to choose whether a name is above or below its box


def person_color(person: int) -> str:
    """Return the color of the box of a person, who are numbered from 1."""
    return _PERSON_COLORS[(person - 1) % len(_PERSON_COLORS)]


@dataclass(frozen=True, eq=False)
class Box:
    """The box of a face and its tag.

    Attributes:
        sides: (4,), left, top, right, bottom in pixels.
        person: whose face it is, from 1.
        word: what the tag says beside the number.
        dot: color of the emotion; None for none.
        above: whether the tag is above the box, as far as there is room, or below.
    """

    sides: Values
    person: int
    word: str
    dot: str | None
    above: bool = True


def draw_boxes(picture: Picture, boxes: Sequence[Box]) -> None:
    """Draw boxes, and their tags over all of them.

    Args:
        picture: uint8 RGB (H, W, 3), which is changed.
        boxes: of the faces in it.
    """
    height, width = picture.shape[:2]
    unit = unit_of(width, height)
    radius, line, rim, gap = (
        max(1, round(size * unit)) for size in (_RADIUS, _LINE, _RIM, _TAG_GAP)
    )
    for box in boxes:
        _draw_outline(picture, box.sides, radius, line, rim, person_color(box.person))
    for box in boxes:
        color = person_color(box.person)
        name = tag(box.person, box.word, round(_TAG * unit), color, box.dot)
        tag_height, tag_width = name.shape[:2]
        left, top, _, bottom = box.sides
        top = top - gap - tag_height if box.above else min(bottom + gap, height - tag_height)
        left = np.clip(left - round(unit), 0, max(0, width - tag_width))
        composite(picture, name, left, max(0.0, top))


def tags_above(boxes: Values, unit: float) -> list[bool]:
    """Return for each frame whether the tag is above the box; it changes as rarely as it can.

    A tag moves only once its side has had no room for most of the last and the next second.

    Args:
        boxes: (T, 4), of one face.
        unit: in pixels.
    """
    fits = boxes[:, 1] >= round(_TAG * unit) + round(_TAG_GAP * unit)
    longer = uniform_filter1d(fits.astype(float), _TAG_STAYS_FRAMES, mode="nearest")
    above = [bool(longer[0] > 0.5)]
    for fraction in longer[1:]:
        above.append(bool(fraction > (0.25 if above[-1] else 0.75)))
    return above


def _draw_outline(
    picture: Picture, box: Values, radius: int, line: int, rim: int, color: str
) -> None:
    """Draw a rounded box as a white line with a colored rim, which shows on any background."""
    x1, y1, x2, y2 = box
    rounding = min(radius, (x2 - x1) / 3, (y2 - y1) / 3)
    angles = np.linspace(0, np.pi / 2, 7)
    arc = rounding * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    corners = [
        (x2 - rounding, y2 - rounding) + arc,
        (x1 + rounding, y2 - rounding) + arc[::-1] * (-1, 1),
        (x1 + rounding, y1 + rounding) + arc * (-1, -1),
        (x2 - rounding, y1 + rounding) + arc[::-1] * (1, -1),
    ]
    points = np.round(np.concatenate(corners) * 16).astype(np.int32)
    for width, shade in ((rim, rgb(color).tolist()), (line, (255, 255, 255))):
        cv2.polylines(picture, [points], True, shade, width, cv2.LINE_AA, shift=4)
