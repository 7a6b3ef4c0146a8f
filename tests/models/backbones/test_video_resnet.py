import copy
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from m3dfel.errors import InputError
from m3dfel.models.backbones import BACKBONES
from m3dfel.models.backbones.video_resnet import R3D
from m3dfel.torchvision_compat import import_torchvision
from small_data import small_model as small

models = import_torchvision("torchvision.models")


NETWORKS = {
    "r3d": (models.video.r3d_18, models.video.R3D_18_Weights.KINETICS400_V1),
    "r2plus1d": (models.video.r2plus1d_18, models.video.R2Plus1D_18_Weights.KINETICS400_V1),
    "mc3": (models.video.mc3_18, models.video.MC3_18_Weights.KINETICS400_V1),
    "resnet": (models.resnet18, models.ResNet18_Weights.IMAGENET1K_V1),
}


@pytest.fixture
def checkpoints(monkeypatch, tmp_path: Path) -> Path:
    """The folder of torch's downloaded weights: empty, and the network is down."""

    def unreachable(*arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("kind", NETWORKS)
def test_with_pretrained_weights_a_backbone_equals_torchvision_s_network(
    kind: str, checkpoints: Path
):
    make, weights = NETWORKS[kind]
    torch.manual_seed(0)
    network = make()
    for module in network.modules():  # the statistics of a fresh network would hide a mistake
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    torch.save(network.state_dict(), checkpoints / Path(weights.url).name)
    backbone = BACKBONES.create(kind, {}).eval()
    backbone.load_pretrained()
    network.fc = nn.Identity()
    x = torch.rand(2, 3, 1 if kind == "resnet" else 4, 32, 32)
    with torch.no_grad():
        expected = network.eval()(x.squeeze(2) if kind == "resnet" else x)
        torch.testing.assert_close(backbone(x), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="only width 64 and depth 18"):
        BACKBONES.create(kind, {"width": 8}).load_pretrained()


def test_resnet_reads_frame_by_frame():
    model = small(backbone="resnet", bag_size=8).eval()
    clips = torch.rand(2, 8, 3, 16, 16)
    frames = model.instance_features(clips)
    whole = small(backbone="resnet", bag_size=1, aggregation="mean").eval()
    whole.backbone.load_state_dict(model.backbone.state_dict())
    torch.testing.assert_close(whole.instance_features(clips).squeeze(1), frames.mean(1))
    assert model.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert small().mean.flatten().tolist() == pytest.approx([0.43216, 0.394666, 0.37645])


def test_a_failed_download_says_what_to_do(checkpoints: Path):
    with pytest.raises(InputError, match=r"no route to host.*--model.weights none") as error:
        R3D().load_pretrained()
    assert str(checkpoints) in str(error.value)
    for content in (b"", b"half a file"):
        (checkpoints / Path(NETWORKS["r3d"][1].url).name).write_bytes(content)
        with pytest.raises(InputError, match="put that file"):
            R3D().load_pretrained()


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_skipping_the_padding_around_one_frame_changes_nothing(frames: int):
    torch.manual_seed(0)
    ours = R3D(width=4, depth=18).double().eval()
    plain = copy.deepcopy(ours)
    for module in plain.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.forward = partial(torch.nn.Conv3d.forward, module)
    x = torch.rand(2, 3, frames, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(ours(x), plain(x))


@pytest.mark.parametrize("frames", [1, 4])
def test_a_single_instance_has_the_features_that_it_has_beside_others(frames: int):
    torch.manual_seed(0)
    backbone = R3D(width=4, depth=10).eval()
    instances = torch.rand(3, 3, frames, 32, 32)
    alone = torch.cat([backbone(instance[None]) for instance in instances])
    torch.testing.assert_close(alone, backbone(instances), rtol=1e-5, atol=1e-6)
