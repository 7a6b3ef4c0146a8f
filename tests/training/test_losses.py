import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from m3dfel.errors import InputError
from m3dfel.training.losses import IntensityAwareLoss, M3DFELLoss, intensity_aware_loss


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
