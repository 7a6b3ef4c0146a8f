"""The exception for invalid user input.

Checks of what a user provides (a path, a video, a manifest, a setting) raise `InputError` with one
sentence that says what is wrong, where, and what to do. The command line prints the sentence and
exits with status 2; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class InputError(ValueError):
    """Raised for invalid user input; the message says what is wrong, where, and what to do.

    Example:
        >>> from m3dfel import M3DFEL, InputError
        >>> try:
        ...     M3DFEL(frames=16, bag_size=3)
        ... except InputError as error:
        ...     print(error)
        the bag size is 3 but must divide the clip's 16 frames
    """


class DiskFullError(InputError):
    """Raised where a disk is full, so that no more work is done for results that find no room."""


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Say what to install if a package that is imported meanwhile is missing.

    Args:
        extra: of this package, which brings the other.
        what: a clause that says what needs it.

    Raises:
        InputError: it is missing.
    """
    try:
        yield
    except ImportError as error:
        raise InputError(f"{what}: run pip install '.[{extra}]' in the folder of m3dfel") from error


def first_line(error: Exception) -> str:
    """Return the first line of another package's error, for a message of our own."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def wrong_value(name: str, problem: ErrorDetails) -> str:
    """Return what pydantic found wrong with a value, as a sentence."""
    return f"{name} is {problem['input']!r} {problem['msg'].replace('Input should', 'but must', 1)}"
