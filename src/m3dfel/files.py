"""Write files so that nothing is lost: neither by a kill, nor by replacing files of the user.

Files are written under a temporary name that is renamed when the file is complete. A process killed
at any moment leaves the previous file or the new one, never a part. Everything that the package
writes goes through here.

A folder with results has a list of what the package wrote there (`.m3dfel`), with checksums, so
that it replaces no file that it did not write, or that was changed since.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from m3dfel.errors import DiskFullError, InputError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces `path` if the block succeeds.

    The temporary name has the suffix of `path`, for writers that choose the format by it. A folder
    can be written too, if there is none at `path` yet.

    Args:
        path: the file or folder to write; missing parent folders are created.

    Raises:
        DiskFullError: there is no room left.
        InputError: the path cannot be written.
    """
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _note_written(path, temporary)
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
        if error.errno in _DISK_FULL:
            raise DiskFullError(
                f"cannot write {path} ({error.strerror}): make room, then run the command again"
            ) from error
        raise InputError(
            f"cannot write {path} ({error.strerror or error}): choose another path"
        ) from error


_DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@contextmanager
def only_process(folder: Path, work: str) -> Iterator[None]:
    """Let no other process do the same in a folder meanwhile; a killed process blocks nobody.

    Args:
        folder: is created if missing.
        work: what the process does there, for the message, such as "packing".

    Raises:
        InputError: another process does so, or the folder cannot be written to.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"another process is {work} in {folder}: wait until it ends, or choose another folder"
        ) from error
    except OSError as error:
        raise _cannot_write_to(folder, error) from error
    try:
        yield
    finally:
        lock.release()


LOCK = ".m3dfel.lock"
"""Name of the file that is locked; it may stay in the folder."""


def _cannot_write_to(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot write to {folder} ({error.strerror or error}): choose another folder"
    )


def check_replaceable(paths: Iterable[Path], overwrite: bool = False) -> None:
    """Check that results can be written to some paths, before the work for them starts.

    Args:
        paths: of the files.
        overwrite: files that the package did not write may be replaced.

    Raises:
        InputError: there is a file that the package did not write, or that was changed since; or a
            folder cannot be written to.
    """
    paths = list(paths)
    for path in paths:
        if not overwrite and path.exists() and not _is_own(path):
            raise InputError(
                f"{path} was not written by m3dfel, or was changed since: choose another name or "
                "folder, or replace it with --overwrite"
            )
    for folder in {path.parent.absolute() for path in paths}:
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
        # Only this tells whether files can be created, whatever the permissions say.
        trial = nearest / f".{os.getpid()}-{_LIST}"
        try:
            trial.touch()
            trial.unlink()
        except OSError as error:
            raise _cannot_write_to(folder, error) from error


def start_list(folder: Path) -> None:
    """Note from now on what the package writes into a folder, which is created if missing.

    Raises:
        InputError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _LIST).touch()
    except OSError as error:
        raise _cannot_write_to(folder, error) from error


def written_names(folder: Path) -> frozenset[str]:
    """Return the names of the files that the package wrote into a folder of results."""
    return frozenset(name for _, name in _entries(folder))


_LIST = ".m3dfel"
"""Name of the list: on each line the checksum and the name of a file."""


def _entries(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        text = (folder / _LIST).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    for line in text.splitlines():
        checksum, _, name = line.partition(" ")
        yield checksum, name


def _is_own(path: Path) -> bool:
    known = {checksum for checksum, name in _entries(path.parent) if name == path.name}
    return bool(known) and path.is_file() and _checksum(path) in known


def _note_written(path: Path, temporary: Path) -> None:
    """Enter a complete file into the list of its folder, if it has one, before it gets its name."""
    written = path.with_name(_LIST)
    if written.exists() and temporary.is_file():
        # In one piece, since several processes may write here.
        line = f"{_checksum(temporary)} {path.name}\n"
        with written.open("ab", buffering=0) as file:
            file.write(line.encode("utf-8", errors="surrogateescape"))


def _checksum(path: Path) -> str:
    checksum = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            checksum.update(part)
    return checksum.hexdigest()


def exists(path: Path) -> bool:
    """Return whether there is a file or a folder at a path, which may be longer than paths can be.

    `Path.exists` raises errors where a table names no file at all.
    """
    return os.path.exists(path)  # noqa: PTH110


def printable(name: object) -> str:
    r"""Return a name for people: what is not a character becomes an escape such as `\xff`."""
    return "".join(char if char.isprintable() else _escaped(char) for char in str(name))


def _escaped(char: str) -> str:
    # Python keeps a byte of a file name that is no UTF-8 as one of these characters.
    byte = ord(char) - 0xDC00
    if 0x80 <= byte <= 0xFF:
        return f"\\x{byte:02x}"
    return char.encode("unicode_escape").decode()


_START, _END = 1500, 500  # characters of a text that is too long


def shown(text: str) -> str:
    """Return a text of a few lines in which no name can control the terminal."""
    if len(text) > _START + _END:
        text = f"{text[:_START]} … {text[-_END:]}"
    return "\n".join(map(printable, text.split("\n")))


_NO_CHARACTER = re.compile("[\ud800-\udfff]")


def as_utf8(text: str) -> str:
    r"""Return a text that can be written as UTF-8: what is not a character becomes `\xff`."""
    return _NO_CHARACTER.sub(lambda match: _escaped(match[0]), text)


def from_utf8(text: str) -> str:
    r"""Return the text that `as_utf8` wrote, if none of it was `\xff` before."""
    return _ESCAPED_BYTE.sub(lambda match: chr(0xDC00 + int(match[1], 16)), text)


_ESCAPED_BYTE = re.compile(r"\\x([89a-f][0-9a-f])")


def write_text(path: Path, text: str) -> None:
    r"""Write a UTF-8 text file atomically; what is not a character becomes an escape like `\xff`.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_bytes(as_utf8(text).encode("utf-8"))
