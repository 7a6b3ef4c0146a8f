import numpy as np
import pytest

from m3dfel.emotions import EMOTIONS, colors
from m3dfel.report.drawing.sprites import (
    composite,
    fitting_text,
    mix,
    number_disk,
    rgb,
    rounded_rectangle,
    tag,
    text,
    text_color,
)


@pytest.mark.parametrize(
    ("left", "top"),
    [(-5, -5), (15, 15), (-50, 0), (0, 50), (24, 24), (3, 3), (-2, 18)],
)
def test_what_lies_outside_of_the_picture_is_cut_off(left: int, top: int):
    sprite = rounded_rectangle(10, 10, 0, "#ff0000")
    canvas = np.zeros((20, 20, 3), np.uint8)
    composite(canvas, sprite, left, top)
    rows, columns = np.nonzero(canvas[..., 0])
    expected = {
        (y, x)
        for y in range(max(0, top), min(20, top + 10))
        for x in range(max(0, left), min(20, left + 10))
    }
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == expected


def test_a_sprite_is_blended_with_what_is_behind_it():
    canvas = np.full((4, 4, 3), 200, np.uint8)
    composite(canvas, rounded_rectangle(4, 4, 0, "#000000") * np.float32(0.25), 0, 0)
    assert np.all(canvas == 150)
    assert mix("#000000", 0.25, "#c8c8c8").tolist() == [150, 150, 150]


def test_edges_of_a_disk_are_smooth():
    opacity = number_disk(3, 15, "#16325c")[..., 3]
    assert opacity[0, 0] == 0
    assert opacity[7, 1] == 1
    assert np.any((opacity > 0.2) & (opacity < 0.8))


def test_text_that_is_too_wide_becomes_smaller():
    assert fitting_text("disappointment", 20, "#222222", 100).shape[1] <= 100
    assert np.array_equal(
        fitting_text("fear", 20, "#222222", 100), text("fear", 20, "#222222", False)
    )


def test_a_tag_shows_the_colors_of_the_face_and_of_the_emotion():
    sprite = tag(2, "anger", 19, "#a8326e", "#c8402f")
    shown = {tuple(color) for color in sprite[..., :3].reshape(-1, 3).round().tolist()}
    assert {(168, 50, 110), (200, 64, 47), (255, 255, 255)} <= shown
    without_dot = tag(2, "anger", 19, "#a8326e", None)
    assert without_dot.shape[1] < sprite.shape[1]


def test_text_is_dark_on_light_colors_and_white_on_dark_ones():
    on_emotions = {emotion: text_color(rgb(color)) for emotion, color in colors(EMOTIONS).items()}
    dark = {emotion for emotion, color in on_emotions.items() if color == "#222222"}
    assert dark == {"happiness", "surprise", "disgust"}
    assert text_color(rgb("#3b6fb6")) == "#ffffff"
