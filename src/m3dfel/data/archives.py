"""Files inside zip archives, named by paths of the form `archive.zip!member`.

Manifests name pictures this way, so a data set of many small pictures can stay in one file.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

from m3dfel.errors import InputError

MAX_BYTES = 256 * 2**20
"""A larger member is no picture; a small archive can hold members of any size."""


def split_member(path: str) -> tuple[str, str]:
    """Split a path into archive and member; the member is empty for a plain path.

    Example:
        >>> split_member("faces.zip!ann/1.jpg")
        ('faces.zip', 'ann/1.jpg')
        >>> split_member("faces/1.jpg")
        ('faces/1.jpg', '')
    """
    archive, mark, member = path.partition(".zip!")
    return (archive + ".zip", member) if mark else (path, "")


def zip_members(archive: str) -> frozenset[str]:
    """Return the names of the files in an archive that are not empty.

    Raises:
        InputError: the file cannot be read as a zip archive.
    """
    try:
        return _open(archive)[1]
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read the archive {archive}: {error}") from error


def read_bytes(path: str) -> bytes:
    """Return the content of a file or of an archive's member.

    Raises:
        InputError: the file, the archive or the member is missing, too large or cannot be read.
    """
    archive, member = split_member(path)
    try:
        if not member:
            return Path(path).read_bytes()
        file, _ = _open(archive)
        if file.getinfo(member).file_size > MAX_BYTES:
            raise InputError(f"cannot read {path}: it is larger than any picture")
        return file.read(member)
    # Damaged, encrypted, or compressed in a way that Python does not know.
    except (OSError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path}: {reason}") from error


def _open(archive: str) -> tuple[zipfile.ZipFile, frozenset[str]]:
    """Return an open archive and the names of its members, opened again if its file has changed."""
    status = os.stat(archive)  # noqa: PTH116  # for every picture, and twice as fast as pathlib
    # One handle per process: forked processes would share one position in the file.
    return _opened(archive, status.st_size, status.st_mtime_ns, os.getpid())


@lru_cache(maxsize=128)  # fewer files than any system lets a process open
def _opened(
    archive: str, size: int, changed: int, process: int
) -> tuple[zipfile.ZipFile, frozenset[str]]:
    file = zipfile.ZipFile(archive)  # size, time and process are only there for the cache
    return file, frozenset(info.filename for info in file.infolist() if info.file_size)
