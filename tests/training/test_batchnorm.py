import multiprocessing

import pytest
import torch
from torch import nn

from m3dfel.errors import InputError
from m3dfel.models.backbones.timm import TimmBackbone
from m3dfel.training.batchnorm import SharedBatchNorm, SharedBatchNormAct, share_batch_norm


def join(folder, rank: int, processes: int) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=processes
    )


@pytest.fixture
def group(tmp_path):
    join(tmp_path, 0, 1)
    yield
    torch.distributed.destroy_process_group()


NORMS = [(nn.BatchNorm3d, (2, 5, 5)), (nn.BatchNorm2d, (5, 5)), (nn.BatchNorm1d, ())]


@pytest.mark.parametrize(("kind", "shape"), NORMS)
def test_shared_batch_norm_equals_batch_norm_in_one_process(kind, shape, group):
    x = torch.randn(9, 4, *shape) * 3 + 700
    alone, shared = kind(4), nn.Sequential(kind(4))
    share_batch_norm(shared)
    torch.testing.assert_close(shared(x), alone(x), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(shared[0].running_var, alone.running_var)
    torch.testing.assert_close(shared[0].running_mean, alone.running_mean)
    torch.testing.assert_close(shared.eval()(x), alone.eval()(x))


def normalize_half(folder, rank: int, clips: torch.Tensor, results) -> None:
    join(folder, rank, 2)
    model = nn.Sequential(nn.BatchNorm2d(4))
    share_batch_norm(model)
    half = clips[:1] if rank == 0 else clips[1:]
    results.put((rank, model(half).detach().numpy(), model[0].running_var.numpy()))


def test_two_processes_with_parts_of_a_batch_equal_one_with_all_of_it(tmp_path):
    clips = torch.randn(5, 4, 3, 3) * 2 + 5
    alone = nn.BatchNorm2d(4)
    expected = alone(clips).detach()
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    processes = [
        context.Process(target=normalize_half, args=(tmp_path, rank, clips, results))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    parts = {rank: values for rank, *values in (results.get() for _ in processes)}
    for process in processes:
        process.join()
    normalized = torch.cat([torch.from_numpy(parts[rank][0]) for rank in range(2)])
    torch.testing.assert_close(normalized, expected, rtol=1e-4, atol=1e-5)
    for rank in range(2):
        torch.testing.assert_close(torch.from_numpy(parts[rank][1]), alone.running_var)


@pytest.mark.parametrize(
    ("network", "kind"),
    [("resnet10t", SharedBatchNorm), ("efficientnet_lite0", SharedBatchNormAct)],
)
def test_networks_of_timm_share_all_their_statistics(network: str, kind, group):
    backbone = TimmBackbone(network).eval()
    instances = torch.randn(2, 3, 1, 32, 32)
    expected = backbone(instances)
    names = backbone.state_dict().keys()
    share_batch_norm(backbone)
    norms = [m for m in backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(type(norm) is kind for norm in norms)
    torch.testing.assert_close(backbone(instances), expected)
    assert backbone.state_dict().keys() == names


def test_a_batch_norm_that_cannot_be_shared_is_an_input_error(group):
    class Own(nn.BatchNorm2d):
        pass

    with pytest.raises(InputError, match="statistics of Own cannot be shared"):
        share_batch_norm(nn.Sequential(Own(2)))
