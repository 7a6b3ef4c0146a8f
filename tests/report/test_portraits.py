from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report.portraits import portrait_views, read_portraits
from m3dfel.report.timeline import plot_timeline
from m3dfel.video.encode import write_video
from small_videos import ScriptedDetector, noise_video, small_model


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    """Two faces side by side for two seconds."""
    detector = ScriptedDetector((0, set(range(50))), (70, set(range(50))))
    return Recognizer(small_model(), detector=detector)(noise_video(50, side=128))


def test_each_person_has_a_portrait_from_a_readable_frame(prediction: Prediction):
    faces = prediction.frames.copy()
    faces.loc[faces["frame"] == 20, "score"] = 0.99
    faces.loc[faces["frame"] == 30, ["score", "mark"]] = [1.0, "blurred"]
    marked = portrait_views(replace(prediction, frames=faces))
    assert [(view.person, view.frame) for view in marked] == [(1, 20), (2, 20)]


def test_portraits_are_cut_out_of_the_video_if_it_is_still_there(
    prediction: Prediction, tmp_path: Path
):
    """In its 40th frame, the left half is white and the right half black; elsewhere all is gray."""
    frames = np.full((50, 128, 256, 3), 128, np.uint8)
    frames[40, :, :128], frames[40, :, 128:] = 255, 0
    write_video(tmp_path / "two.mp4", frames, 25)
    faces = prediction.frames.assign(score=0.5, mark="")
    faces.loc[faces["frame"] == 40, "score"] = 1.0
    faces[["x1", "x2"]] *= 2
    views = portrait_views(replace(prediction, frames=faces))
    portraits = read_portraits(str(tmp_path / "two.mp4"), views)
    assert portraits[1].mean() > 200 > 50 > portraits[2].mean()
    assert read_portraits(str(tmp_path / "gone.mp4"), views) == {}
    (tmp_path / "broken.mp4").write_text("no video")
    assert read_portraits(str(tmp_path / "broken.mp4"), views) == {}


def test_several_people_have_portraits_in_their_timeline(prediction: Prediction, tmp_path: Path):
    video = tmp_path / "two.mp4"
    write_video(video, [frame.image for frame in noise_video(50, side=128)], 25)
    figure = plot_timeline(replace(prediction, source=str(video)))
    assert [len(axes.artists) for axes in figure.axes] == [1, 1]
    assert [len(axes.artists) for axes in plot_timeline(prediction).axes] == [0, 0]
