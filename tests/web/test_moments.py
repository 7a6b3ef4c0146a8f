import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from m3dfel.emotions import EMOTIONS
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report.portraits import View
from m3dfel.video.decode import Frame
from m3dfel.web.moments import clearest_moments, embedded_picture
from small_videos import ScriptedDetector, noise_video, small_model


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    """Two faces side by side for two seconds."""
    detector = ScriptedDetector((0, set(range(50))), (70, set(range(50))))
    return Recognizer(small_model(), detector=detector)(noise_video(50, side=128))


def test_the_clearest_moment_has_the_strongest_evidence(prediction: Prediction):
    moments = clearest_moments(prediction)
    certain = prediction.clips[prediction.clips["mark"] == ""]
    assert [m.emotion for m in moments] == [e for e in EMOTIONS if (certain["emotion"] == e).any()]
    for moment in moments:
        evidence = prediction.instances[[f"evidence_{e}" for e in EMOTIONS]]
        relative = evidence[f"evidence_{moment.emotion}"] - evidence.mean(axis=1)
        candidates = certain.index[certain["emotion"] == moment.emotion]
        best = prediction.instances.loc[
            relative[prediction.instances["clip"].isin(candidates)].idxmax()
        ]
        assert best["track"] == moment.view.person
        assert best["start_s"] - 0.02 <= moment.view.time_s <= best["end_s"] + 0.02
        time_s = (best["start_s"] + best["end_s"]) / 2
        of_face = certain[(certain["track"] == best["track"]) & certain.index.isin(candidates)]
        distances = ((of_face["start_s"] + of_face["end_s"]) / 2 - time_s).abs()
        assert moment.probability == of_face.loc[distances.idxmin(), "confidence"]


def test_uncertain_clips_have_no_clear_moment(prediction: Prediction):
    uncertain = replace(prediction, clips=prediction.clips.assign(mark="uncertain"))
    assert clearest_moments(uncertain) == []


@pytest.mark.parametrize("box", [(0, 0, 20, 20), (100, 60, 140, 110), (0, 0, 160, 120)])
def test_pictures_are_squares_even_at_the_border(box: tuple[float, ...]):
    view = View(person=1, frame=3, time_s=0.1, box=box)
    frame = Frame(3, 0.1, np.full((120, 160, 3), (200, 10, 10), np.uint8))
    url = embedded_picture(frame, view)
    jpeg = base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))
    picture = Image.open(io.BytesIO(jpeg))
    assert picture.size == (240, 240)
    red, green, _ = picture.getpixel((120, 120))
    assert red > 180
    assert green < 40
