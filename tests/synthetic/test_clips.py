import cv2
import numpy as np
import pytest

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.synthetic.anatomy import GRID, Pose, random_face
from m3dfel.synthetic.clips import (
    ACTION_UNITS,
    PROTOTYPES,
    SyntheticClip,
    action_units,
    intensities,
    parse_synthetic,
    render,
    synthetic_clips,
    truth_table,
)

CLIPS = synthetic_clips(3, range(20), 1)
EXPRESSIVE = [clip for clip in CLIPS if clip.emotion != "neutral"]


def pose(**units: float) -> Pose:
    face = random_face(np.random.default_rng(5))
    intensities = dict.fromkeys(ACTION_UNITS, 0.0)
    intensities.update({int(name[2:]): value for name, value in units.items()})
    return Pose(face, intensities, gaze=(0.0, 0.0), turn=(0.0, 0.0))


# --- names ----------------------------------------------------------------------------------------


def test_a_clip_comes_back_from_its_address():
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
def test_a_wrong_address_is_told_with_the_right_form(path):
    with pytest.raises(InputError, match="<seed>/<identity>/<clip>/<emotion>"):
        parse_synthetic(path)


def test_every_identity_shows_every_label_as_often_as_asked():
    clips = synthetic_clips(0, range(5, 8), 2, ("happiness", "fear"))
    assert len(set(clips)) == len(clips) == 3 * 2 * 2
    assert {clip.identity for clip in clips} == {5, 6, 7}
    assert {clip.emotion for clip in clips} == {"happiness", "fear"}


# --- truth ----------------------------------------------------------------------------------------


def test_clips_are_32_to_64_frames_long_and_differ():
    lengths = {clip.n_frames for clip in CLIPS}
    assert min(lengths) >= 32
    assert max(lengths) <= 64
    assert len(lengths) > 10


@pytest.mark.parametrize("clip", EXPRESSIVE[::7], ids=str)
def test_an_expression_comes_and_goes_between_neutral_frames(clip):
    intensity = intensities(clip)
    assert intensity.shape == (clip.n_frames,)
    assert intensity[0] == intensity[-1] == 0
    assert 0.5 < intensity.max() <= 1
    shown = np.flatnonzero(intensity > 0.5 * intensity.max())
    assert np.all(np.diff(shown) == 1)
    assert len(shown) < 0.75 * clip.n_frames


def test_the_label_is_weak_and_the_apex_is_not_always_in_the_same_place():
    table = truth_table(EXPRESSIVE)
    assert 0.25 < table["target"].mean() < 0.6
    apex = [
        np.average(np.arange(c.n_frames), weights=intensities(c)) / c.n_frames for c in EXPRESSIVE
    ]
    assert np.std(apex) > 0.07


def test_a_neutral_clip_has_no_target_frame_but_is_not_still():
    clips = [clip for clip in CLIPS if clip.emotion == "neutral"]
    assert not truth_table(clips)["target"].any()
    assert all(action_units(clip).to_numpy().max() > 0.3 for clip in clips)


def test_the_truth_table_has_a_row_a_frame_for_every_clip():
    clips = CLIPS[:9]
    table = truth_table(clips)
    assert list(table.columns) == ["path", "frame", "intensity", "target"]
    assert table.groupby("path", sort=False).size().to_dict() == {str(c): c.n_frames for c in clips}
    last = table[table["path"] == str(clips[-1])]
    assert last["frame"].tolist() == list(range(clips[-1].n_frames))
    assert np.array_equal(last["intensity"], intensities(clips[-1]))
    strong = last["intensity"] > 0.5 * last["intensity"].max()
    assert np.array_equal(last["target"], strong)


def test_the_truth_of_no_clips_is_an_empty_table():
    assert list(truth_table([]).columns) == ["path", "frame", "intensity", "target"]


def test_changing_the_answer_does_not_change_the_clip():
    before = intensities(CLIPS[0])
    intensities(CLIPS[0])[:] = 9
    assert np.array_equal(intensities(CLIPS[0]), before)


@pytest.mark.parametrize("emotion", [e for e in EMOTIONS if e != "neutral"])
def test_at_the_apex_the_units_of_the_prototype_act(emotion):
    for clip in [clip for clip in CLIPS if clip.emotion == emotion][:5]:
        units = action_units(clip)
        assert units.to_numpy().min() >= 0
        assert units.to_numpy().max() <= 1
        apex = units.iloc[intensities(clip).argmax()]
        for unit, weight in PROTOTYPES[emotion].items():
            assert apex[unit] > 0.35 * weight


# --- anatomy --------------------------------------------------------------------------------------


def test_the_resting_face_lies_on_the_template_of_aligned_crops():
    faces = [random_face(np.random.default_rng(i)) for i in range(200)]
    quiet = dict.fromkeys(ACTION_UNITS, 0.0)
    poses = [Pose(face, quiet, (0.0, 0.0), (0.0, 0.0)) for face in faces]
    for side, eye, corner in ((-1, (45, 52), (48, 93)), (1, (83, 52), (80, 93))):
        eyes = np.array([pose.iris(side) for pose in poses])
        corners = np.array([pose.corner(side) for pose in poses])
        assert np.abs(eyes.mean(0) - eye).max() < 1
        assert np.abs(corners.mean(0) - corner).max() < 1
        assert np.abs(eyes - eye).max() < 4
        assert np.abs(corners - corner).max() < 5


def test_each_unit_does_to_the_face_what_facs_says():
    rest = pose()
    inner, outer = rest.brow(1)[0], rest.brow(1)[-1]
    assert pose(au1=1).brow(1)[0][1] < inner[1] - 4
    assert pose(au2=1).brow(1)[-1][1] < outer[1] - 4
    frown = pose(au4=1).brow(1)[0]
    assert frown[1] > inner[1] + 4
    assert frown[0] < inner[0]
    oblique = pose(au1=1, au4=1).brow(1)
    assert oblique[0][1] < inner[1]
    assert oblique[0][1] - oblique[-1][1] < inner[1] - outer[1] - 4

    def opening(some: Pose) -> float:
        upper, lower = some.lids(1)
        return float((lower - upper)[:, 1].max())

    assert opening(pose(au5=1)) > opening(rest) > opening(pose(au7=1)) > opening(pose(au45=1))
    assert opening(pose(au45=1)) < 1
    corner = rest.corner(1)
    assert pose(au12=1).corner(1)[1] < corner[1] - 4
    assert pose(au15=1).corner(1)[1] > corner[1] + 4
    assert pose(au20=1).corner(1)[0] > corner[0] + 4

    def gape(some: Pose) -> float:
        _, upper, lower, _ = some.lips()
        return float((lower - upper)[:, 1].max())

    assert gape(pose(au26=1)) > gape(pose(au25=1)) > gape(rest) == 0
    assert pose(au26=1).outline()[:, 1].max() > rest.outline()[:, 1].max() + 4


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 48, 64, 112])
def test_frames_have_the_size_asked_for(size):
    frames = render(CLIPS[0], [0, 9], size)
    assert frames.shape == (2, size, size, 3)
    assert frames.dtype == np.uint8
    assert frames.std() > 20


def test_a_frame_does_not_depend_on_the_others_asked_for():
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


def test_the_same_clip_looks_alike_at_every_size():
    clip = CLIPS[8]
    large, small = (render(clip, [5], size)[0] for size in (112, 56))
    shrunk = cv2.resize(large, (56, 56), interpolation=cv2.INTER_AREA)
    assert np.abs(cv2.blur(shrunk, (5, 5)).astype(float) - cv2.blur(small, (5, 5))).mean() < 6


def test_every_identity_and_emotion_can_be_drawn():
    for clip in synthetic_clips(11, range(40), 1):
        frames = render(clip, [0, clip.n_frames // 2], 32)
        assert frames.std() > 10


def test_no_single_pixel_tells_happiness_from_anger():
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
    # The mouth, on the other hand, is where the two differ for those who look at shapes.
    rows = slice(int(80 / GRID * size), int(105 / GRID * size))
    assert separation[rows].max() > 0.5


@pytest.mark.parametrize("index", [-1, 64])
def test_a_frame_the_clip_does_not_have_is_told(index):
    with pytest.raises(InputError, match="has frames 0 to"):
        render(CLIPS[0], [index], 48)


def test_too_small_a_picture_is_told():
    with pytest.raises(InputError, match="16 pixels or more, not 8"):
        render(CLIPS[0], [0], 8)
