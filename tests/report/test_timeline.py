import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.report import timeline
from m3dfel.report.spans import equal_spans
from m3dfel.report.timeline import plot_timeline
from m3dfel.synthetic.clips import intensities, synthetic_clips, target_frames
from made_up import (
    MAFW,
    TWO,
    assert_no_overlap,
    assert_nothing_is_cut_off,
    is_png,
    made_up_prediction,
    shaded,
    texts,
)


def bold_texts(figure) -> set[str]:
    return {text.get_text() for text in figure.axes[0].texts if text.get_fontweight() == "bold"}


def test_timeline_names_every_row_of_every_face(tmp_path):
    prediction = made_up_prediction((0, 4), (1, 2), (3, 60))
    figure = plot_timeline(prediction, tmp_path / "timeline.png")
    assert is_png(tmp_path / "timeline.png")
    words = texts(figure)
    assert len(figure.axes) == 3
    assert {"person 1", "person 2", "person 3"} <= set(words)
    assert all(words.count(emotion) >= 3 for emotion in EMOTIONS)
    assert len({axes.get_xlim() for axes in figure.axes}) == 1, "all faces share one time scale"
    assert not shaded(figure)


def test_evidence_has_white_edges_only_where_they_leave_room_for_it():
    def edges(prediction) -> float:
        (axes,) = plot_timeline(prediction).axes
        (bars,) = (c for c in axes.collections if type(c) is PolyCollection)
        return float(bars.get_linewidth()[0])

    prediction = made_up_prediction((0, 4))
    assert edges(prediction) > 0
    instances = prediction.instances.loc[prediction.instances.index.repeat(50)]
    instances["start_s"] += np.linspace(0, 0.4, len(instances))
    prediction.instances = instances
    assert edges(prediction) == 0


def test_recognized_emotions_are_bold():
    assert bold_texts(plot_timeline(made_up_prediction((0, 4)))) == {
        "person 1",
        "happiness",
        "fear",
    }


def test_mark_is_written_where_a_face_is_unreadable_and_uncertain_emotions_are_not_bold():
    prediction = made_up_prediction((0, 4))
    probabilities = [f"p_{emotion}" for emotion in EMOTIONS]
    prediction.clips.loc[:1, ["emotion", "confidence", *probabilities]] = None
    prediction.clips.loc[:1, "mark"] = "turned away"
    prediction.clips.loc[2, "mark"] = "uncertain"
    figure = plot_timeline(prediction)
    assert "turned away" in texts(figure)
    assert bold_texts(figure) == {"person 1", "fear"}


def test_target_frames_are_shaded():
    targets = np.arange(100) // 25 == 2
    figure = plot_timeline(made_up_prediction((0, 4)), target_frames=targets, fps=25)
    assert shaded(figure) == [pytest.approx((2, 3))]
    assert "true target frames" in texts(figure)
    assert not shaded(plot_timeline(made_up_prediction((0, 4)), target_frames=targets & False))


def test_target_frames_of_a_film_are_those_of_its_clips():
    # A weak clip's target frames are above half its own peak, not above half the film's.
    clips = synthetic_clips(0, range(100, 130), 1, ["happiness"])
    strong = max(clips, key=lambda clip: intensities(clip).max())
    half = 0.5 * intensities(strong).max()
    weak = next(clip for clip in clips if (target_frames(clip) != (intensities(clip) > half)).any())
    targets = np.concatenate([target_frames(weak), target_frames(strong)])
    figure = plot_timeline(made_up_prediction((0, len(targets))), target_frames=targets, fps=1)
    spans = [(first, last + 1) for first, last, target in equal_spans(targets.tolist()) if target]
    assert len(spans) == 2
    assert shaded(figure) == spans


@pytest.mark.parametrize("labels", [TWO, MAFW])
def test_any_label_set_fits(labels):
    prediction = made_up_prediction((0, 4), (2, 5), labels=labels)
    prediction.clips.loc[5:6, ["emotion", *(f"p_{label}" for label in labels)]] = None
    prediction.clips.loc[5:6, "mark"] = "turned away"
    figure = plot_timeline(prediction)
    assert_nothing_is_cut_off(figure)
    for axes in figure.axes:
        rows = [text for text in axes.texts if text.get_text() in labels]
        assert_no_overlap(rows)
        assert {text.get_text() for text in rows} == set(labels)


def test_timeline_without_a_face_says_so(tmp_path):
    words = texts(plot_timeline(made_up_prediction(), tmp_path / "empty.png"))
    assert "No face in film.mp4" in words
    assert "no face was found in film.mp4" in words
    assert is_png(tmp_path / "empty.png")


def test_dollar_signs_in_names_and_labels_are_not_formulas(tmp_path):
    prediction = made_up_prediction((0, 4), source="$\\frac$.mp4", labels=("joy", "$\\frac$"))
    plot_timeline(prediction, tmp_path / "timeline.png")


def test_equal_spans():
    assert list(equal_spans(["a", "a", "b", "a"])) == [(0, 1, "a"), (2, 2, "b"), (3, 3, "a")]
    assert list(equal_spans([])) == []


def test_it_can_be_drawn_into_a_figure_of_ones_own():
    figure = Figure()
    above, below = figure.subplots(2)
    assert plot_timeline(made_up_prediction((0, 4)), ax=below) is figure
    assert not above.texts
    assert {"person 1", *EMOTIONS} <= {text.get_text() for text in below.texts}
    with pytest.raises(InputError, match="2 persons but 1 axes"):
        plot_timeline(made_up_prediction((0, 4), (1, 2)), ax=below)


def test_the_axis_ends_with_the_video_and_says_where_there_is_no_face():
    prediction = made_up_prediction((0, 4), (1, 5), (5.05, 10), duration_s=10)
    prediction.clips["person"] = prediction.clips["person"].replace(3, 2)
    figure = plot_timeline(prediction)
    assert {axes.get_xlim() for axes in figure.axes} == {(0, 10)}
    away = [text.get_position()[0] for text in figure.findobj(Text) if text.get_text() == "no face"]
    assert sorted(away) == [0.5, 7], "not from 5 to 5.05 s, which is too short to say"


@pytest.mark.parametrize(("lang", "word"), [("en", "mouth smile"), ("zh", "嘴角上扬")])
def test_movements_that_change_have_a_lane(lang: str, word: str, monkeypatch):
    monkeypatch.setattr(timeline, "check_fonts", lambda words: None)
    film = made_up_prediction((0, 4))
    film.movements = ("eyeWide", "mouthSmile")
    film.clips = film.clips.assign(movement_eyeWide=0.1, movement_mouthSmile=[0, 0.1, 0.5, 1, 1])
    plain, moving = plot_timeline(made_up_prediction((0, 4))), plot_timeline(film, lang=lang)
    assert word in texts(moving)
    assert "eye wide" not in texts(moving)
    assert moving.get_figheight() > plain.get_figheight()
