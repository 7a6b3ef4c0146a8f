import numpy as np

from m3dfel.synthetic.anatomy import Face, Pose
from m3dfel.synthetic.clips import ACTION_UNITS


def pose(**units: float) -> Pose:
    face = Face(np.random.default_rng(5))
    intensities = dict.fromkeys(ACTION_UNITS, 0.0)
    intensities.update({int(name[2:]): value for name, value in units.items()})
    return Pose(face, intensities, gaze=(0.0, 0.0), turn=(0.0, 0.0))


def test_the_resting_face_fits_the_template_of_aligned_crops():
    faces = [Face(np.random.default_rng(i)) for i in range(200)]
    rest = dict.fromkeys(ACTION_UNITS, 0.0)
    poses = [Pose(face, rest, (0.0, 0.0), (0.0, 0.0)) for face in faces]
    for side, eye, corner in ((-1, (45, 52), (48, 93)), (1, (83, 52), (80, 93))):
        eyes = np.array([pose.iris(side) for pose in poses])
        corners = np.array([pose.corner(side) for pose in poses])
        assert np.abs(eyes.mean(0) - eye).max() < 1
        assert np.abs(corners.mean(0) - corner).max() < 1
        assert np.abs(eyes - eye).max() < 4
        assert np.abs(corners - corner).max() < 5


def eye_opening(some: Pose) -> float:
    upper, lower = some.lids(1)
    return float((lower - upper)[:, 1].max())


def mouth_opening(some: Pose) -> float:
    _, upper, lower, _ = some.lips()
    return float((lower - upper)[:, 1].max())


def test_brow_units_move_the_brows_as_facs_describes():
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


def test_eye_units_open_and_close_the_eyes():
    openings = [eye_opening(some) for some in (pose(au5=1), pose(), pose(au7=1), pose(au45=1))]
    assert openings == sorted(openings, reverse=True)
    assert len(set(openings)) == 4
    assert openings[-1] < 1


def test_mouth_units_move_the_corners_and_open_the_mouth():
    rest = pose()
    corner = rest.corner(1)
    assert pose(au12=1).corner(1)[1] < corner[1] - 4
    assert pose(au15=1).corner(1)[1] > corner[1] + 4
    assert pose(au20=1).corner(1)[0] > corner[0] + 4
    assert mouth_opening(pose(au26=1)) > mouth_opening(pose(au25=1)) > mouth_opening(rest) == 0
    assert pose(au26=1).outline()[:, 1].max() > rest.outline()[:, 1].max() + 4
