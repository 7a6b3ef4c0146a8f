from pathlib import Path

import pytest
import torch

from m3dfel.errors import InputError
from m3dfel.models.backbones import BACKBONES
from m3dfel.models.m3dfel import M3DFEL
from small_data import small_model as small


def test_an_image_network_of_timm_reads_frame_by_frame_at_its_own_normalization():
    model = small(backbone="timm/resnet10t", backbone_options={}, size=32).eval()
    assert model.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert model.backbone.out_features == 512
    clips = torch.rand(2, 8, 3, 32, 32)
    assert model(clips).shape == (2, 7)
    instances = clips.unflatten(1, (-1, 4)).flatten(0, 1).transpose(1, 2)
    frames = torch.stack([model.backbone(instances[:, :, [i]]) for i in range(4)])
    torch.testing.assert_close(model.backbone(instances), frames.mean(0))


def test_a_vision_transformer_of_timm_takes_the_size_it_is_given():
    options = {"arguments": {"img_size": 32, "depth": 1}}
    model = small(backbone="timm/vit_tiny_patch16_224", backbone_options=options, size=32)
    assert model.mean.flatten().tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert model(torch.rand(1, 8, 3, 32, 32)).shape == (1, 7)


@pytest.mark.parametrize("name", ["timm", "timm/nonesuch"])
def test_an_unknown_network_of_timm_is_refused_with_a_reason(name: str):
    with pytest.raises(InputError, match=r"cannot create timm's network.*timm.list_models"):
        small(backbone=name, backbone_options={})


def test_a_model_with_a_timm_network_loads_as_it_was_saved(tmp_path: Path):
    model = small(backbone="timm/resnet10t", backbone_options={}, size=32).eval()
    model.save_pretrained(tmp_path)
    clips = torch.rand(1, 8, 3, 32, 32)
    assert torch.equal(M3DFEL.from_pretrained(tmp_path).eval()(clips), model(clips))


def test_timm_weights_out_of_reach_say_what_to_do(monkeypatch):
    backbone = BACKBONES.create("timm/resnet10t", {})
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: 1 / 0)
    with pytest.raises(InputError, match="cannot load timm's weights of 'resnet10t'"):
        backbone.load_pretrained()
