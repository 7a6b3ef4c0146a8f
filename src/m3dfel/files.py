"""Files and folders that are whole or not there: written under a temporary name, then renamed.

A kill at any moment leaves the last good file. Everything the package writes goes through here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from m3dfel.errors import InputError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; it takes the place of `path` when the block succeeds.

    The temporary name keeps the ending, so that writers that go by it write the right format. A
    folder may be written as well as a file, where there is none yet.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            if temporary.is_dir():
                shutil.rmtree(temporary)
            else:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write {path} ({error.strerror or error}): choose another place"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
