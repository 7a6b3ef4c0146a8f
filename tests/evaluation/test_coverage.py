import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from m3dfel.evaluation.coverage import Answers, answers_at, confidence_for, risk_coverage


def logits_for(*answers: tuple[float, bool]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of two classes with these confidences, and targets that make them right or wrong."""
    confidence = torch.tensor([confidence for confidence, _ in answers], dtype=torch.float64)
    logits = torch.stack([confidence, 1 - confidence], 1).log()
    return logits, torch.tensor([0 if right else 1 for _, right in answers])


CURVE = risk_coverage(*logits_for((0.6, False), (0.9, True), (0.7, True), (0.8, False)))


def test_the_curve_starts_with_the_most_confident_clips():
    assert CURVE["coverage"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert CURVE["confidence"].tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert CURVE["accuracy"].tolist() == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])


def test_clips_of_equal_confidence_are_answered_together():
    curve = risk_coverage(*logits_for((0.8, True), (0.8, False), (0.8, True), (0.7, True)))
    assert curve["coverage"].tolist() == [0.75, 1.0]
    assert curve["accuracy"].tolist() == pytest.approx([2 / 3, 3 / 4])


def test_the_smallest_confidence_that_is_reliable_enough_is_chosen():
    assert confidence_for(CURVE, 0.5) == pytest.approx(0.6)
    assert confidence_for(CURVE, 0.66) == pytest.approx(0.7)
    assert confidence_for(CURVE, 0.9) == pytest.approx(0.9)
    assert confidence_for(risk_coverage(*logits_for((0.9, False))), 0.5) is None


def test_the_answers_at_a_confidence_are_counted():
    assert answers_at(CURVE, 0.65) == Answers(0.65, 0.75, pytest.approx(2 / 3))
    assert answers_at(CURVE, 0.95) == Answers(0.95, 0.0, None)


@given(
    st.lists(st.tuples(st.floats(0.5, 0.99), st.booleans()), min_size=1, max_size=30),
    st.floats(0.05, 1),
)
def test_the_answers_from_the_chosen_confidence_on_are_as_reliable_as_asked(answers, reliability):
    curve = risk_coverage(*logits_for(*answers))
    chosen = confidence_for(curve, reliability)
    if chosen is None:
        assert (curve["accuracy"] < reliability).all()
    else:
        result = answers_at(curve, chosen)
        assert result.answered_right >= reliability
        assert result.answered == curve.loc[curve["accuracy"] >= reliability, "coverage"].max()
