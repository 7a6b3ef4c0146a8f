"""Class folders: one folder per emotion, with its clips in it, within split folders or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, Entry, Layout, parse_split
from m3dfel.errors import InputError
from m3dfel.video.decode import VIDEO_SUFFIXES
from m3dfel.video.pictures import PICTURE_SUFFIXES


@LAYOUTS.register("class folders")
class ClassFolders(Layout):
    """Folders named after emotions, with or without split folders around them."""

    expects = "folders named after emotions of the label set, with the clips in them"

    @staticmethod
    def recognizes(path: Path) -> bool:
        return any(_is_clip(item) for parent in _split_folders(path) for item in _items(parent))

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        parents = _split_folders(path)
        for other in _folders(path):
            if path not in parents and other not in parents and any(map(_is_clip, _items(other))):
                yield Entry(str(other), "", "", problem="unknown split: use train, val or test")
        for parent, split in parents.items():
            for item in _items(parent):
                if item.is_dir() or _is_media(item):
                    yield Entry(str(item), item.parent.name, split)


def _split_folders(root: Path) -> dict[Path, str]:
    """Return the folders that hold the class folders, each with its split."""
    splits = {item: _split(item.name) for item in _folders(root)}
    return {item: split for item, split in splits.items() if split} or {root: ""}


def _split(name: str) -> str:
    try:
        return parse_split(name)
    except InputError:
        return ""


def _items(parent: Path) -> Iterator[Path]:
    """Yield what lies in the class folders of a split."""
    for folder in _folders(parent):
        yield from sorted(folder.iterdir())


def _folders(path: Path) -> list[Path]:
    return sorted(item for item in path.iterdir() if item.is_dir()) if path.is_dir() else []


def _is_clip(item: Path) -> bool:
    return any(map(_is_media, item.iterdir())) if item.is_dir() else _is_media(item)


def _is_media(item: Path) -> bool:
    return item.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES
