"""The exception for invalid user input.

Checks of what a user provides (a path, a video, a manifest, a setting) raise `InputError` with one
sentence that says what is wrong, where, and what to do. The command line prints the sentence and
exits with status 2; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

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


def first_line(error: Exception) -> str:
    """Return the first line of another package's error, for a message of our own."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def wrong_value(name: str, problem: ErrorDetails) -> str:
    """Return what pydantic found wrong with a value, as a sentence."""
    return f"{name} is {problem['input']!r} {problem['msg'].replace('Input should', 'but must', 1)}"
