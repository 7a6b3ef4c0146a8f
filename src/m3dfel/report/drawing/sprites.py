"""Small pictures with transparency, such as words and name tags, to draw into video frames.

Each is drawn once and kept, so that drawing it into a frame is only a blend. Text has the font of
the figures.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw

from m3dfel.opencv import LUMINANCE
from m3dfel.report.fonts import is_chinese, text_font
from m3dfel.report.style import INK
from m3dfel.video.decode import Picture

Sprite = npt.NDArray[np.float32]
"""(H, W, 4): red, green and blue from 0 to 255, multiplied by the opacity from 0 to 1 behind."""

_OVERSAMPLING = 4  # shapes are drawn larger and made smaller, which smooths their edges
_EM_ABOVE_MIDDLE = 0.33  # from the middle of a line of lower-case text down to its baseline


def rgb(color: str) -> npt.NDArray[np.float32]:
    """Return red, green and blue from 0 to 255 of a color such as `#3b6fb6`."""
    return np.array(ImageColor.getrgb(color)[:3], np.float32)


def mix(color: str, opacity: float, background: str = "#ffffff") -> Picture:
    """Return the color (3,) that one with this opacity has on a background."""
    mixed = rgb(background) * (1 - opacity) + rgb(color) * opacity
    return mixed.round().astype(np.uint8)


def text_color(background: npt.NDArray[Any]) -> str:
    """Return the color in which text is legible on an RGB color: white, or the figures' ink."""
    return INK if background @ LUMINANCE > 135 else "#ffffff"


@lru_cache(maxsize=4096)
def text(word: str, size: int, color: str, bold: bool = False) -> Sprite:
    """Return a line of text; its lower-case letters are vertically in the middle.

    Args:
        word: the text.
        size: of the font in pixels.
        color: as `#rrggbb`.
        bold: whether the text is bold.
    """
    font = text_font(size, bold, is_chinese(word))
    width = max(1, round(font.getlength(word)))
    half = round(0.85 * size)
    picture = Image.new("L", (width + 2, 2 * half))
    baseline = half + round(_EM_ABOVE_MIDDLE * size)
    ImageDraw.Draw(picture).text((1, baseline), word, fill=255, font=font, anchor="ls")
    return _colored(picture, color)


def text_width(word: str, size: int, bold: bool = False) -> int:
    """Return the width of a line of text in pixels."""
    return text(word, size, "#000000", bold).shape[1]


def fitting_text(word: str, size: int, color: str, width: int, bold: bool = False) -> Sprite:
    """Return a line of text, smaller where it would be wider than `width` pixels."""
    while size > 6 and text_width(word, size, bold) > width:
        size -= 1
    return text(word, size, color, bold)


@lru_cache
def number_disk(number: int, diameter: int, color: str) -> Sprite:
    """Return a disk with a white number on it."""
    disk = rounded_rectangle(diameter, diameter, diameter / 2, color)
    digits = str(number)
    size = round(diameter * (0.62 if len(digits) == 1 else 0.5))
    word = text(digits, size, text_color(rgb(color)), bold=True)
    return overlaid(disk, word, (diameter - word.shape[1]) / 2)


@lru_cache(maxsize=1024)
def tag(number: int, word: str, height: int, color: str, dot: str | None) -> Sprite:
    """Return a name tag: a number, a dot in a second color (None for none), and a word."""
    size, gap = round(0.6 * height), round(0.36 * height)
    parts = [text(str(number), size, "#ffffff", bold=True)]
    if dot:
        side = round(0.54 * height)
        inner = side - 2 * max(1, round(0.07 * height))
        ring = rounded_rectangle(side, side, side / 2, "#ffffff")
        circle = rounded_rectangle(inner, inner, inner / 2, dot)
        parts.append(overlaid(ring, circle, (side - inner) / 2))
    parts.append(text(word, size, "#ffffff"))
    width = sum(part.shape[1] for part in parts) + gap * (len(parts) + 1)
    sprite, x = rounded_rectangle(width, height, 0.28 * height, color), gap
    for part in parts:
        sprite = overlaid(sprite, part, x)
        x += part.shape[1] + gap
    return sprite


@lru_cache
def rounded_rectangle(width: int, height: int, radius: float, color: str) -> Sprite:
    """Return a filled rectangle with rounded corners; a disk if `radius` is half its side."""
    scale = _OVERSAMPLING
    picture = Image.new("L", (width * scale, height * scale))
    corner = (width * scale - 1, height * scale - 1)
    ImageDraw.Draw(picture).rounded_rectangle((0, 0, *corner), radius * scale, fill=255)
    return _colored(picture.resize((width, height), Image.Resampling.BOX), color)


def overlaid(below: Sprite, above: Sprite, left: float) -> Sprite:
    """Return a sprite with another on it, `left` pixels from its left and vertically centered."""
    result = below.copy()
    composite(result, above, left, (below.shape[0] - above.shape[0]) // 2)
    return result


def composite(canvas: Picture | Sprite, sprite: Sprite, left: float, top: float) -> None:
    """Draw a sprite into a picture or another sprite; what lies outside of it is cut off."""
    x, y = round(left), round(top)
    part = canvas[max(0, y) : max(0, y + sprite.shape[0]), max(0, x) : max(0, x + sprite.shape[1])]
    sprite = sprite[max(0, -y) :, max(0, -x) :][: part.shape[0], : part.shape[1]]
    blended = part * (1 - sprite[..., 3:]) + sprite[..., : part.shape[2]]
    part[:] = blended + 0.5 if canvas.dtype == np.uint8 else blended


def _colored(opacity: Image.Image, color: str) -> Sprite:
    alpha = np.asarray(opacity, np.float32)[..., None] / 255
    return np.concatenate([rgb(color) * alpha, alpha], axis=2)
