import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from m3dfel.errors import InputError
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.training.losses import (
    IntensityAwareLoss,
    M3DFELLoss,
    TrainingModel,
    intensity_aware_loss,
    movement_loss,
)


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


def test_the_mean_of_the_losses_of_two_halves_is_the_loss_of_the_batch():
    logits, targets = batch(3, 2)
    loss = M3DFELLoss()
    halves = (loss(logits[:4], targets[:4]) + loss(logits[4:], targets[4:])) / 2
    torch.testing.assert_close(loss(logits, targets), halves)


# --- votes ---------------------------------------------------------------------------------------


@given(st.integers(2, 12), st.integers(0, 2**31))
def test_votes_for_one_emotion_are_its_label(classes: int, seed: int):
    logits, targets = batch(classes, seed)
    loss = M3DFELLoss(0.3, 0.1)
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


def test_movements_are_learned_from_the_mean_over_the_frames_of_each_instance():
    deviations = torch.tensor([0.5, 1.0])
    movements = torch.tensor([[[0.0, 1.0], [1.0, torch.nan], [torch.nan] * 2, [torch.nan] * 2]])
    right = torch.tensor([[[0.5, 1.0], [9.0, 9.0]]])
    assert movement_loss(right, movements, deviations) == 0
    # One deviation off in one of the two that are known; what is unknown costs nothing.
    off = torch.tensor([[[1.0, 1.0], [9.0, 9.0]]])
    assert movement_loss(off, movements, deviations) == 0.5


def test_unknown_movements_do_not_spoil_the_gradient():
    estimates = torch.zeros(1, 2, 1, requires_grad=True)
    movements = torch.tensor([[[1.0], [torch.nan]]])
    movement_loss(estimates, movements, torch.ones(1)).backward()
    assert estimates.grad is not None
    assert estimates.grad.flatten().tolist() == [-2.0, 0.0]


def test_parts_that_do_not_learn_keep_weights_and_statistics():
    model = M3DFEL(size=16, frames=4, bag_size=2, backbone_options={"width": 8, "depth": 10})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained = TrainingModel(model, ["classifier"]).train()
    clips = torch.randint(256, (2, 4, 3, 16, 16), dtype=torch.uint8)
    logits, movements = trained(clips)
    assert movements.shape == (2, 2, 0)
    logits.sum().backward()
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert learning == ["classifier.weight", "classifier.bias"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_part_of_the_backbone_can_learn_while_the_rest_of_it_stays():
    model = M3DFEL(size=16, frames=4, bag_size=2, backbone_options={"width": 8, "depth": 10})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained = TrainingModel(model, ["backbone.4"]).train()
    clips = torch.randint(256, (2, 4, 3, 16, 16), dtype=torch.uint8)
    trained(clips)[0].sum().backward()
    changed = [n for n, value in model.state_dict().items() if not torch.equal(value, before[n])]
    assert changed
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert all(name.startswith("backbone.4.") for name in [*learning, *changed])


def test_a_part_that_does_not_exist_is_an_input_error_that_names_those_that_do():
    model = M3DFEL(size=16, backbone_options={"width": 8, "depth": 10})
    with pytest.raises(InputError, match=r"names 'head', .* use backbone, aggregation, classifier"):
        TrainingModel(model, ["head"])


def test_the_movement_classifier_has_no_part_in_the_loss():
    small = {"backbone_options": {"width": 8, "depth": 10}, "frames": 4, "bag_size": 2}
    model = M3DFEL(size=16, movements=["jawOpen"], movement_classifier=True, **small)
    trained = TrainingModel(model)
    answers, movements = trained(torch.zeros(1, 4, 3, 16, 16, dtype=torch.uint8))
    (answers.sum() + movements.sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
    with pytest.raises(InputError, match="names movement_classifier alone"):
        TrainingModel(model, ["movement_classifier"])
