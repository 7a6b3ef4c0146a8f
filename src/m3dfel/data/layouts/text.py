"""Text annotations: lines of `path frames label`, as many repositories of this field use them.

Paths are relative to the text file. A label is a word or a number from 0: an index into the label
set (`read_manifest` says which).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, Entry, Layout, label_lines, parse_split, path_in
from m3dfel.errors import InputError


@LAYOUTS.register("text")
class Text(Layout):
    """One text file, or a folder of text files with a word for their split in their names."""

    expects = "a file of `path frames label` lines, or a folder of such files, train.txt, test.txt"

    @staticmethod
    def recognizes(path: Path) -> bool:
        return path.is_file() or bool(_split_files(path))

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        for file in [path] if path.is_file() else _split_files(path):
            yield from _read_file(file)


def _read_file(file: Path) -> Iterator[Entry]:
    split, folder = _split_in_name(file), str(file.parent)
    for number, line in label_lines(file):
        words = line.rsplit(maxsplit=2)
        if len(words) != 3:
            raise InputError(f"{file} line {number} is {line!r}, expected `path frames label`")
        clip, _, label = words
        yield Entry(path_in(folder, clip), _word_or_index(label), split)


def _word_or_index(label: str) -> str | int:
    try:
        return int(label)
    except ValueError:
        return label


def _split_files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.glob("*.txt")) if _split_in_name(file)]


def _split_in_name(file: Path) -> str:
    """Return the split that a word of a file's name means; empty if there is none."""
    for word in re.split(r"[^a-z]+", file.stem.lower()):
        with suppress(InputError):
            if split := parse_split(word):
                return split
        # As in `trainlist01`.
        if split := next((name for name in ("train", "val", "test") if word.startswith(name)), ""):
            return split
    return ""
