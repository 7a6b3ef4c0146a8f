"""The manifest: one table of labeled clips for every data set.

`read_manifest` finds the layout of the data set at a path (`layouts/`), reads its clips and checks
every one. Clips that cannot be used are collected as problems, so that one bad clip among
thousands is reported and left out.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from m3dfel.config import DataConfig
from m3dfel.data.archives import split_member, zip_members
from m3dfel.data.layouts import GENERIC, Entry, find_layout, parse_split, unknown_layout
from m3dfel.data.packed.store import open_store, split_address
from m3dfel.emotions import EMOTIONS, parse_emotion, parse_label_set
from m3dfel.errors import InputError
from m3dfel.files import from_utf8
from m3dfel.synthetic.clips import is_synthetic
from m3dfel.video.decode import VIDEO_SUFFIXES
from m3dfel.video.pictures import PICTURE_SUFFIXES

Kind = Literal["frames", "video", "still", "synthetic"]


@dataclass(frozen=True, slots=True)
class Clip:
    """A labeled clip.

    Attributes:
        path: a folder of frames, a video, a picture (`archive.zip!member` if it is in an archive),
            a clip of a packed store, or the address of a synthetic clip.
        kind: which of these it is; a clip of a store is `frames` or `still`.
        emotion: its label.
        split: `train`, `val` or `test`; empty if the data set has no splits.
        identity: the person shown; empty if the data set does not say.
        votes: how many annotators chose each emotion, as pairs; empty if the data set does not say.
        dataset: index of its data set among those read together, from 0.
    """

    path: str
    kind: Kind
    emotion: str
    split: str
    identity: str = ""
    votes: tuple[tuple[str, float], ...] = ()
    dataset: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """A clip that cannot be used.

    Attributes:
        path: the clip.
        what: the reason.
    """

    path: str
    what: str


@dataclass(frozen=True)
class Manifest:
    """The clips of a data set.

    Attributes:
        source: the path they were read from.
        dataset: `DFEW`, `FERV39k`, `MAFW`, or the file or folder name of any other data set.
        clips: the clips that can be used.
        problems: the clips that cannot.
        folds: the number of official folds, 0 if there are none.
        labels: the emotions that the data set's words may mean, in order.
        datasets: the names of the data sets that were read together, in the order of
            `Clip.dataset`; all different.
    """

    source: str
    dataset: str
    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...] = ()
    folds: int = 0
    labels: tuple[str, ...] = EMOTIONS
    datasets: tuple[str, ...] = ()

    def split(self, name: str) -> list[Clip]:
        """Return the clips of one split, in the data set's order."""
        return [clip for clip in self.clips if clip.split == name]

    def table(self) -> pd.DataFrame:
        """Return the number of clips: one row per emotion that occurs, one column per split."""
        counts = Counter((clip.emotion, clip.split) for clip in self.clips)
        present = dict.fromkeys(clip.emotion for clip in self.clips)
        emotions = [e for e in dict.fromkeys((*self.labels, *present)) if e in present]
        splits = list(dict.fromkeys(clip.split for clip in self.clips))
        return pd.DataFrame(
            [[counts[emotion, split] for split in splits] for emotion in emotions],
            index=pd.Index(emotions, name="emotion"),
            columns=[split or "no split" for split in splits],
        )


def read_manifest(path: str, fold: int = 1, labels: Sequence[str] = ()) -> Manifest:
    """Read and check the labeled clips at a path.

    The emotions are given by words (the seven of `EMOTIONS`, those of the layout, and `labels`) or,
    in text files, by numbers from 0: indices into `labels` if these contain other words than the
    seven, else into the seven in the order of DFEW.

    Args:
        path: any of the following:

            - the root folder of DFEW, FERV39k or MAFW;
            - a packed store of any data set (`m3dfel data pack`);
            - a text file of `path frames label` lines, or a folder of such files with the word for
              a split in their names;
            - a CSV file with the columns file and emotion, and optionally split, identity and
              `votes_<emotion>` (how many annotators chose each), beside its pictures, videos and
              frame folders or a zip archive of them;
            - a folder of class folders, within split folders or not;
            - the name of a synthetic data set: `synthetic`, `synthetic-brief`, `synthetic-uneven`;
            - a data set with a layout of your own (see `m3dfel.data.layouts`).
        fold: the official fold, from 1, for data sets that have folds.
        labels: the label set, if it has emotions other than the seven. Emotions outside of it are
            kept.

    Raises:
        InputError: no layout recognizes the path, its label files cannot be read, it has no such
            fold, no usable clip, labels that count from 1, or whole scenes instead of faces.

    Example:
        >>> from m3dfel import read_manifest
        >>> read_manifest("synthetic").table().loc["fear"].to_dict()
        {'train': 80, 'val': 20, 'test': 60}
    """
    root = Path(path).expanduser()
    name, layout = find_layout(root)
    data = layout.describe(root)
    dataset = data.name or (root.name if name in GENERIC else name)
    if data.folds and not 1 <= fold <= data.folds:
        raise InputError(f"{dataset} has the folds 1 to {data.folds}: there is no fold {fold}")
    own = parse_label_set(labels) if labels else ()
    known = tuple(dict.fromkeys((*EMOTIONS, *data.labels, *own)))
    numbered = own if set(own) - set(EMOTIONS) else EMOTIONS
    if layout.scenes:
        raise InputError(
            f"{path} labels whole scenes, and models learn from faces: crop them with `m3dfel data "
            f"crop {path} CLIPS`, and give CLIPS/clips.csv"
        )
    words: set[str | int] = set()
    clips, problems = _check(layout.read(root, fold), known, numbered, words)
    _require_zero(words, path)
    if not clips:
        if not problems:
            raise InputError(f"{path}, read as {name}, lists no clips: add clips or check the path")
        if name == GENERIC[-1] and not any(_is_known(word, known) for word in words):
            # Folders with other names are not class folders, so no layout fits.
            raise unknown_layout(root)
        raise InputError(
            f"{path}, read as {name}, has no usable clip among {len(problems)}; the first problem: "
            f"{problems[0].path}: {problems[0].what}"
        )
    return Manifest(
        path, dataset, tuple(clips), tuple(problems), data.folds, known, datasets=(dataset,)
    )


def read_manifests(data: DataConfig) -> Manifest:
    """Read the data sets of a run as one; each clip says which it is from (`Clip.dataset`).

    A clip that several of them list is used once, as in `read_manifest`. Each may lack some of the
    emotions.

    Raises:
        InputError: as `read_manifest`, for any of the data sets.
    """
    manifests = [read_manifest(path, data.official_fold, data.labels) for path in data.paths]
    if len(manifests) == 1:
        return manifests[0]
    clips, repeats = _without_repeats(
        [
            replace(clip, dataset=i)
            for i, manifest in enumerate(manifests)
            for clip in manifest.clips
        ]
    )
    names = [manifest.dataset for manifest in manifests]
    return Manifest(
        source=", ".join(data.paths),
        dataset=" + ".join(names),
        clips=tuple(clips),
        problems=(*(problem for m in manifests for problem in m.problems), *repeats),
        folds=max(manifest.folds for manifest in manifests),
        labels=tuple(dict.fromkeys(label for m in manifests for label in m.labels)),
        datasets=tuple(names if len(set(names)) == len(names) else data.paths),
    )


def clip_from_path(path: str, emotion: str = "neutral") -> Clip:
    """Return the clip at a path from an earlier manifest, or from a table of its clips.

    Raises:
        InputError: there is no longer a usable clip at the path.
    """
    with suppress(InputError):
        return Clip(path, _kind(path), emotion, "")
    path = from_utf8(path)  # if its name is not UTF-8, tables have it with escapes
    return Clip(path, _kind(path), emotion, "")


# --- checking ------------------------------------------------------------------------------------


def _require_zero(words: Iterable[str | int], path: str) -> None:
    """Check that labels that are numbers do not count from 1.

    Raises:
        InputError: they do, as far as one can tell: there are several, and none is 0.
    """
    numbers = {word for word in words if isinstance(word, int)}
    if len(numbers) > 1 and min(numbers) == 1:
        raise InputError(
            f"the labels in {path} are the numbers 1 to {max(numbers)}, but must count from 0: "
            "subtract 1 from each, or write the emotions"
        )


def _check(
    entries: Iterable[Entry], known: Sequence[str], numbered: Sequence[str], words: set[str | int]
) -> tuple[list[Clip], list[Problem]]:
    """Return the usable clips in the order of the entries, and the problems of the others.

    The labels of all are added to `words`.
    """
    clips: list[Clip] = []
    problems: list[Problem] = []
    for entry in entries:
        words.add(entry.emotion)
        try:
            clips.append(_usable_clip(entry, known, numbered))
        except InputError as error:
            problems.append(Problem(entry.path, str(error)))
        except OSError as error:  # such as a name that is too long
            problems.append(Problem(entry.path, error.strerror or str(error)))
    clips, repeats = _without_repeats(clips)
    return clips, problems + repeats


def _without_repeats(clips: Sequence[Clip]) -> tuple[list[Clip], list[Problem]]:
    """Return each clip once, in the order of their last listings, and the problems of the others.

    A clip listed in two splits is kept for measuring, never for training.
    """
    order = {clip.path: i for i, clip in enumerate(clips)}
    if len(order) == len(clips):
        return list(clips), []
    kept: dict[str, Clip] = {}
    repeats: list[Problem] = []
    priority = {"test": 0, "val": 1}
    for clip in sorted(clips, key=lambda clip: priority.get(clip.split, 2)):
        first = kept.setdefault(clip.path, clip)
        if first is not clip:
            repeats.append(Problem(clip.path, _conflict(first, clip)))
    return sorted(kept.values(), key=lambda clip: order[clip.path]), repeats


def _usable_clip(entry: Entry, known: Sequence[str], numbered: Sequence[str]) -> Clip:
    if entry.problem:
        raise InputError(entry.problem)
    if entry.span_s or entry.region:
        raise InputError("a part of a video: cut it out with `m3dfel data crop`")
    word = entry.emotion
    if isinstance(word, int):
        word = numbered[word] if 0 <= word < len(numbered) else str(word)
    return Clip(
        entry.path,
        _kind(entry.path),
        parse_emotion(word, known),
        parse_split(entry.split),
        entry.identity,
        _known_votes(entry.votes, known),
    )


def _known_votes(votes: Mapping[str, float], known: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Return the votes for emotions; annotators may also have chosen words such as `unknown`."""
    if not votes:
        return ()
    counts = dict.fromkeys(known, 0.0)
    for word, count in votes.items():
        if _is_known(word, known):
            counts[parse_emotion(word, known)] += count
    return tuple((emotion, count) for emotion, count in counts.items() if count)


def _is_known(emotion: str | int, known: Sequence[str]) -> bool:
    try:
        parse_emotion(str(emotion), known)
    except InputError:
        return False
    return True


def _kind(path: str) -> Kind:
    """Return the kind of the clip at a path.

    Raises:
        InputError: the clip cannot be used; the message gives the reason without the path.
    """
    if is_synthetic(path):
        return "synthetic"
    store, name = split_address(path)
    if store:
        return open_store(store).kind(name)
    archive, member = split_member(path)
    if member:
        if member not in zip_members(archive):
            raise InputError("not in the archive, or empty")
        return "still"
    try:
        status = os.stat(path)  # noqa: PTH116  # for every clip, and once instead of three times
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("missing") from None
    if stat.S_ISDIR(status.st_mode):
        if not any(_suffix(file) in PICTURE_SUFFIXES for file in os.listdir(path)):  # noqa: PTH208
            raise InputError("a folder without frames")
        return "frames"
    if not stat.S_ISREG(status.st_mode):
        raise InputError("a pipe or a device")
    if not status.st_size:
        raise InputError("an empty file")
    suffix = _suffix(path)
    if suffix in PICTURE_SUFFIXES:
        return "still"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    raise InputError("neither a picture, a video nor a folder of frames")


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  # a tenth of the time of a Path


def _conflict(first: Clip, second: Clip) -> str:
    if first.split != second.split:
        return f"in both splits, {first.split} and {second.split}; kept in {first.split}"
    if first.emotion != second.emotion:
        return f"listed twice, as {first.emotion} and as {second.emotion}; kept as {first.emotion}"
    return "listed twice; kept once"
