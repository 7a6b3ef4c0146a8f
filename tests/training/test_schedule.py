import pytest

from m3dfel.config import OptimConfig
from m3dfel.training.schedule import learning_rate


def test_the_learning_rate_warms_up_and_falls_as_a_cosine():
    optim = OptimConfig()
    assert learning_rate(0, optim) == 0
    assert learning_rate(10, optim) == pytest.approx(2.5e-4)
    assert learning_rate(20, optim) == pytest.approx(5e-4)
    assert learning_rate(160, optim) == pytest.approx((5e-4 + 5e-6) / 2)
    assert learning_rate(300, optim) == pytest.approx(5e-6)
