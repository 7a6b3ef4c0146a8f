from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from m3dfel.emotions import EMOTIONS, colors
from m3dfel.errors import InputError
from m3dfel.report.annotate import Annotator, annotate_video
from m3dfel.report.drawing.sprites import rgb
from m3dfel.video.decode import Frame, probe, read_video
from m3dfel.video.encode import write_video
from made_up import MAFW, made_up_prediction

FPS = 25
COLORS = colors(EMOTIONS)


def film_of(*spans: tuple[float, float], width: int = 640, labels=EMOTIONS, **options):
    """A prediction with faces side by side in these spans, their boxes included."""
    prediction = made_up_prediction(*spans, labels=labels, duration_s=10, **options)
    rows = []
    for face, (start_s, end_s) in enumerate(spans, start=1):
        left = 20 + (face - 1) * (width - 40) / len(spans)
        for frame in range(round(start_s * FPS), round(end_s * FPS)):
            box = {"x1": left, "y1": 100.0, "x2": left + 60, "y2": 180.0}
            row = {"track": face, "person": face, "frame": frame, "time_s": frame / FPS}
            rows.append({**row, **box, "score": 0.9, "mark": ""})
    columns = ["track", "person", "frame", "time_s", "x1", "y1", "x2", "y2", "score", "mark"]
    prediction.frames = pd.DataFrame(rows, columns=columns)
    prediction.duration_s = 10.0
    return prediction


def drawn(prediction, time_s: float, width: int = 640, height: int = 360) -> np.ndarray:
    annotator = Annotator(prediction, width, height)
    image = np.full((height, width, 3), 100, np.uint8)
    return annotator.draw(Frame(round(time_s * FPS), time_s, image))


def has_color(picture: np.ndarray, color: str) -> bool:
    return bool((np.abs(picture.astype(int) - rgb(color)).max(-1) <= 2).any())


def pixels(picture: np.ndarray, color: str) -> int:
    return int((np.abs(picture.astype(int) - rgb(color)).max(-1) <= 2).sum())


# --- picture -------------------------------------------------------------------------------------


def test_the_picture_is_unchanged_but_for_boxes_and_names():
    canvas = drawn(film_of((0, 4)), 1.0)
    picture = canvas[:360, :640]
    assert np.all(picture[:60] == 100)
    assert np.all(picture[:, 220:] == 100)
    assert np.all(picture[110:170, 30:70] == 100), "the face itself stays free"
    assert has_color(picture, "#16325c")
    assert has_color(picture, COLORS["happiness"]), "the dot of the emotion"


def test_nothing_is_drawn_into_a_frame_without_a_face():
    picture = drawn(film_of((0, 4)), 6.0)[:360, :640]
    assert np.all(picture == 100)


def test_every_face_has_a_color_of_its_own():
    picture = drawn(film_of((0, 4), (0, 4), (0, 4)), 1.0)[:360, :640]
    for color in ("#16325c", "#a8326e", "#0b7285"):
        assert has_color(picture, color)


@pytest.mark.parametrize("box", [(0, 0, 640, 360), (-30, -20, 40, 60), (600, 300, 700, 400)])
def test_a_face_at_the_edge_still_has_its_name_in_the_picture(box: tuple[int, int, int, int]):
    prediction = film_of((0, 4))
    prediction.frames[["x1", "y1", "x2", "y2"]] = box
    picture = drawn(prediction, 1.0)[:360, :640]
    assert has_color(picture, COLORS["happiness"])


def test_the_name_does_not_jump_when_a_face_bobs_at_the_top_of_the_picture():
    prediction = film_of((0, 4))
    bobbing = 24 + 20 * np.sin(np.arange(len(prediction.frames)))
    prediction.frames["y1"] = bobbing
    annotator = Annotator(prediction, 640, 360)
    image = np.full((360, 640, 3), 100, np.uint8)
    below = []
    for index in range(30, 60):
        picture = annotator.draw(Frame(index, index / FPS, image))[:360, :640]
        below.append(has_color(picture[188:], "#16325c"))
    assert len(set(below)) == 1


# --- cards ---------------------------------------------------------------------------------------


def test_bars_are_as_long_as_the_probabilities():
    panel = drawn(film_of((0, 4)), 0.5)[:360, 640:]
    happiness = np.abs(panel.astype(int) - rgb(COLORS["happiness"])).max(-1) <= 2
    track = np.abs(panel.astype(int) - 0xF3).max(-1) <= 2
    row = happiness.any(1).argmax()
    assert happiness[row].sum() / (happiness[row].sum() + track[row].sum()) == pytest.approx(
        0.7, abs=0.03
    )


def test_an_unreadable_face_has_its_mark_and_no_bars():
    prediction = film_of((0, 4))
    columns = ["emotion", "confidence", *(f"p_{emotion}" for emotion in EMOTIONS)]
    prediction.clips[columns] = prediction.clips[columns].astype(object)
    prediction.clips.loc[:, columns] = np.nan
    prediction.clips["mark"] = "turned away"
    canvas = drawn(prediction, 1.0)
    for emotion in set(EMOTIONS) - {"neutral"}:  # whose gray is also that of text
        assert not has_color(canvas, COLORS[emotion])
    prediction.clips["mark"] = "blurred"
    assert not np.array_equal(canvas, drawn(prediction, 1.0)), "the mark is written"


def test_an_uncertain_emotion_is_pale():
    prediction = film_of((0, 4))
    prediction.clips["mark"] = "uncertain"
    canvas = drawn(prediction, 1.0)
    assert not has_color(canvas, COLORS["happiness"])


def test_a_face_takes_over_the_card_and_the_lane_of_one_that_left():
    sizes = [
        drawn(film_of(*spans), 1.0).shape
        for spans in ([(0, 4)], [(0, 4), (5, 9)], [(0, 4), (3, 9)])
    ]
    assert sizes[0] == sizes[1]
    assert sizes[2][0] > sizes[1][0], "two faces at once need two lanes"


@pytest.mark.parametrize("faces", [1, 3, 40])
@pytest.mark.parametrize(("width", "height"), [(640, 360), (360, 640), (47, 33), (16, 8)])
def test_any_size_and_number_of_faces_gives_even_sides(faces: int, width: int, height: int):
    prediction = film_of(*[(0, 4)] * faces, width=max(width, 64))
    canvas = drawn(prediction, 1.0, width, height)
    assert canvas.shape[0] % 2 == canvas.shape[1] % 2 == 0
    assert canvas.shape[0] <= 1.6 * height + 250


def test_other_label_sets_fit():
    canvas = drawn(film_of((0, 4), labels=MAFW), 1.0)
    assert canvas.shape[1] < 900
    assert has_color(canvas, colors(MAFW)["anger"])


def test_one_bar_for_a_face_says_of_what_it_is_uncertain():
    people = [(0, 4)] * 4
    certain, uncertain, other = film_of(*people), film_of(*people), film_of(*people)
    uncertain.clips["mark"] = other.clips["mark"] = "uncertain"
    other.clips[["p_happiness", "p_fear"]] = other.clips[["p_fear", "p_happiness"]].to_numpy()
    cards = [drawn(film, 0.5)[:30, 640:] for film in (certain, uncertain, other)]
    assert not np.array_equal(cards[1], cards[2]), "the emotion is named"


# --- timeline ------------------------------------------------------------------------------------


def test_the_timeline_fills_up_as_the_playhead_moves():
    prediction = film_of((0, 10))
    early, late = (drawn(prediction, time_s)[372:392] for time_s in (1.0, 4.0))
    color = COLORS["happiness"]
    assert pixels(late, color) > 2 * pixels(early, color)
    x = [np.flatnonzero((strip == 0x22).all((0, 2))) for strip in (early, late)]
    assert x[0].mean() / early.shape[1] == pytest.approx(0.1, abs=0.03)
    assert x[1].mean() / late.shape[1] == pytest.approx(0.4, abs=0.03)


# --- the whole video -----------------------------------------------------------------------------


@pytest.fixture
def film(tmp_path: Path) -> Path:
    pictures = np.full((50, 120, 160, 3), 100, np.uint8)
    write_video(tmp_path / "film.mp4", pictures, FPS)
    return tmp_path / "film.mp4"


def test_an_annotated_video_has_the_frames_of_its_source(film: Path, tmp_path: Path):
    prediction = film_of((0, 1), width=160, source=str(film))
    annotate_video(prediction, tmp_path / "annotated.mp4")
    frames = list(read_video(tmp_path / "annotated.mp4"))
    assert [frame.time_s for frame in frames] == [frame.time_s for frame in read_video(film)]
    first, last = frames[0].image.astype(int), frames[-1].image.astype(int)
    assert first.shape[0] > 120
    assert first.shape[1] > 160
    assert np.abs(first[-40:] - last[-40:]).max() > 100, "the playhead has moved"
    assert probe(tmp_path / "annotated.mp4").duration_s == pytest.approx(2)


def test_a_video_without_a_face_is_annotated_too(film: Path, tmp_path: Path):
    annotate_video(film_of(source=str(film)), tmp_path / "annotated.mp4")
    frames = list(read_video(tmp_path / "annotated.mp4"))
    assert len(frames) == 50


def test_a_video_that_has_moved_is_named_by_its_new_path(film: Path, tmp_path: Path):
    prediction = film_of((0, 1), width=160, source=str(tmp_path / "gone.mp4"))
    with pytest.raises(InputError, match=r"there is no video file .*gone\.mp4"):
        annotate_video(prediction, tmp_path / "annotated.mp4")
    annotate_video(prediction, tmp_path / "annotated.mp4", film)
    assert (tmp_path / "annotated.mp4").exists()
