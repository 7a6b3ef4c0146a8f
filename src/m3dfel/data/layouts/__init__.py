"""Layouts: how data sets lie on disk, one module per layout.

A layout says whether it recognizes a path and yields the labeled clips it finds there as `Entry`
rows, unchecked; `read_manifest` checks them. To add a layout, register a subclass of `Layout` in a
module of this package, or in a file of your own (`m3dfel --plugin FILE`).
"""

from __future__ import annotations

import glob
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import ClassVar

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.files import exists
from m3dfel.registry import Registry
from m3dfel.video.decode import VIDEO_SUFFIXES

LAYOUTS: Registry[Layout] = Registry("layout", __name__)
"""The layouts, by name."""

GENERIC = ("store", "synthetic", "csv", "text", "class folders")
"""The layouts that many data sets share. They are asked after all others, in this order."""

VOTES = "votes_"
"""What the names of columns with votes begin with, in tables that m3dfel reads and writes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A clip as a data set lists it, unchecked.

    Attributes:
        path: a folder of frames, a video, a picture, `archive.zip!member`, or the address of a
            synthetic clip.
        emotion: the data set's word for the emotion, or an index into the label set.
        split: any of the usual words for `train`, `val` or `test` (see `parse_split`); empty if the
            data set has no splits.
        identity: the person shown; empty if the data set does not say.
        votes: how many annotators chose each word; empty if the data set does not say.
        problem: why the clip cannot be used, if its labels make no sense.
        span_s: when the emotion starts and ends, in seconds of the video; None for all of it.
        person: whom the emotion is of, if the video may show others as well; empty for the largest
            face.
        region: left, top, right, bottom of the part of the picture where that person is; None if
            there is nobody else.
    """

    path: str
    emotion: str | int
    split: str
    identity: str = ""
    votes: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    span_s: tuple[float, float] | None = None
    person: str = ""
    region: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class DataSet:
    """What is known about a data set as a whole.

    Attributes:
        name: its name, if it is not that of the layout, file or folder; otherwise empty.
        folds: the number of official folds; 0 if there are none.
        labels: the emotions that its words may mean.
    """

    name: str
    folds: int
    labels: tuple[str, ...]


class Layout(ABC):
    """How a data set lies on disk.

    Layouts are classes that are never instantiated. The name under which a layout is registered
    becomes the name of the data set (`Manifest.dataset`), unless it is one of `GENERIC`.

    Attributes:
        folds: the number of official folds; 0 if there are none.
        labels: the emotions that the data set's words may mean.
        expects: what the layout looks for at the path, for error messages.
        scenes: the videos show whole scenes: `m3dfel data crop` makes clips of faces from them.

    Example:
        >>> from collections.abc import Iterator
        >>> from pathlib import Path
        >>> from m3dfel.data.layouts import LAYOUTS, Entry, Layout
        >>> @LAYOUTS.register("Interviews")
        ... class Interviews(Layout):
        ...     expects = "interviews.txt"
        ...
        ...     @staticmethod
        ...     def recognizes(path: Path) -> bool:
        ...         return (path / "interviews.txt").is_file()
        ...
        ...     @staticmethod
        ...     def read(path: Path, fold: int) -> Iterator[Entry]:
        ...         for line in (path / "interviews.txt").read_text().splitlines():
        ...             video, emotion = line.split()
        ...             yield Entry(str(path / video), emotion, "train")
    """

    folds: ClassVar[int] = 0
    labels: ClassVar[tuple[str, ...]] = EMOTIONS
    expects: ClassVar[str] = ""
    scenes: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def recognizes(path: Path) -> bool:
        """Return whether a data set of this layout lies at a path, which need not exist."""

    @classmethod
    def describe(cls, path: Path) -> DataSet:
        """Return the data set at a path that the layout recognizes.

        Most layouts are always the same data set; those that differ from path to path override
        this.

        Raises:
            InputError: the data set cannot be read.
        """
        return DataSet("", cls.folds, cls.labels)

    @staticmethod
    @abstractmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        """Yield all clips of a data set.

        Args:
            path: a path that the layout recognizes.
            fold: the official fold, from 1 to `folds`; meaningless without official folds.

        Raises:
            InputError: the label files cannot be read.
        """


def find_layout(path: Path) -> tuple[str, type[Layout]]:
    """Return the name and the class of the layout that recognizes a path.

    The layouts of single data sets are asked first, in the order of their names, then those of
    `GENERIC`.

    Raises:
        InputError: nothing is at the path, or no layout recognizes it.
    """
    for name in _order():
        layout = LAYOUTS.get(name)
        if layout.recognizes(path):
            return name, layout
    if not path.exists():
        raise InputError(f"no data set at {path}: check the path")
    raise unknown_layout(path)


def unknown_layout(path: Path) -> InputError:
    """Return the error that lists what each layout expects, and the folders at the path."""
    expected = "; ".join(f"{name}: {LAYOUTS.get(name).expects}" for name in _order())
    folders = sorted(item.name for item in path.iterdir() if item.is_dir())
    return InputError(
        f"{path} has none of the known layouts: expected one of ({expected}), found "
        f"{', '.join(folders[:5]) or 'no folders'}"
    )


def _order() -> list[str]:
    return [*(name for name in LAYOUTS.names() if name not in GENERIC), *GENERIC]


_SPLITS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev", "development", "publictest"),
    "test": ("test", "testing", "tst", "privatetest"),
}


@lru_cache(maxsize=1000)  # for every clip
def parse_split(word: str) -> str:
    """Return `train`, `val` or `test` for any of the usual words, whatever their case.

    `PublicTest` and `PrivateTest` are the validation and test splits of FER2013. Empty stays empty.

    Raises:
        InputError: the word means none of the three.

    Example:
        >>> from m3dfel.data.layouts import parse_split
        >>> parse_split("Validation"), parse_split("dev")
        ('val', 'val')
    """
    letters = "".join(filter(str.isalpha, word.lower()))
    for split, words in _SPLITS.items():
        if letters in words:
            return split
    if word.strip():
        raise InputError(f"unknown split {word!r}: use train, val or test")
    return ""


def parse_votes(cells: Mapping[str, str | float]) -> dict[str, float]:
    """Return how many annotators chose each word, without the words that nobody chose.

    Args:
        cells: from each word to the number, also as text; empty for nobody.

    Raises:
        InputError: a cell is not a number, or negative.
    """
    votes = {}
    for word, cell in cells.items():
        try:
            count = float(cell or 0)
        except ValueError:
            count = math.nan
        if not 0 <= count < math.inf:
            raise InputError(
                f"the votes for {word} are {cell!r} but must be a number of annotators, 0 or more"
            )
        if count:
            votes[word] = count
    return votes


def label_lines(file: Path, *, header: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the lines of a label file that are not blank, each with its number from 1.

    Args:
        file: a text file in UTF-8.
        header: whether to skip the first line.

    Raises:
        InputError: the file cannot be read as text.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the labels {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InputError(
            f"cannot read the labels {file}: it is not a text file, save the table as CSV"
        )
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not (header and number == 1):
            yield number, line


_PLAIN = re.compile(r"[^/.][^/]*(/[^/.][^/]*)*")  # a path that `Path` leaves as it is


def path_in(folder: str, name: str) -> str:
    """Return the path of a clip in a folder, in a tenth of the time of a `Path`."""
    return f"{folder}/{name}" if _PLAIN.fullmatch(name) else str(Path(folder, name))


def person_in(file: Path, name: str) -> str:
    """Return whom a name means in a file: a number, as `m3dfel predict` gives it, only holds there.

    Others are the same person in every file.
    """
    return f"{file.stem} {name}" if re.fullmatch(r"(person )?\d+", name) else name


def find_media(beside: Path, names: Sequence[str]) -> str:
    """Return the path of the video that an annotation file is about.

    Args:
        beside: the annotation file.
        names: paths of the video as the annotation file states them, perhaps of another machine.

    Returns:
        The first of the names that exists, as it is or beside the annotation file; else a video
        there with the name of the annotation file; else the first name, which does not exist.
    """
    folder = beside.parent
    for name in names:
        for path in (folder / name, folder / PureWindowsPath(name).name):
            if exists(path) and path.is_file():
                return str(path)
    for path in sorted(folder.glob(f"{glob.escape(beside.stem)}.*")):
        if path.suffix.lower() in VIDEO_SUFFIXES:
            return str(path)
    return next((str(folder / PureWindowsPath(name).name) for name in names), str(beside))
