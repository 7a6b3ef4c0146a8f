import numpy as np
import pytest

from m3dfel.recognition.appearance import AppearanceDescriptor


def test_vectors_have_length_one_and_ignore_brightness_of_the_picture():
    generator = np.random.default_rng(0)
    encoder = AppearanceDescriptor()
    crop = generator.integers(60, 180, (1, 128, 128, 3), dtype=np.uint8)
    vectors = encoder(np.concatenate([crop, crop + 20, crop[:, ::-1]]))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > encoder.min_similarity > vectors[0] @ vectors[2]
    plain = encoder(np.full((1, 128, 128, 3), 90, np.uint8))
    assert np.isfinite(plain).all()
