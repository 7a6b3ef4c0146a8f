import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from m3dfel.errors import InputError
from m3dfel.models.aggregations.dliam import DLIAM
from m3dfel.models.dmin import DMIN
from m3dfel.models.pooling import AttentionPooling
from small_data import small_model as small


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**31))
def test_dmin_follows_the_formula_of_the_paper(instances: int, channels: int, seed: int):
    torch.manual_seed(seed)
    dmin = DMIN(channels)
    for parameter in dmin.parameters():
        nn.init.normal_(parameter)
    a = torch.randn(3, instances, channels)
    w, v = dmin.mean_lambda.softmax(0), dmin.var_lambda.softmax(0)
    mean = w[0] * a.mean(1, keepdim=True) + w[1] * a.mean((1, 2), keepdim=True)
    biased = {"correction": 0, "keepdim": True}
    var = v[0] * a.var(1, **biased) + v[1] * a.var((1, 2), **biased)
    expected = (a - mean) / (var + 1e-5).sqrt() * dmin.gamma + dmin.beta
    torch.testing.assert_close(dmin(a), expected, rtol=1e-3, atol=1e-4)


PARTS = [
    {"backbone": kind, "aggregation": name}
    for kind in ("r3d", "r2plus1d", "mc3", "resnet")
    for name in ("dliam", "lstm", "transformer", "mean", "max", "attention")
]


ABLATIONS = [
    {"aggregation_options": options}
    for options in (
        {"bilstm": False},
        {"mhsa": False},
        {"bilstm": False, "mhsa": False},
        *({"norm": norm} for norm in ("none", "batch", "layer", "instance")),
        *({"pooling": pooling} for pooling in ("conv1d-shared", "mean", "max", "attention")),
        {"init": "mean"},
        {"init": ["gate", "kernel"], "norm": "batch"},
    )
]


@pytest.mark.parametrize("bag_size", [1, 2, 4, 8])
@pytest.mark.parametrize(
    "parts", [*PARTS, *ABLATIONS], ids=lambda p: " ".join(map(str, p.values()))
)
def test_the_evidence_of_the_instances_sums_to_the_logits(parts: dict, bag_size: int):
    model = small(bag_size=bag_size, **parts)
    model(torch.rand(2, 8, 3, 16, 16))  # fills the statistics of batch normalization
    model.eval()
    clips = torch.randint(0, 256, (3, 8, 3, 16, 16), dtype=torch.uint8)
    logits, evidence = model.explain(clips)
    assert evidence.shape == (3, bag_size, 7)
    torch.testing.assert_close(logits, model(clips))
    torch.testing.assert_close(evidence.sum(1), logits)


def test_gated_attention_follows_the_formula_of_its_paper():
    pooling = AttentionPooling(6)
    x = torch.randn(2, 3, 6)
    scores = torch.stack(
        [
            torch.tanh(pooling.value(x[:, n])) * torch.sigmoid(pooling.gate(x[:, n]))
            for n in range(3)
        ],
        1,
    )
    weights = (scores @ pooling.weight.weight.T).softmax(1)
    torch.testing.assert_close(pooling(x), (weights * x).sum(1))


@pytest.mark.parametrize("bag_size", [1, 2, 4, 8, 16])
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


@pytest.mark.parametrize(
    ("aggregation", "channels"), [("dliam", "60 channels"), ("transformer", "30 features")]
)
def test_features_that_the_heads_cannot_divide_are_refused(aggregation: str, channels: str):
    backbone = nn.Identity()
    backbone.out_features = 30
    with pytest.raises(InputError, match=f"the 8 heads of .* cannot divide {channels}"):
        small(backbone=backbone, aggregation=aggregation)
    small(backbone=backbone, aggregation_options={"mhsa": False})


def test_published_weights_load_only_into_the_published_form():
    published = DLIAM(8, 4).state_dict()
    with pytest.raises(RuntimeError, match="residual_scale"):
        DLIAM(8, 4, init="mean").load_state_dict(published)
