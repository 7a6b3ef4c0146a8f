from pathlib import Path

import pytest
import torch
from torch import nn

from m3dfel.errors import InputError
from m3dfel.models.flow import optical_flow
from m3dfel.models.m3dfel import M3DFEL
from small_data import small_model, smooth_picture


def panned(side: int = 64, frames: int = 4, step: float = 0.02) -> torch.Tensor:
    """An instance (t, 3, S, S) whose content moves right by a fraction of its width per frame."""
    picture = torch.from_numpy(smooth_picture(side, 2 * side, blur=side / 16)).permute(2, 0, 1)
    shifts = [round(step * side) * index for index in range(frames)]
    return torch.stack([picture[..., side // 2 - s : side // 2 - s + side] for s in shifts])


def gray(instance: torch.Tensor) -> torch.Tensor:
    return instance.float().mean(1)[None]


def inner(flow: torch.Tensor) -> torch.Tensor:
    """The flow away from the borders of the frames, where content enters and leaves."""
    border = flow.shape[-1] // 4
    return flow[..., border:-border, border:-border]


class Recorder(nn.Module):
    """A backbone that keeps what it was given."""

    out_features = 8

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 8, 1)

    def forward(self, instances):
        self.seen = instances
        return self.conv(instances).mean((2, 3, 4))


def seen_flow(clips: torch.Tensor, **settings) -> torch.Tensor:
    """The flow (M, 2, t, S, S) in the instances that the backbone is given for a clip."""
    backbone = Recorder()
    model = small_model(backbone=backbone, aggregation="mean", flow=True, **settings).eval()
    model(clips)
    assert backbone.seen.shape[1] == 5
    return backbone.seen[:, 3:]


@pytest.mark.parametrize("side", [50, 100])
def test_the_flow_is_in_hundredths_of_the_width_right_and_down(side: int):
    right = panned(side)
    dx, dy = inner(optical_flow(gray(right))).unbind(2)
    assert dx.median() == pytest.approx(2, abs=0.3)
    assert dy.abs().median() < 0.3
    dx, dy = inner(optical_flow(gray(right.transpose(-1, -2)))).unbind(2)
    assert dy.median() == pytest.approx(2, abs=0.3)
    assert dx.abs().median() < 0.3


def test_the_last_frame_repeats_the_flow_before_it():
    flow = optical_flow(gray(panned()))[0]
    assert torch.equal(flow[3], flow[2])
    assert not torch.equal(flow[2], flow[1])


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("side", [12, 33, 112])
def test_a_still_has_no_flow_at_all(side: int, frames: int):
    still = torch.randint(256, (2, 1, side, side)).float().expand(-1, frames, -1, -1)
    flow = optical_flow(still)
    assert flow.shape == (2, frames, 2, side, side)
    assert not flow.any()


def test_nothing_changes_before_training():
    clips = torch.randint(256, (2, 8, 3, 16, 16), dtype=torch.uint8)
    plain, seeing = (small_model(flow=flow).eval() for flow in (False, True))
    seeing.load_state_dict(plain.state_dict())  # three channels into five
    with torch.inference_mode():
        torch.testing.assert_close(seeing(clips), plain(clips), rtol=0, atol=1e-6)
        seeing.backbone[0][0].weight[:, 3:] = 0.1
        assert (seeing(clips) - plain(clips)).abs().max() > 1e-4


def test_the_weights_for_the_flow_learn():
    model = small_model(flow=True)
    model(torch.randint(256, (2, 8, 3, 16, 16), dtype=torch.uint8)).square().sum().backward()
    assert model.backbone[0][0].weight.grad[:, 3:].abs().max() > 0


def test_a_mirrored_instance_moves_the_other_way():
    clip = panned(frames=8)
    flow = inner(seen_flow(clip[None], size=64, mirror=True))[:, 0]
    assert flow[0].median() == pytest.approx(100 / 64, abs=0.3)
    assert flow[1].median() == pytest.approx(-100 / 64, abs=0.3)


@pytest.mark.parametrize("grayscale", [False, True])
def test_clips_that_are_already_normalized_have_the_same_flow(grayscale: bool):
    clips = torch.randint(256, (2, 8, 3, 16, 16), dtype=torch.uint8)
    settings = {"grayscale": grayscale, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}
    normalized = small_model(**settings).normalize(clips)
    assert torch.equal(seen_flow(clips, **settings), seen_flow(normalized, **settings))


def test_context_shows_where_an_instance_goes_next():
    still = torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8)
    clip = torch.cat([still.expand(4, -1, -1, -1), panned(32, step=1 / 32)])[None]
    assert not seen_flow(clip, size=32)[0].any()
    assert seen_flow(clip, size=32, context=1)[0].any()


def test_a_model_with_flow_loads_as_it_was_saved(tmp_path: Path):
    model = small_model(flow=True).eval()
    nn.init.normal_(model.backbone[0][0].weight)
    model.save_pretrained(tmp_path)
    clips = torch.randint(256, (2, 8, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(M3DFEL.from_pretrained(tmp_path).eval()(clips), model(clips))


@pytest.mark.parametrize(
    ("backbone", "options", "side"),
    [
        ("resnet", {"width": 4, "depth": 10}, 16),
        ("r2plus1d", {"width": 4, "depth": 10}, 16),
        ("timm/resnet10t", {}, 32),
        ("timm/vit_tiny_patch16_224", {"arguments": {"img_size": 32, "depth": 1}}, 32),
    ],
)
def test_other_backbones_see_the_flow_too(backbone: str, options: dict, side: int):
    settings = {"backbone": backbone, "backbone_options": options, "size": side}
    plain, seeing = (small_model(flow=flow, **settings).eval() for flow in (False, True))
    clips = torch.randint(256, (2, 8, 3, side, side), dtype=torch.uint8)
    with torch.inference_mode():
        before = seeing(clips)
        torch.testing.assert_close(before, plain(clips), rtol=0, atol=1e-4)
        first = next(m for m in seeing.modules() if getattr(m, "in_channels", 0) == 5)
        first.weight[:, 3:] = 1
        assert not torch.equal(seeing(clips), before)


def test_a_backbone_or_a_size_without_flow_is_refused_with_a_reason():
    with pytest.raises(InputError, match="Linear cannot see optical flow, since none of its conv"):
        small_model(backbone=nn.Linear(3, 8), aggregation="mean", flow=True)
    with pytest.raises(InputError, match="the size is 11 but must be 12 pixels or more"):
        small_model(size=11, flow=True)
