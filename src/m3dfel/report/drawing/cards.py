"""Cards beside the picture: what a face expresses right now, with a bar for each emotion."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from m3dfel.emotions import colors
from m3dfel.report.drawing.boxes import person_color
from m3dfel.report.drawing.faces import Face
from m3dfel.report.drawing.layout import BAR_HEIGHT, DISK, HEADER, TEXT, TITLE, Layout
from m3dfel.report.drawing.sprites import composite, fitting_text, mix, number_disk, rgb, text
from m3dfel.report.numbers import confidence
from m3dfel.report.style import EMPTY, INK, MUTED
from m3dfel.video.decode import Picture


def draw_card(card: Picture, layout: Layout, face: Face, index: int) -> None:
    """Draw the card of a face: what it expresses in one of its frames.

    Args:
        card: uint8 RGB (H, W, 3), the place of the card, which is overwritten.
        layout: of the video.
        face: the face.
        index: of the frame in `face.frames`.
    """
    best, recognized = face.best(index), face.recognized(index)
    card[:] = _empty_card(layout, recognized)
    _draw_header(card, layout, face, index)
    if best is None:
        return
    color_of = list(colors(layout.names).values())
    if layout.compact:
        bar = card[layout.px(HEADER) :]
        _fill(bar, face.probabilities[index, best], color_of[best], best == recognized)
        return
    for emotion, probability in enumerate(face.probabilities[index].tolist()):
        bar = card[_bar(layout, emotion), layout.bars_left :]
        _fill(bar, probability, color_of[emotion], emotion == recognized)


@lru_cache(maxsize=64)
def _empty_card(layout: Layout, recognized: int | None) -> Picture:
    """Draw a card without bars, with the recognized emotion in bold."""
    card = np.full((layout.card_height, layout.card_width, 3), 255, np.uint8)
    if layout.compact:
        card[layout.px(HEADER) :] = rgb(EMPTY)
        return card
    for index, name in enumerate(layout.names):
        strong = index == recognized
        label = text(name, layout.px(TEXT), INK if strong else MUTED, bold=strong)
        middle = layout.px(HEADER) + index * layout.row + layout.row // 2
        left = layout.label_width - label.shape[1]
        composite(card, label, left, middle - label.shape[0] // 2)
        card[_bar(layout, index), layout.bars_left :] = rgb(EMPTY)
    return card


def _bar(layout: Layout, index: int) -> slice:
    height = layout.px(BAR_HEIGHT)
    top = layout.px(HEADER) + index * layout.row + (layout.row - height + 1) // 2
    return slice(top, top + height)


def _draw_header(card: Picture, layout: Layout, face: Face, index: int) -> None:
    """Write whose card it is, and the emotion with its probability or the mark."""
    middle = layout.px(DISK) // 2 + 1
    disk = number_disk(face.person, layout.px(DISK), person_color(face.person))
    composite(card, disk, 0, middle - disk.shape[0] // 2)
    left, right = disk.shape[1] + layout.px(6), layout.card_width
    word, best, recognized = str(face.marks[index]), face.best(index), face.recognized(index)
    if layout.compact and word and best is not None:  # no row of the bar names the emotion
        word = f"{word}: {layout.names[best]}"
    if recognized is not None:
        word = layout.names[recognized]
        percent = confidence(face.probabilities[index, recognized])
        number = text(percent, layout.px(TEXT), MUTED)
        right -= number.shape[1]
        composite(card, number, right, middle - number.shape[0] // 2)
        right -= layout.px(4)
    certain = recognized is not None
    ink = INK if certain else MUTED
    name = fitting_text(word, layout.px(TITLE), ink, right - left, bold=certain)
    composite(card, name, left, middle - name.shape[0] // 2)


def _fill(bar: Picture, fraction: float, color: str, strong: bool) -> None:
    """Fill a part of a bar from the left, to a fraction of a pixel."""
    whole, rest = divmod(fraction * bar.shape[1], 1)
    opacity = 1.0 if strong else 0.5
    bar[:, : int(whole)] = mix(color, opacity)
    if int(whole) < bar.shape[1]:
        bar[:, int(whole)] = mix(color, opacity * rest, EMPTY)
