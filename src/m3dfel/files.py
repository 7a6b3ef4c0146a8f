"""Write files atomically: under a temporary name that is renamed when the file is complete.

A process killed at any moment leaves the previous file or the new one, never a part. Everything
that the package writes goes through here.
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
    """Yield a temporary path to write to, which replaces `path` if the block succeeds.

    The temporary name has the suffix of `path`, for writers that choose the format by it. A folder
    can be written too, if there is none at `path` yet.

    Args:
        path: the file or folder to write; missing parent folders are created.

    Raises:
        InputError: the path cannot be written.
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
        where = Path(error.filename) if isinstance(error.filename, str) else path
        if not (where.is_relative_to(path.parent) or path.is_relative_to(where)):
            raise  # about another file, which the block reads
        raise InputError(
            f"cannot write {path} ({error.strerror or error}): choose another path"
        ) from error


def csv_separator(path: str | Path) -> str:
    """Return what separates the columns of a CSV file: a comma, or `;` as spreadsheets may write.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open(encoding="utf-8", errors="replace") as file:
        heading = file.readline()
    return ";" if ";" in heading and "," not in heading else ","


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
