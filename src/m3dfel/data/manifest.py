"""One table of labelled clips for every data set.

`read_manifest` recognises what a path holds (DFEW, FERV39k, text or CSV annotations, class folders,
the drawn faces), reads it into the same list of `Clip`s and checks every one; what is wrong is
collected, not raised, so that one bad clip among thousands is told and left out. Layouts are those
in which the authors of DFEW and FERV39k hand out their data.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from m3dfel.data.archives import split_member, zip_members
from m3dfel.emotions import EMOTIONS, parse_emotion
from m3dfel.errors import InputError
from m3dfel.synthetic.clips import is_synthetic, synthetic_clips
from m3dfel.video.decode import PICTURE_SUFFIXES, VIDEO_SUFFIXES

Kind = Literal["frames", "video", "still", "synthetic"]

_DFEW, _FERV39K = "EmoLabel_DataSplit", "4_setups"  # the folders that tell them

SYNTHETIC = ("synthetic", "synthetic-brief", "synthetic-uneven")
SYNTHETIC_SPLITS = {"train": range(0, 80), "val": range(80, 100), "test": range(100, 160)}
# Of 80 clips of the most frequent class, those of each, in the shares of DFEW's training clips.
_UNEVEN = dict(zip(EMOTIONS, (73, 57, 80, 65, 44, 4, 27), strict=True))


@dataclass(frozen=True)
class Clip:
    """A labelled clip.

    Attributes:
        path: a folder of frames, a video, a picture (`archive.zip!member` within an archive) or a
            synthetic clip's address.
        kind: which of these it is.
        emotion: its label.
        split: `train`, `val`, `test`, or the data set's own word.
        identity: whose face it is, empty where the data set does not say.
    """

    path: str
    kind: Kind
    emotion: str
    split: str
    identity: str = ""


@dataclass(frozen=True)
class Problem:
    """A clip that cannot be used, and why."""

    path: str
    what: str


@dataclass(frozen=True)
class Manifest:
    """The clips of a data set that can be used, and the problems of those that cannot.

    Attributes:
        source: where they were read from.
        dataset: `DFEW`, `FERV39k`, or the name of a file or folder of another set.
        clips: those that can be used.
        problems: of those that cannot.
    """

    source: str
    dataset: str
    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...] = field(default=())

    def split(self, name: str) -> list[Clip]:
        """Return the clips of one split, in the data set's order."""
        return [clip for clip in self.clips if clip.split == name]

    def table(self) -> pd.DataFrame:
        """Return the counts of clips, one row an emotion and one column a split."""
        splits = [clip.split for clip in self.clips]
        counts = Counter((clip.emotion, clip.split) for clip in self.clips)
        return pd.DataFrame(
            [[counts[emotion, split] for split in dict.fromkeys(splits)] for emotion in EMOTIONS],
            index=pd.Index(EMOTIONS, name="emotion"),
            columns=list(dict.fromkeys(splits)),
        )


def read_manifest(path: str, fold: int = 1) -> Manifest:
    """Read and check the labelled clips at a path.

    Args:
        path: the root of DFEW (`Clip/`, `EmoLabel_DataSplit/`) or FERV39k (`2_ClipsforFaceCrop/`,
            `4_setups/`); a text file of `path frames label` lines or a folder of such files with
            train, val or test in their names; a CSV with the columns file and emotion (and, if it
            knows them, identity and split) beside the pictures, videos, frame folders or the zip
            it speaks of; a folder of class folders, within split folders or not; or one of the
            drawn sets, `synthetic`, `synthetic-brief` and `synthetic-uneven`.
        fold: the official fold of DFEW, 1 to 5.

    Raises:
        InputError: the path is none of these, or not one clip of it can be used.
    """
    entries = list(_entries(path, fold))
    clips, problems = _checked(entries)
    if not clips:
        found = f"{len(entries)} clips, not one of them usable" if entries else "no clips"
        first = f"; the first: {problems[0].path}: {problems[0].what}" if problems else ""
        raise InputError(f"{path} holds {found}{first}")
    return Manifest(path, _dataset(Path(path)), tuple(clips), tuple(problems))


def _dataset(root: Path) -> str:
    if (root / _DFEW).is_dir():
        return "DFEW"
    return "FERV39k" if (root / _FERV39K).is_dir() else root.name


def clip_from_path(path: str, emotion: str = "neutral") -> Clip:
    """Return the clip at a path that a manifest once gave.

    Raises:
        InputError: nothing usable is there any more.
    """
    return Clip(path, _kind(path), emotion, "")


def checksum(path: str) -> str:
    """Return the SHA-256 of a CSV manifest and, after it, of the zips that stand beside it.

    Raises:
        InputError: the path is no file that can be read.
    """
    file = Path(path).expanduser()
    digest = hashlib.sha256()
    try:
        for part in file, *sorted(file.parent.glob("*.zip")):
            with part.open("rb") as opened:
                while block := opened.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise InputError(f"cannot take the checksum of {path}: {error.strerror}") from error
    return digest.hexdigest()


# --- reading: one function a layout; each yields what the data set says, unchecked ---------------


@dataclass(frozen=True)
class _Entry:
    path: str
    emotion: str
    split: str
    identity: str = ""


def _entries(path: str, fold: int) -> Iterator[_Entry]:
    if path in SYNTHETIC:
        return _read_synthetic(path)
    root = Path(path).expanduser()
    if not root.exists():
        raise InputError(f"no data set at {path}: check the path")
    if root.is_file():
        return _read_csv(root) if root.suffix.lower() == ".csv" else _read_text(root)
    if (root / _DFEW).is_dir():
        return _read_dfew(root, fold)
    if (root / _FERV39K).is_dir():
        return _read_ferv39k(root)
    texts = [file for file in sorted(root.glob("*.txt")) if _split_in_name(file.stem, None)]
    if texts:
        return (entry for file in texts for entry in _read_text(file))
    return _read_class_folders(root)


def _read_synthetic(name: str) -> Iterator[_Entry]:
    """Yield one clip of each emotion and identity; of `synthetic-uneven` all are in test alone.

    The other splits have as many of each class as DFEW's training clips would, test has all, so
    that what rare classes come to can be told.
    """
    for split, identities in SYNTHETIC_SPLITS.items():
        for clip in synthetic_clips(0, identities, 1, EMOTIONS, brief=name == "synthetic-brief"):
            rare = clip.identity % 80 >= _UNEVEN[clip.emotion]
            if name == "synthetic-uneven" and split != "test" and rare:
                continue
            yield _Entry(str(clip), clip.emotion, split, f"drawn-{clip.identity}")


def _read_dfew(root: Path, fold: int) -> Iterator[_Entry]:
    clips = root / "Clip" / "clip_224x224"
    if (clips / "clip_224x224").is_dir():
        clips = clips / "clip_224x224"
    for split in ("train", "test"):
        labels = root / _DFEW / f"{split}(single-labeled)" / f"set_{fold}.csv"
        for row in _rows(labels):
            if len(row) < 2:
                raise InputError(f"{labels} has the line {row}, expected `order,label`")
            yield _Entry(str(clips / row[0].strip().zfill(5)), _numbered(row[1], first=1), split)


def _read_ferv39k(root: Path) -> Iterator[_Entry]:
    clips = root / "2_ClipsforFaceCrop"
    for split in ("train", "test"):
        labels = root / _FERV39K / "All_scenes" / f"{split}_All.csv"
        for row in _rows(labels):
            place, _, word = row[0].strip().rpartition(" ")
            yield _Entry(str(clips / place), word, split)


def _rows(labels: Path) -> Iterator[list[str]]:
    """Yield the lines of a label file below its header."""
    try:
        with labels.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            next(lines, None)
            yield from (row for row in lines if row)
    except OSError as error:
        raise InputError(f"cannot read the labels {labels}: {error.strerror}") from error


def _read_text(file: Path) -> Iterator[_Entry]:
    split = _split_in_name(file.stem, "test")
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file} as lines of `path frames label`: {error}") from error
    for number, line in enumerate(lines, 1):
        words = line.rsplit(maxsplit=2)
        if not words:
            continue
        if len(words) != 3:
            raise InputError(f"{file} line {number} is {line!r}, expected `path frames label`")
        yield _Entry(str(file.parent / words[0]), _numbered(words[2], first=0), str(split))


def _split_in_name(stem: str, otherwise: str | None) -> str | None:
    return next((split for split in ("train", "val", "test") if split in stem.lower()), otherwise)


def _numbered(number: str, first: int) -> str:
    """Return the emotion a data set numbers so; a number it does not know stays as it is."""
    try:
        index = int(number) - first
    except ValueError:
        return number
    return EMOTIONS[index] if 0 <= index < len(EMOTIONS) else number


def _read_csv(file: Path) -> Iterator[_Entry]:
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {file} as a table: {error}") from error
    missing = {"file", "emotion"} - set(table.columns)
    if missing:
        raise InputError(
            f"{file} has no column {' or '.join(sorted(missing))}, only "
            f"{', '.join(table.columns)}: file and emotion are needed, identity and split welcome"
        )
    place = _container(file, table["file"].tolist())
    for row in table.to_dict("records"):
        yield _Entry(
            place(row["file"]), row["emotion"], row.get("split") or "test", row.get("identity", "")
        )


def _container(file: Path, names: list[str]) -> Callable[[str], str]:
    """Return a function from a CSV's file name to its path, in the place that holds the most."""
    folders = [file.parent, *sorted(item for item in file.parent.iterdir() if item.is_dir())]
    sample = names[:: max(len(names) // 100, 1)]
    best = max(folders, key=lambda folder: sum((folder / name).exists() for name in sample))
    found = sum((best / name).exists() for name in sample)
    for archive in sorted(file.parent.glob("*.zip")):
        members = zip_members(str(archive))
        if sum(name in members for name in sample) > found:
            return partial("{}!{}".format, archive)
    return lambda name: str(best / name)


def _read_class_folders(root: Path) -> Iterator[_Entry]:
    folders = sorted(item for item in root.iterdir() if item.is_dir())
    splits = [item for item in folders if item.name.lower() in ("train", "val", "test")]
    for parent, split in [(s, s.name.lower()) for s in splits] or [(root, "test")]:
        classes = sorted(item for item in parent.iterdir() if item.is_dir())
        if not any(_is_emotion(item.name) for item in classes):
            raise InputError(
                f"{root} is none of the data sets known: expected EmoLabel_DataSplit/ (DFEW), "
                f"4_setups/ (FERV39k), *train*.txt files, or folders named after emotions, found "
                f"{', '.join(item.name for item in classes[:5]) or 'no folders'}"
            )
        for folder in classes:
            for item in sorted(folder.iterdir()):
                if item.is_dir() or item.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES:
                    yield _Entry(str(item), folder.name, split)


def _is_emotion(word: str) -> bool:
    try:
        parse_emotion(word)
    except InputError:
        return False
    return True


# --- checking: the same for all ------------------------------------------------------------------


def _checked(entries: Sequence[_Entry]) -> tuple[list[Clip], list[Problem]]:
    clips: dict[str, Clip] = {}
    problems: list[Problem] = []
    # A clip of two splits stays where it measures, never where it would teach.
    order = {"test": 0, "val": 1}
    for entry in sorted(entries, key=lambda entry: order.get(entry.split, 2)):
        try:
            clip = _usable(entry)
        except InputError as error:
            problems.append(Problem(entry.path, str(error)))
            continue
        first = clips.setdefault(clip.path, clip)
        if first is not clip:
            problems.append(Problem(clip.path, _clash(first, clip)))
    place = {entry.path: i for i, entry in enumerate(entries)}
    return sorted(clips.values(), key=lambda clip: place[clip.path]), problems


def _usable(entry: _Entry) -> Clip:
    return Clip(
        entry.path, _kind(entry.path), parse_emotion(entry.emotion), entry.split, entry.identity
    )


def _kind(path: str) -> Kind:
    """Return what is at the path, or raise what is wrong with it."""
    if is_synthetic(path):
        return "synthetic"
    archive, member = split_member(path)
    if member:
        if member not in zip_members(archive):
            raise InputError("not in the archive, or empty")
        return "still"
    item = Path(path)
    if item.is_dir():
        if not any(file.suffix.lower() in PICTURE_SUFFIXES for file in item.iterdir()):
            raise InputError("a folder without frames")
        return "frames"
    if not item.exists():
        raise InputError("missing")
    if not item.stat().st_size:
        raise InputError("an empty file")
    suffix = item.suffix.lower()
    if suffix in PICTURE_SUFFIXES:
        return "still"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    raise InputError("neither a picture, a video nor a folder of frames")


def _clash(first: Clip, second: Clip) -> str:
    if first.split != second.split:
        return f"in both splits, {first.split} and {second.split}; kept in {first.split}"
    if first.emotion != second.emotion:
        return f"listed twice, as {first.emotion} and as {second.emotion}; kept as {first.emotion}"
    return "listed twice; kept once"
