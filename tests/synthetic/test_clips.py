import cv2
import numpy as np
import pytest

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.synthetic import clips as synthetic
from m3dfel.synthetic.anatomy import GRID
from m3dfel.synthetic.clips import (
    ACTION_UNITS,
    PROTOTYPES,
    SyntheticClip,
    intensities,
    parse_synthetic,
    render,
    synthetic_clips,
    truth_table,
)

CLIPS = synthetic_clips(3, range(20), 1)
EXPRESSIVE = [clip for clip in CLIPS if clip.emotion != "neutral"]


# --- addresses ------------------------------------------------------------------------------------


def test_a_clip_is_parsed_from_its_address():
    clip = SyntheticClip(seed=4, identity=17, clip=2, emotion="fear")
    assert str(clip) == "synthetic:4/17/2/fear"
    assert parse_synthetic(str(clip)) == clip


@pytest.mark.parametrize(
    "path",
    [
        "4/17/2/fear",
        "synthetic:4/17/fear",
        "synthetic:4/17/2/boredom",
        "synthetic:4/-1/2/fear",
        "synthetic:4/²/2/fear",
        "synthetic:",
        "/data/clip.mp4",
    ],
)
def test_the_error_about_a_wrong_address_shows_the_right_form(path):
    with pytest.raises(InputError, match="<seed>/<identity>/<clip>/<emotion>"):
        parse_synthetic(path)


def test_every_identity_has_the_requested_clips_of_every_label():
    clips = synthetic_clips(0, range(5, 8), 2, ("happiness", "fear"))
    assert len(set(clips)) == len(clips) == 3 * 2 * 2
    assert {clip.identity for clip in clips} == {5, 6, 7}
    assert {clip.emotion for clip in clips} == {"happiness", "fear"}


# --- ground truth ---------------------------------------------------------------------------------


def test_clips_are_32_to_64_frames_long_and_differ():
    lengths = {clip.n_frames for clip in CLIPS}
    assert min(lengths) >= 32
    assert max(lengths) <= 64
    assert len(lengths) > 10


@pytest.mark.parametrize("clip", EXPRESSIVE[::7], ids=str)
def test_an_expression_lies_between_neutral_frames(clip):
    intensity = intensities(clip)
    assert intensity.shape == (clip.n_frames,)
    assert intensity[0] == intensity[-1] == 0
    assert 0.5 < intensity.max() <= 1
    shown = np.flatnonzero(intensity > 0.5 * intensity.max())
    assert np.all(np.diff(shown) == 1)
    assert len(shown) < 0.75 * clip.n_frames


def test_the_label_is_weak_and_the_position_of_the_apex_varies():
    table = truth_table(EXPRESSIVE)
    assert 0.25 < table["target"].mean() < 0.6
    apex = [
        np.average(np.arange(c.n_frames), weights=intensities(c)) / c.n_frames for c in EXPRESSIVE
    ]
    assert np.std(apex) > 0.07


def test_a_neutral_clip_has_no_target_frame_but_moves():
    clips = [clip for clip in CLIPS if clip.emotion == "neutral"]
    assert not truth_table(clips)["target"].any()
    assert all(synthetic._motion(clip).units.max() > 0.3 for clip in clips)


def test_the_truth_table_has_one_row_per_frame():
    clips = CLIPS[:9]
    table = truth_table(clips)
    assert list(table.columns) == ["path", "frame", "intensity", "target"]
    assert table.groupby("path", sort=False).size().to_dict() == {str(c): c.n_frames for c in clips}
    last = table[table["path"] == str(clips[-1])]
    assert last["frame"].tolist() == list(range(clips[-1].n_frames))
    assert np.array_equal(last["intensity"], intensities(clips[-1]))
    strong = last["intensity"] > 0.5 * last["intensity"].max()
    assert np.array_equal(last["target"], strong)


def test_the_truth_table_of_no_clips_is_empty():
    assert list(truth_table([]).columns) == ["path", "frame", "intensity", "target"]


def test_changing_the_returned_array_does_not_change_the_clip():
    before = intensities(CLIPS[0])
    intensities(CLIPS[0])[:] = 9
    assert np.array_equal(intensities(CLIPS[0]), before)


@pytest.mark.parametrize("emotion", [e for e in EMOTIONS if e != "neutral"])
def test_the_units_of_the_prototype_are_active_at_the_apex(emotion):
    for clip in [clip for clip in CLIPS if clip.emotion == emotion][:5]:
        units = synthetic._motion(clip).units
        assert units.min() >= 0
        assert units.max() <= 1
        apex = units[intensities(clip).argmax()]
        for unit, weight in PROTOTYPES[emotion].items():
            assert apex[ACTION_UNITS.index(unit)] > 0.35 * weight


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 48, 64, 112])
def test_frames_have_the_requested_size(size):
    frames = render(CLIPS[0], [0, 9], size)
    assert frames.shape == (2, size, size, 3)
    assert frames.dtype == np.uint8
    assert frames.std() > 20


def test_a_frame_does_not_depend_on_the_other_frames_drawn():
    clip = CLIPS[4]
    all_frames = render(clip, range(clip.n_frames), 48)
    some = [30, 3, 3, 17]
    assert np.array_equal(render(clip, some, 48), all_frames[some])
    assert render(clip, [], 48).shape == (0, 48, 48, 3)


def test_seed_identity_number_and_emotion_each_change_the_picture():
    clip = SyntheticClip(0, 1, 0, "anger")
    others = [
        SyntheticClip(1, 1, 0, "anger"),
        SyntheticClip(0, 2, 0, "anger"),
        SyntheticClip(0, 1, 1, "anger"),
        SyntheticClip(0, 1, 0, "fear"),
    ]
    here = render(clip, [0], 32).astype(float)
    assert all(np.abs(here - render(other, [0], 32)).mean() > 3 for other in others)


def test_a_clip_looks_the_same_at_every_size():
    clip = CLIPS[8]
    large, small = (render(clip, [5], size)[0] for size in (112, 56))
    shrunk = cv2.resize(large, (56, 56), interpolation=cv2.INTER_AREA)
    assert np.abs(cv2.blur(shrunk, (5, 5)).astype(float) - cv2.blur(small, (5, 5))).mean() < 6


def test_every_identity_and_emotion_can_be_drawn():
    for clip in synthetic_clips(11, range(8), 1):
        frames = render(clip, [0, clip.n_frames // 2], 32)
        assert frames.std() > 10


def test_no_single_pixel_separates_happiness_from_anger():
    size = 48
    apex = {
        emotion: np.stack(
            [
                render(clip, [int(intensities(clip).argmax())], size)[0].mean(-1)
                for clip in synthetic_clips(2, range(40), 1, [emotion])
            ]
        )
        for emotion in ("happiness", "anger")
    }
    first, second = apex["happiness"], apex["anger"]
    spread = np.sqrt((first.var(0) + second.var(0)) / 2)
    separation = np.abs(first.mean(0) - second.mean(0)) / spread
    assert separation.max() < 2
    # The shape of the mouth, however, differs.
    rows = slice(int(80 / GRID * size), int(105 / GRID * size))
    assert separation[rows].max() > 0.5


@pytest.mark.parametrize("index", [-1, 64])
def test_a_frame_index_out_of_range_is_an_error(index):
    with pytest.raises(InputError, match="has frames 0 to"):
        render(CLIPS[0], [index], 48)


def test_a_size_below_16_pixels_is_an_error():
    with pytest.raises(InputError, match="16 pixels or more, not 8"):
        render(CLIPS[0], [0], 8)
