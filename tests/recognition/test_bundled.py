"""The bundled model on real faces."""

from importlib.resources import files
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from m3dfel.emotions import EMOTIONS
from m3dfel.models.checkpoints import BUNDLED, load_model
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import Frame

# A portrait that ships with matplotlib.
GRACE_HOPPER = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


def test_the_model_is_small_complete_and_documented():
    folder = Path(str(files("m3dfel") / BUNDLED))
    assert (folder / "model.safetensors").stat().st_size <= 25e6
    card = folder / "README.md"
    assert "Article 5(1)(f)" in card.read_text()
    assert (Path(__file__).parents[2] / "docs" / "MODEL_CARD.md").resolve() == card.resolve()
    model = load_model(BUNDLED)
    assert model.labels == EMOTIONS
    assert (model.frames, model.bag_size) == (16, 4)
    assert all(weight.isfinite().all() for weight in model.state_dict().values())
    assert next(model.parameters()).dtype == torch.float32


def test_a_real_portrait_gets_the_same_answer_as_at_release(recognizer: Recognizer):
    row = recognizer(GRACE_HOPPER).clips.iloc[0]
    assert (row["emotion"], row["mark"]) == ("neutral", "")
    assert row["confidence"] == pytest.approx(0.92, abs=0.05)


def test_color_makes_no_difference(recognizer: Recognizer):
    with Image.open(GRACE_HOPPER) as portrait:
        pictures = portrait.convert("RGB"), portrait.convert("L").convert("RGB")
    color, gray = (
        recognizer([Frame(0, 0.0, np.array(picture))], aligned=True).clips.iloc[0]
        for picture in pictures
    )
    assert gray["p_neutral"] == pytest.approx(color["p_neutral"], abs=0.01)


def test_a_small_or_blurred_face_gets_no_emotion(recognizer: Recognizer):
    small = Image.new("RGB", (320, 320))
    with Image.open(GRACE_HOPPER) as portrait:
        small.paste(portrait.resize((portrait.width // 10, portrait.height // 10)), (130, 130))
        blurred = portrait.filter(ImageFilter.GaussianBlur(14))
    for picture, mark in (small, "too small"), (blurred, "blurred"):
        row = recognizer([Frame(0, 0.0, np.array(picture))]).clips.iloc[0]
        assert (row["mark"], row["emotion"]) == (mark, None)


def test_a_man_who_starts_to_smile(recognizer: Recognizer, shared: Path):
    """The smile starts at frame 20, at 30 frames per second."""
    table = recognizer(shared / "data" / "videos" / "single_face.mp4").clips
    middle = (table["start_s"] + table["end_s"]) / 2
    assert (table["emotion"][middle < 0.4] == "neutral").all()
    assert (table["emotion"][(middle > 1.0) & (middle < 2.0)] == "happiness").all()


def test_a_woman_who_cries_and_then_laughs(recognizer: Recognizer, shared: Path):
    table = recognizer(shared / "data" / "videos" / "WolfgangLanger_Pexels.mp4").clips
    certain = table[table["mark"] == ""]
    assert (certain[certain["start_s"] > 10]["emotion"] == "happiness").all()
    # Weeping, with a mouth stretched as in a smile, and then a hand over the face.
    crying = certain[certain["end_s"] < 6]["emotion"]
    assert len(crying)
    assert (crying == "sadness").all()
    assert not (certain[certain["end_s"] < 9.4]["emotion"] == "happiness").any()
