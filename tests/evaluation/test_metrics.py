import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from m3dfel.errors import InputError
from m3dfel.evaluation.metrics import compare_with_votes, compute_metrics, fit_temperature

LABELS = ["happiness", "sadness", "neutral"]


def logits_for(predicted: list[int], confidence: float = 20.0) -> torch.Tensor:
    return confidence * torch.eye(3)[predicted]


def test_war_counts_clips_and_uar_counts_classes():
    metrics = compute_metrics(logits_for([0, 0, 0, 1, 0]), torch.tensor([0, 0, 0, 1, 1]), LABELS)
    assert metrics.war == 4 / 5
    assert metrics.uar == pytest.approx((1 + 1 / 2) / 2)
    assert metrics.recall == {"happiness": 1.0, "sadness": 0.5, "neutral": None}
    assert metrics.support == {"happiness": 3, "sadness": 2, "neutral": 0}
    assert metrics.confusion_counts == [[3, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert metrics.confusion == [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]]
    assert json.loads(json.dumps(metrics.to_dict()))["war"] == 0.8


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_war_and_uar_follow_from_the_counts(pairs: list[tuple[int, int]]):
    predicted, targets = zip(*pairs, strict=True)
    metrics = compute_metrics(logits_for(list(predicted)), torch.tensor(targets), LABELS)
    assert metrics.war == sum(p == t for p, t in pairs) / len(pairs)
    recalls = [
        sum(p == t == c for p, t in pairs) / targets.count(c) for c in range(3) if c in targets
    ]
    assert metrics.uar == pytest.approx(sum(recalls) / len(recalls))


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy():
    confident_and_half_right = compute_metrics(
        logits_for([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1]), LABELS
    )
    assert confident_and_half_right.ece == pytest.approx(0.5, abs=1e-3)
    uncertain = compute_metrics(logits_for([0, 0, 0], 0.0), torch.tensor([0, 1, 2]), LABELS)
    assert uncertain.ece == pytest.approx(0, abs=1e-3)


def test_logits_that_are_not_numbers_are_an_error():
    logits = logits_for([0, 1])
    logits[1, 2] = float("nan")
    with pytest.raises(InputError, match="1 of 2 clips is not a number"):
        compute_metrics(logits, torch.tensor([0, 0]), LABELS)


def test_the_divergence_from_the_votes_is_0_for_the_same_and_1_without_a_common_emotion():
    votes = torch.tensor([[0.2, 0.8, 0.0], [1.0, 0.0, 0.0]])
    same = compare_with_votes(votes.log().clamp(min=-40), votes)
    assert same["jensen_shannon"] == pytest.approx(0, abs=1e-6)
    entropy = -(votes * votes.log()).nansum(1).mean()
    assert same["cross_entropy"] == pytest.approx(float(entropy), abs=1e-6)
    other = compare_with_votes(torch.tensor([[0.0, 0.0, 900.0]] * 2), votes)
    assert other["jensen_shannon"] == pytest.approx(1)
    assert other["cross_entropy"] == pytest.approx(900)


def test_the_temperature_makes_confidence_match_accuracy():
    """The model is right three times out of four, but always confident."""
    logits, targets = logits_for([0, 0, 0, 0] * 10, 6.0), torch.tensor([0, 0, 0, 1] * 10)
    temperature = fit_temperature(logits, targets)
    probabilities = (logits / temperature).softmax(1)
    assert float(probabilities[0, 0]) == pytest.approx(0.75, abs=0.01)
    before, after = (compute_metrics(x, targets, LABELS) for x in (logits, logits / temperature))
    assert after.ece < 0.02 < before.ece
    assert fit_temperature(logits / temperature, targets) == pytest.approx(1, abs=0.01)
