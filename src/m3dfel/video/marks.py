"""Marks: why a face is unreadable, or an answer uncertain.

Set by `quality` for each frame and by recognition for each clip; tables and pictures show them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

TOO_SMALL = "too small"
TURNED_AWAY = "turned away"
BLURRED = "blurred"

UNREADABLE = (TOO_SMALL, TURNED_AWAY, BLURRED)
"""The marks of faces that get no answer."""

UNCERTAIN = "uncertain"
"""The mark of an answer whose confidence is below the model's `min_confidence`."""

NO_FACE = "no face"
"""What a timeline says where a person is not in the picture."""


def majority_mark(marks: Sequence[str]) -> str:
    """Return the most common mark if more than half of a clip's frames have one, else empty.

    Args:
        marks: of each frame, empty where the face is readable.
    """
    counts = Counter(mark for mark in marks if mark)
    return counts.most_common(1)[0][0] if 2 * counts.total() > len(marks) else ""
