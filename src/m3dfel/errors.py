"""The one error that is the user's to mend.

Every check of what a user gave (a path, a video, a manifest, a setting) raises `InputError` with
one sentence that says what is wrong, where, and what to do; the command line prints that sentence
and exits with 2. Any other exception is a fault of this package and keeps its traceback.
"""


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, where and what to do."""
