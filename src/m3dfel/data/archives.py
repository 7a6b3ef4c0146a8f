"""Files inside zip archives, named by paths of the form `archive.zip!member`.

Manifests name pictures this way, so a data set of many small pictures can stay in one file.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from functools import cache
from pathlib import Path

from m3dfel.errors import InputError


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


@cache
def zip_members(archive: str) -> frozenset[str]:
    """Return the names of the files in an archive that are not empty.

    Raises:
        InputError: the file cannot be read as a zip archive.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            return frozenset(info.filename for info in opened.infolist() if info.file_size)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read the archive {archive}: {error}") from error


def read_bytes(path: str) -> bytes:
    """Return the content of a file or of an archive's member.

    Raises:
        InputError: the file, the archive or the member is missing or cannot be read.
    """
    archive, member = split_member(path)
    try:
        return _open(archive, os.getpid()).read(member) if member else Path(path).read_bytes()
    # Damaged, encrypted, or compressed in a way that Python does not know.
    except (OSError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"cannot read {path}: {error}") from error


@cache
def _open(archive: str, process: int) -> zipfile.ZipFile:
    # One handle per process: forked processes would share one position in the file.
    return zipfile.ZipFile(archive)
