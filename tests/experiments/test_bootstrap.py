import numpy as np
import pytest

from m3dfel.experiments.bootstrap import paired_difference
from made_up import LABELS, run_with_predictions


def test_the_interval_of_a_large_difference_excludes_zero_and_of_a_small_one_includes_it():
    emotions = LABELS * 40
    generator = np.random.default_rng(0)
    poor = [e if generator.random() < 0.5 else "neutral" for e in emotions]
    baseline = run_with_predictions(emotions, poor)
    large = paired_difference([baseline], [run_with_predictions(emotions, emotions)])
    assert 0 < large["war_low"] < large["war_difference"] < large["war_high"]
    assert 0 < large["uar_low"] < large["uar_difference"] < large["uar_high"]
    slightly_better = run_with_predictions(emotions, [emotions[0], *poor[1:]])
    small = paired_difference([baseline], [slightly_better])
    assert small["war_low"] <= 0 <= small["war_high"]
    again = paired_difference([baseline], [slightly_better])
    assert small == again, "the same runs always give the same interval"


def test_the_interval_covers_the_chance_of_the_seeds():
    emotions = LABELS * 40
    wrong = ["sadness" if e == "neutral" else "neutral" for e in emotions]
    half = [e if i % 2 else w for i, (e, w) in enumerate(zip(emotions, wrong, strict=True))]
    steady = [run_with_predictions(emotions, half)] * 2
    varying = [run_with_predictions(emotions, emotions), run_with_predictions(emotions, wrong)]
    narrow, wide = paired_difference(steady, steady), paired_difference(steady, varying)
    assert narrow["war_difference"] == wide["war_difference"] == pytest.approx(0)
    assert wide["war_high"] - wide["war_low"] > 80 > narrow["war_high"] - narrow["war_low"]


def test_clips_of_one_person_are_not_independent():
    # Either all clips of a person are right or none: 120 clips tell no more than ten people.
    emotions, people = LABELS * 40, [str(index // 12) for index in range(120)]
    wrong = ["neutral" if e == "sadness" else "sadness" for e in emotions]
    half = [e if int(p) % 2 else w for e, p, w in zip(emotions, people, wrong, strict=True)]
    by_clip, by_person = (
        paired_difference(
            [run_with_predictions(emotions, wrong, identity)],
            [run_with_predictions(emotions, half, identity)],
        )
        for identity in (None, people)
    )
    assert by_clip["war_difference"] == by_person["war_difference"] == pytest.approx(50)
    wide, narrow = (part["war_high"] - part["war_low"] for part in (by_person, by_clip))
    assert wide > 2.5 * narrow
