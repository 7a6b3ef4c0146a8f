import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from m3dfel.errors import InputError
from m3dfel.training.losses import (
    IntensityAwareLoss,
    M3DFELLoss,
    agreement,
    focal_cross_entropy,
    intensity_aware_loss,
    relabel,
)

EVERYTHING = {"class_weights": "inverse", "logit_adjustment": 0.5, "agreement": 1.0, "focal": 2.0}


def batch(classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(8, classes) * 3, torch.randint(classes, (8,))


@given(st.integers(2, 12), st.integers(0, 2**31))
def test_the_loss_is_the_paper_s_ratio(classes: int, seed: int):
    logits, targets = batch(classes, seed)
    for x, t, loss in zip(logits, targets, intensity_aware_loss(logits, targets), strict=True):
        rival = max(float(value) for index, value in enumerate(x) if index != t)
        p = math.exp(x[t]) / (math.exp(x[t]) + math.exp(rival))
        assert float(loss) == pytest.approx(-math.log(p), rel=1e-4, abs=1e-6)


def test_with_two_classes_it_is_the_cross_entropy():
    logits, targets = batch(2, 0)
    torch.testing.assert_close(
        IntensityAwareLoss()(logits, targets), F.cross_entropy(logits, targets)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_it_is_stable_and_excludes_the_target_in_every_precision(dtype: torch.dtype):
    # The first target has by far the largest logit: it must not be taken for its own rival.
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], dtype=dtype, requires_grad=True)
    loss = intensity_aware_loss(logits, torch.tensor([0, 0]))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, torch.tensor([0.0, 2e4]), rtol=1e-2, atol=0)
    loss.sum().backward()
    assert logits.grad.isfinite().all()


def test_an_equal_rival_costs_log_2():
    assert IntensityAwareLoss()(torch.zeros(3, 7), torch.tensor([0, 3, 6])) == pytest.approx(
        math.log(2)
    )


def test_the_intensity_aware_loss_is_weighted_by_lambda():
    logits, targets = batch(7, 1)
    plain = F.cross_entropy(logits, targets, label_smoothing=0.1)
    torch.testing.assert_close(M3DFELLoss(ial_weight=0.0)(logits, targets), plain)
    torch.testing.assert_close(
        M3DFELLoss(ial_weight=0.3)(logits, targets),
        plain + 0.3 * IntensityAwareLoss()(logits, targets),
    )


def test_the_mean_class_weight_of_the_training_clips_is_one():
    counts = [90, 9, 1]
    loss = M3DFELLoss(class_counts=counts, class_weights="inverse")
    assert float((loss.weights * torch.tensor(counts)).sum() / 100) == pytest.approx(1)
    assert loss.weights[2] / loss.weights[0] == pytest.approx(90)


def test_the_mean_of_the_losses_of_two_halves_is_the_loss_of_the_batch():
    logits, targets = batch(3, 2)
    loss = M3DFELLoss(class_counts=[5, 2, 1], class_weights="inverse", logit_adjustment=1.0)
    halves = (loss(logits[:4], targets[:4]) + loss(logits[4:], targets[4:])) / 2
    torch.testing.assert_close(loss(logits, targets), halves)


def test_logit_adjustment_makes_rare_classes_cost_more():
    # With equal logits, a class of prior 1/100 costs log 100.
    loss = M3DFELLoss(0.0, 0.0, class_counts=[99, 1], logit_adjustment=1.0)
    assert loss(torch.zeros(1, 2), torch.tensor([1])) == pytest.approx(math.log(100), rel=1e-4)


def test_class_weights_need_clips_of_every_class():
    with pytest.raises(InputError, match=r"shorten data\.labels"):
        M3DFELLoss(class_counts=[3, 0], class_weights="inverse")


# --- votes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, EVERYTHING])
@given(st.integers(2, 12), st.integers(0, 2**31))
def test_votes_for_one_emotion_are_its_label(options: dict, classes: int, seed: int):
    logits, targets = batch(classes, seed)
    loss = M3DFELLoss(0.3, 0.1, class_counts=range(1, classes + 1), **options)
    votes = F.one_hot(targets, classes).float()
    torch.testing.assert_close(loss(logits, votes), loss(logits, targets), rtol=1e-6, atol=1e-6)


def test_hard_labels_cost_to_the_digit_what_they_did_before_there_were_votes():
    logits, targets = batch(7, 5)
    ial = F.softplus(
        logits.scatter(1, targets[:, None], -math.inf).amax(1)
        - logits.gather(1, targets[:, None]).squeeze(1)
    )
    before = (
        F.cross_entropy(logits, targets, label_smoothing=0.1, reduction="none") + 0.1 * ial
    ).mean()
    assert torch.equal(M3DFELLoss(0.1, 0.1)(logits, targets), before)


@given(st.floats(0.02, 0.98), st.floats(0, 10))
def test_the_loss_is_smallest_where_the_probabilities_have_the_ratio_of_the_votes(
    vote: float, ial_weight: float
):
    # The other classes, which nobody chose, are far below.
    votes = torch.tensor([[vote, 1 - vote, 0.0, 0.0]])
    logits = torch.tensor([[math.log(vote), math.log(1 - vote), -30.0, -31.0]], requires_grad=True)
    loss = M3DFELLoss(ial_weight, label_smoothing=0.0)
    loss(logits, votes).backward()
    assert logits.grad.abs().max() < 1e-5 * (1 + ial_weight)
    for step in (-0.1, 0.1):
        beside = logits.detach() + torch.tensor([step, 0.0, 0.0, 0.0])
        assert loss(beside, votes) > loss(logits, votes)


def test_the_loss_against_votes_is_the_mean_over_the_annotators():
    logits, targets = batch(5, 4)
    votes = F.one_hot(targets, 5).float().mean(0)
    each = intensity_aware_loss(logits[:1].expand(8, -1), targets).mean()
    assert intensity_aware_loss(logits[:1], votes[None]).item() == pytest.approx(each.item())


# --- noisy and hard clips ------------------------------------------------------------------------


@given(st.integers(2, 12), st.integers(0, 2**31), st.floats(0, 0.9))
def test_the_focal_loss_with_gamma_0_is_the_cross_entropy(classes: int, seed: int, smoothing):
    logits, targets = batch(classes, seed)
    expected = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(focal_cross_entropy(logits, targets, 0.0, smoothing), expected)


def test_the_focal_loss_makes_recognized_clips_count_less():
    logits, targets = torch.tensor([[3.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 0])
    ratio = focal_cross_entropy(logits, targets, 2.0) / F.cross_entropy(
        logits, targets, reduction="none"
    )
    p = torch.tensor([1 / (1 + math.exp(-3)), 0.5])
    torch.testing.assert_close(ratio, (1 - p) ** 2)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_gradient_of_the_focal_loss_is_a_number_even_for_certain_answers(gamma: float):
    logits = torch.tensor([[80.0, -80.0], [-80.0, 80.0]], requires_grad=True)
    focal_cross_entropy(logits, torch.tensor([0, 0]), gamma, 0.1).sum().backward()
    assert logits.grad.isfinite().all()


def test_agreement_is_1_for_one_voice_and_0_for_all_alike():
    votes = torch.tensor([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]])
    torch.testing.assert_close(agreement(votes), torch.tensor([1.0, 0.0, 0.5]))
    logits = torch.zeros(3, 4)
    plain, weighted = M3DFELLoss(0.0, 0.0), M3DFELLoss(0.0, 0.0, agreement=2.0)
    assert weighted(logits, votes) == pytest.approx(float(plain(logits, votes)) * 1.25 / 3)


@pytest.mark.parametrize("votes", [False, True])
def test_targets_that_the_model_confidently_contradicts_are_replaced(votes: bool):
    # Probabilities of the second class: 0.5, 0.73, 0.95.
    logits = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    targets = torch.tensor([0, 0, 0])
    given_targets = torch.tensor([[0.6, 0.4]] * 3) if votes else targets
    replaced = relabel(given_targets, logits, margin=0.6)
    assert replaced.dtype == given_targets.dtype
    if votes:
        assert replaced.tolist() == [*given_targets[:2].tolist(), [0.0, 1.0]]
    else:
        assert replaced.tolist() == [0, 0, 1]
    assert torch.equal(relabel(given_targets, logits, margin=1.0), given_targets)
