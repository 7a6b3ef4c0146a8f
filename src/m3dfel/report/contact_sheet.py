"""Contact sheets: many photos in a picture, with a box around each face and what it expresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from m3dfel.emotions import colors
from m3dfel.files import atomic_write, printable
from m3dfel.opencv import cv2
from m3dfel.report.drawing.boxes import Box, draw_boxes
from m3dfel.report.drawing.sprites import composite, fitting_text, rgb
from m3dfel.report.numbers import confidence
from m3dfel.report.recognized import BOX
from m3dfel.report.style import EMPTY, MUTED
from m3dfel.report.words import words_for
from m3dfel.video.decode import Picture

_COLUMNS, _ROWS = 4, 6
_WIDTH, _HEIGHT, _CAPTION, _GAP, _TEXT = 400, 300, 26, 16, 15  # in pixels


def write_contact_sheets(
    photos: Iterable[tuple[Picture, pd.DataFrame]], path: Path, lang: str = "en"
) -> list[Path]:
    """Write photos with their faces as pictures of up to 24 photos.

    Args:
        photos: each photo, uint8 RGB (H, W, 3), and its rows of `photo_table`.
        path: of the first picture; a number is added to the names of the others.
        lang: language of the emotions' names, `en` or `zh`.

    Returns:
        The paths of the pictures.

    Raises:
        InputError: a picture cannot be written.
    """
    cells = (_cell(photo, rows, lang) for photo, rows in photos)
    paths = list[Path]()
    for page in _pages(cells):
        suffix = f"_{len(paths) + 1}" if paths else ""
        paths.append(path.with_name(f"{path.stem}{suffix}{path.suffix}"))
        with atomic_write(paths[-1]) as temporary:
            Image.fromarray(page).save(temporary)
    return paths


def _pages(cells: Iterator[Picture]) -> Iterator[Picture]:
    """Yield pictures of up to 24 cells; no more of them are kept in memory."""
    while page := list(islice(cells, _COLUMNS * _ROWS)):
        rows = -(-len(page) // _COLUMNS)
        columns = min(len(page), _COLUMNS)
        height, width = _HEIGHT + _CAPTION + _GAP, _WIDTH + _GAP
        canvas = np.full((rows * height + _GAP, columns * width + _GAP, 3), 255, np.uint8)
        for index, cell in enumerate(page):
            row, column = divmod(index, _COLUMNS)
            top, left = _GAP + row * height, _GAP + column * width
            canvas[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
        yield canvas


def _cell(photo: Picture, rows: pd.DataFrame, lang: str) -> Picture:
    """Return a photo, scaled to fit, with its faces and its name below."""
    cell = np.full((_HEIGHT + _CAPTION, _WIDTH, 3), 255, np.uint8)
    cell[:_HEIGHT] = rgb(EMPTY)
    height, width = photo.shape[:2]
    scale = min(_HEIGHT / height, _WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = np.array(cv2.resize(photo, size, interpolation=shrinks), np.uint8)
    labels = [str(name).removeprefix("p_") for name in rows.filter(regex="^p_")]
    words, color_of = words_for(lang, labels), colors(labels)
    boxes = list[Box]()
    for row in rows[rows["face"].notna()].to_dict("records"):
        word = words[row["mark"] or row["emotion"]]
        if not row["mark"]:
            word += f" {confidence(row['confidence'])}"
        box = np.array([row[name] for name in BOX], float) * scale
        dot = None if row["mark"] else color_of[row["emotion"]]
        boxes.append(Box(box, int(row["face"]), word, dot))
    draw_boxes(scaled, boxes)
    top, left = (_HEIGHT - size[1]) // 2, (_WIDTH - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = scaled
    name = printable(Path(rows["file"].iloc[0]).name)
    composite(cell, fitting_text(name, _TEXT, MUTED, _WIDTH), 0, _HEIGHT + 2)
    return cell
