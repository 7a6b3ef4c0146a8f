import numpy as np

from m3dfel.predictions.update import decide

LABELS = ("happiness", "anger")


def test_the_most_probable_emotion_is_the_answer_unless_the_face_is_unreadable():
    probabilities = np.array([0.3, 0.7])
    assert decide(LABELS, probabilities, "", 0.6) == ("anger", 0.7, "")
    assert decide(LABELS, probabilities, "", 0.8) == ("anger", 0.7, "uncertain")
    assert decide(LABELS, probabilities, "blurred", 0.0) == (None, None, "blurred")
