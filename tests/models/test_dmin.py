import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from m3dfel.models.dmin import DMIN


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
