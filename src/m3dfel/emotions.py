"""Emotions: the seven that most data sets share, the words for them, and the color of each.

The order of the seven is DFEW's, which FERV39k and the text files of other repositories share
(0 = happiness … 6 = fear). Label sets are free: any other word is an emotion too.
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
"""The default label set.

Example:
    >>> from m3dfel import EMOTIONS
    >>> EMOTIONS[:3]
    ('happiness', 'sadness', 'neutral')
"""

# Seven steps of lightness, so that they differ in gray and with color blindness too: from light
# to dark happiness, surprise, disgust, neutral, sadness, anger, fear.
_COLORS: dict[str, str] = {
    "happiness": "#f3b327",
    "sadness": "#3b6fb6",
    "neutral": "#818181",
    "anger": "#b0291e",
    "surprise": "#4ebbac",
    "disgust": "#72a156",
    "fear": "#63318a",
}

# For all other words, in order: unlike the seven above and each other, also with color blindness.
_OTHER_COLORS = ("#882255", "#88ccee", "#222222", "#cccc66", "#2255ee", "#cc6600", "#000088")

CHINESE: dict[str, str] = {
    "happiness": "高兴",
    "sadness": "悲伤",
    "neutral": "中性",
    "anger": "愤怒",
    "surprise": "惊讶",
    "disgust": "厌恶",
    "fear": "恐惧",
    "contempt": "轻蔑",
    "anxiety": "焦虑",
    "helplessness": "无助",
    "disappointment": "失望",
}
"""The Chinese names of the emotions in DFEW, FERV39k and MAFW."""

_WORDS: dict[str, str] = {
    "happy": "happiness",
    "sad": "sadness",
    "angry": "anger",
    "surprised": "surprise",
    "disgusted": "disgust",
    "fearful": "fear",
} | {chinese: english for english, chinese in CHINESE.items()}


def parse_emotion(word: str, labels: Sequence[str] = EMOTIONS) -> str:
    """Return the emotion that a data set's own word means, whatever its case.

    Args:
        word: such as `Happy` or `happiness`.
        labels: the emotions that are expected.

    Raises:
        InputError: the word means none of the emotions expected.
    """
    name = _normalize(word)
    if name not in labels:
        raise InputError(f"unknown emotion {word!r}: use one of {', '.join(labels)}")
    return name


def parse_label_set(words: Sequence[str]) -> tuple[str, ...]:
    """Return a label set from words, in the given order.

    Raises:
        InputError: an empty word, a repeated emotion, or fewer than two.
    """
    labels = tuple(_normalize(word) for word in words)
    if len(labels) < 2 or len(set(labels)) != len(labels) or not all(labels):
        raise InputError(f"a label set needs two or more different emotions, not {list(words)}")
    return labels


def names_in(lang: str, labels: Sequence[str]) -> dict[str, str]:
    """Return the name of each emotion of a label set in a language.

    Args:
        lang: `en` for the labels as they are, `zh` for Chinese.
        labels: the label set. Words without a translation stay as they are.

    Example:
        >>> from m3dfel.emotions import names_in
        >>> names_in("zh", ["happiness", "calm"])
        {'happiness': '高兴', 'calm': 'calm'}
    """
    translations = CHINESE if lang == "zh" else {}
    return {label: translations.get(label, label) for label in labels}


def _normalize(word: str) -> str:
    name = word.strip().lower()
    return _WORDS.get(name, name)


def colors(labels: Sequence[str]) -> dict[str, str]:
    """Return the color of each emotion of a label set, as `#rrggbb`.

    The seven keep their colors in every label set and language. Other words take theirs from a
    color-blind safe row, in the order of the label set; beyond seven of them, colors repeat.
    """
    others = [label for label in labels if _normalize(label) not in _COLORS]
    chosen = {label: _OTHER_COLORS[i % len(_OTHER_COLORS)] for i, label in enumerate(others)}
    return {label: _COLORS.get(_normalize(label)) or chosen[label] for label in labels}
