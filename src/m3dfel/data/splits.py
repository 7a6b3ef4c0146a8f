"""Splits: which clips are trained on, validated on and tested on.

`split_clips` gives the three lists of a training run, from the data set's own splits or from folds
of our own. Clips of one identity always stay on the same side, and the same clips and seed always
give the same split.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch

from m3dfel.config import DataConfig
from m3dfel.data.manifest import Clip, Manifest
from m3dfel.errors import InputError

logger = logging.getLogger(__name__)


def split_clips(manifest: Manifest, config: DataConfig, seed: int) -> dict[str, list[Clip]]:
    """Return the clips of a training run, restricted to its label set.

    Clips of data sets without splits are training clips. Labels that no training clip has are named
    in a warning: a model cannot learn them.

    Args:
        manifest: the data set.
        config: the label set, the folds, and how much to hold out for validation of the data sets
            that have no validation split of their own.
        seed: the run's seed.

    Returns:
        The clips of `train`, `val` and `test`; the last two can be empty.

    Raises:
        InputError: there are no training clips, or too few for the folds.
    """
    clips = list(manifest.clips)
    if config.folds:
        clips = assign_folds(clips, config, seed)
    usable = keep_labels(clips, config.labels)
    usable = [clip if clip.split else replace(clip, split="train") for clip in usable]
    splits = {n: [c for c in usable if c.split == n] for n in ("train", "val", "test")}
    if not splits["train"]:
        raise InputError(
            f"{manifest.source} has no training clips of {', '.join(config.labels)}: its splits "
            f"are {', '.join(dict.fromkeys(clip.split for clip in manifest.clips))}; put clips "
            "into the split train (a folder train/<emotion>, or the column split), or divide them "
            "with data.folds"
        )
    _warn_of_empty_classes(splits["train"], config.labels)
    validated = {clip.dataset for clip in splits["val"]}
    others = [clip for clip in splits["train"] if clip.dataset not in validated]
    if others and config.val_fraction:
        held = hold_out(others, config.val_fraction, seed)
        paths = {clip.path for clip in held}
        splits["train"] = [clip for clip in splits["train"] if clip.path not in paths]
        splits["val"] += held
    return splits


def _warn_of_empty_classes(clips: Iterable[Clip], labels: Iterable[str]) -> None:
    trained = {clip.emotion for clip in clips}
    missing = [label for label in labels if label not in trained]
    if missing:
        logger.warning(
            "no training clip is labeled %s: the model cannot learn an emotion without clips; "
            "check the data set with `m3dfel data check` or shorten data.labels",
            " or ".join(missing),
        )


def keep_labels(clips: Iterable[Clip], labels: Sequence[str]) -> list[Clip]:
    """Return the clips whose emotion is in the label set."""
    return [clip for clip in clips if clip.emotion in labels]


def hold_out(clips: Sequence[Clip], fraction: float, seed: int) -> list[Clip]:
    """Return the training clips to hold out, class by class; their split is `val`.

    No identity is on both sides.

    Args:
        clips: the training split.
        fraction: fraction of each class's identities (of its clips, where identities are unknown)
            to hold out, 0 to 1; a class with two or more always gives at least one.
        seed: the run's seed.
    """
    held: set[tuple[int, str]] = set()
    for groups in _shuffled_groups(clips, seed):
        count = max(round(fraction * len(groups)), 1 if fraction and len(groups) > 1 else 0)
        held.update(groups[:count])
    return [replace(clip, split="val") for clip in clips if _group(clip) in held]


def assign_folds(clips: Sequence[Clip], config: DataConfig, seed: int) -> list[Clip]:
    """Split all clips anew, whatever their splits: one fold to test on, the others to train on.

    Args:
        clips: the clips of a data set without official folds.
        config: how many folds, each with about the same number of clips of every class and no
            identity in two, or `identity`: one fold for each of the `identities` with clips of the
            label set. Also the fold to test on.
        seed: the run's seed.

    Returns:
        All clips in the same order, with the splits `train` and `test`.

    Raises:
        InputError: the fold has no clips, or they are to be of identities that a clip lacks.
    """
    if config.folds == "identity":
        groups = identities(keep_labels(clips, config.labels))
        if config.fold > len(groups):
            raise InputError(f"data.fold is {config.fold} but there are {len(groups)} identities")
        tested = {groups[config.fold - 1]}
    else:
        groups = [group for groups in _shuffled_groups(clips, seed) for group in groups]
        tested = set(groups[config.fold - 1 :: config.folds])
        if not tested:
            raise InputError(
                f"{len(groups)} identities or clips are too few for {config.folds} folds: lower "
                "data.folds"
            )
    return [replace(c, split="test" if _group(c) in tested else "train") for c in clips]


def identities(clips: Sequence[Clip]) -> list[tuple[int, str]]:
    """Return the identities of clips, each with the index of its data set, sorted.

    Raises:
        InputError: a clip has none.
    """
    unknown = next((clip.path for clip in clips if not clip.identity), None)
    if unknown:
        raise InputError(
            f"data.folds is identity but nobody says who {unknown} shows: give the data a column "
            "identity, or the number of folds"
        )
    return sorted({_group(clip) for clip in clips})


def _group(clip: Clip) -> tuple[int, str]:
    """Return what the clips that must stay together share: an identity, or one clip's path."""
    return clip.dataset, clip.identity or clip.path


def _shuffled_groups(clips: Sequence[Clip], seed: int) -> list[list[tuple[int, str]]]:
    """Return the groups of each emotion in random order.

    A group with several emotions counts for the one that is rarest in the data set.
    """
    counts = Counter(clip.emotion for clip in clips)
    rarest: dict[tuple[int, str], Clip] = {}
    for clip in clips:
        first = rarest.setdefault(_group(clip), clip)
        if counts[clip.emotion] < counts[first.emotion]:
            rarest[_group(clip)] = clip
    by_emotion: dict[str, list[tuple[int, str]]] = {}
    for group, clip in rarest.items():
        by_emotion.setdefault(clip.emotion, []).append(group)
    generator = torch.Generator().manual_seed(seed)
    return [
        [groups[i] for i in torch.randperm(len(groups), generator=generator).tolist()]
        for groups in by_emotion.values()
    ]
