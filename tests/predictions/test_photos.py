import numpy as np
import pytest

from m3dfel import photo_table
from m3dfel.recognition.recognizer import Recognizer
from small_videos import ScriptedDetector, noise_video, small_model


def test_each_face_of_each_photo_is_a_row():
    photos = [frame.image for frame in noise_video(3, side=128)]
    detector = ScriptedDetector((0, {0, 1}), (60, {0}))
    predictions = Recognizer(small_model(), detector=detector)(photos, progress=False)
    table = photo_table(predictions)
    assert table["face"].tolist()[:3] == [1, 2, 1]
    assert table["mark"].tolist()[3] == "no face"
    assert len(table) == 4
    assert table[["x1", "x2"]].head(2).values.tolist() == [[0, 40], [60, 100]]
    probabilities = table.filter(regex="^p_").head(3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    assert table["confidence"].head(3).tolist() == pytest.approx(probabilities.max(axis=1))


def test_without_photos_the_table_is_empty():
    assert photo_table([]).empty
