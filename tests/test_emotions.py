from itertools import combinations

import numpy as np
import pytest
from PIL import ImageColor

from m3dfel.emotions import EMOTIONS, colors, parse_emotion, parse_label_set
from m3dfel.errors import InputError

# What people without cones for green, and without those for red, see of linear RGB: Machado,
# Oliveira and Fernandes, IEEE TVCG 2009, severity 1.
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
TO_XYZ = [  # of linear sRGB, relative to white
    [0.433953, 0.376219, 0.189828],
    [0.212673, 0.715152, 0.072175],
    [0.017758, 0.109477, 0.872765],
]
OTHERS = ["contempt", "anxiety", "helplessness", "disappointment", "calm", "tense", "bored"]


@pytest.mark.parametrize(
    ("word", "emotion"), [("Happy", "happiness"), (" ANGRY ", "anger"), ("fear", "fear")]
)
def test_the_words_of_the_data_sets_are_understood(word: str, emotion: str):
    assert parse_emotion(word) == emotion


def test_an_unknown_emotion_names_the_known_ones():
    with pytest.raises(InputError, match=r"unknown emotion 'bored'.*happiness"):
        parse_emotion("bored")


def test_label_sets_are_free_words_without_repeats():
    assert parse_label_set(["Happy", "Contempt"]) == ("happiness", "contempt")
    with pytest.raises(InputError, match="different"):
        parse_label_set(["fear", "Fear"])
    with pytest.raises(InputError, match="different"):
        parse_label_set(["fear", " "])


def test_every_emotion_has_a_color_of_its_own_and_the_seven_keep_theirs():
    more = ["contempt", *EMOTIONS, "anxiety", "helplessness", "disappointment"]
    chosen = colors(more)
    assert len(set(chosen.values())) == len(more)
    assert {e: chosen[e] for e in EMOTIONS} == colors(EMOTIONS)


def lab(color: str, vision: object = np.eye(3)) -> np.ndarray:
    """Return lightness from 0 to 100, green to red, and blue to yellow, as someone sees them."""
    rgb = np.array(ImageColor.getrgb(color)) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(np.array(TO_XYZ) @ np.clip(np.array(vision) @ linear, 0, 1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_the_seven_emotions_differ_in_gray():
    lightness = sorted(lab(color)[0] for color in colors(EMOTIONS).values())
    assert min(np.diff(lightness)) > 7


@pytest.mark.parametrize("vision", [np.eye(3), DEUTERANOPIA, PROTANOPIA])
def test_all_emotions_differ_whatever_colors_one_sees(vision: object):
    seen = [lab(color, vision) for color in colors([*EMOTIONS, *OTHERS]).values()]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 14
