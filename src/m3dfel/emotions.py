"""The seven emotions, the words and numbers each data set uses for them, and their colours.

Everything that names an emotion (manifests, models, tables, figures) takes the name, the order and
the colour from here. The order is DFEW's, which FERV39k and the text files of other repositories
share (0 = happiness … 6 = fear).
"""

from __future__ import annotations

from collections.abc import Sequence

from m3dfel.errors import InputError

EMOTIONS: tuple[str, ...] = (
    "happiness",
    "sadness",
    "neutral",
    "anger",
    "surprise",
    "disgust",
    "fear",
)

COLOURS: dict[str, str] = {
    "happiness": "#e6a817",
    "sadness": "#3b6fb6",
    "neutral": "#8c8c8c",
    "anger": "#c8402f",
    "surprise": "#2a9d8f",
    "disgust": "#6a994e",
    "fear": "#7b5ea7",
}

_WORDS: dict[str, str] = {
    "happy": "happiness",
    "sad": "sadness",
    "angry": "anger",
    "surprised": "surprise",
    "disgusted": "disgust",
    "fearful": "fear",
}


def parse_emotion(word: str) -> str:
    """Return the emotion a data set's own word stands for, whatever its case.

    Raises:
        InputError: the word names none of the seven emotions.
    """
    name = word.strip().lower()
    name = _WORDS.get(name, name)
    if name not in EMOTIONS:
        raise InputError(f"unknown emotion {word!r}: use one of {', '.join(EMOTIONS)}")
    return name


def parse_label_set(words: Sequence[str]) -> tuple[str, ...]:
    """Return the emotions named, in the given order, checked to be at least two and all different.

    Raises:
        InputError: an unknown emotion, one given twice, or fewer than two.
    """
    labels = tuple(parse_emotion(word) for word in words)
    if len(labels) < 2 or len(set(labels)) != len(labels):
        raise InputError(f"a label set needs two or more different emotions, not {list(words)}")
    return labels
