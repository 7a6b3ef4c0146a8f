import torch
from torch import nn

from m3dfel.training.batchnorm import share_batch_norm


def test_shared_batch_norm_equals_batch_norm_in_one_process(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1
    )
    try:
        x = torch.randn(3, 4, 2, 5, 5) * 3 + 700
        alone, shared = nn.BatchNorm3d(4), nn.Sequential(nn.BatchNorm3d(4))
        share_batch_norm(shared)
        torch.testing.assert_close(shared(x), alone(x), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(shared[0].running_var, alone.running_var)
        torch.testing.assert_close(shared[0].running_mean, alone.running_mean)
        torch.testing.assert_close(shared.eval()(x), alone.eval()(x))
    finally:
        torch.distributed.destroy_process_group()
