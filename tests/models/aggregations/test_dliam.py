import pytest
import torch
from torch import nn

from m3dfel.errors import InputError
from m3dfel.models.aggregations.dliam import DLIAM
from small_data import small_model as small


@pytest.mark.parametrize("bag_size", [1, 4, 16])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooling": "conv1d-shared"},
        {"mhsa": False},
        {"bilstm": False},
        *({"norm": norm} for norm in ("batch", "layer", "instance")),
    ],
    ids=str,
)
def test_dliam_can_start_as_the_mean_of_the_instances(options: dict, bag_size: int):
    torch.manual_seed(0)
    dliam = DLIAM(8, bag_size, init="mean", **options)
    features = torch.randn(3, bag_size, 8)
    mean = features.mean(1).repeat(1, dliam.out_features // 8)
    torch.testing.assert_close(dliam(features), mean, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooling", ["conv1d", "mean", "max", "attention"])
def test_only_a_pooling_that_averages_starts_as_the_mean(pooling: str):
    dliam = DLIAM(8, 4, init="mean", pooling=pooling)
    features = torch.randn(3, 4, 8)
    starts_as_mean = torch.allclose(dliam(features), features.mean(1).repeat(1, 2), atol=1e-6)
    assert dliam.starts_as_mean is starts_as_mean is (pooling in ("conv1d", "mean"))


def test_dliam_that_starts_as_the_mean_learns_every_part_of_the_published_one():
    torch.manual_seed(0)
    dliam = DLIAM(8, 4, init="mean")
    optimizer = torch.optim.SGD(dliam.parameters(), 0.5)
    features, target = torch.randn(6, 4, 8), torch.randn(6, 16)
    before = {name: value.clone() for name, value in dliam.state_dict().items()}
    for _ in range(4):  # the BiLSTM only learns once s is no longer 0
        optimizer.zero_grad()
        nn.functional.mse_loss(dliam(features), target).backward()
        optimizer.step()
    for name, value in dliam.state_dict().items():
        assert not torch.equal(value, before[name]), name


def test_the_parts_that_start_as_the_mean_can_be_chosen_one_by_one():
    names = {name for name, _ in DLIAM(8, 4, init=["kernel"]).named_parameters()}
    assert names == {name for name, _ in DLIAM(8, 4).named_parameters()}
    assert DLIAM(8, 4, init=["gate"]).norm.gamma.abs().sum() == 0
    assert DLIAM(8, 4, init=["residual"]).residual_scale.shape == (16,)
    with pytest.raises(InputError, match="cannot start open with the norm 'none'"):
        DLIAM(8, 4, init="mean", norm="none")
    with pytest.raises(InputError, match="init is 'median' but must be 'published' or 'mean'"):
        small(aggregation_options={"init": "median"})


def test_published_weights_load_only_into_the_published_form():
    published = DLIAM(8, 4).state_dict()
    with pytest.raises(RuntimeError, match="residual_scale"):
        DLIAM(8, 4, init="mean").load_state_dict(published)
