import torch
from torch import nn

from m3dfel.models.folding import folded
from small_data import small_model


def test_a_folded_network_computes_the_same_without_batch_normalization():
    model = small_model()
    model(torch.rand(4, 8, 3, 16, 16))  # fills the statistics of batch normalization
    backbone, instances = model.eval().backbone, torch.rand(3, 3, 4, 16, 16)
    expected = backbone(instances)
    fast = folded(backbone)
    torch.testing.assert_close(fast(instances), expected, rtol=1e-5, atol=1e-5)
    assert not any(isinstance(layer, nn.BatchNorm3d) for layer in fast.modules())
    torch.testing.assert_close(backbone(instances), expected, rtol=0, atol=0)
