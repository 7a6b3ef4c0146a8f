import pytest
import torch

from m3dfel.data.augment.stills import moving_clip


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    ramp = torch.linspace(0, 200, 64).to(torch.uint8).expand(3, 64, 64)
    return ramp, 255 - ramp


def test_a_moving_clip_moves_a_little_and_smoothly():
    torch.manual_seed(0)
    expressive, _ = pictures()
    clip = moving_clip(expressive, 16, 32)
    assert clip.shape == (16, 3, 32, 32)
    assert clip.dtype == torch.uint8
    steps = clip.float().diff(dim=0).abs().mean((1, 2, 3))
    assert 0 < steps.max() < 8


@pytest.mark.parametrize("seed", range(12))
def test_a_mixed_clip_shows_both_pictures_and_the_expressive_one_in_one_stretch(seed: int):
    torch.manual_seed(seed)
    dark, bright = torch.zeros(3, 32, 32, dtype=torch.uint8), torch.full((3, 32, 32), 200)
    clip = moving_clip(dark, 16, 32, neutral=bright.to(torch.uint8))
    shade = clip.float().mean((1, 2, 3))
    expressive = shade < 105
    assert expressive.any()
    assert not expressive.all()
    assert expressive.int().diff().abs().sum() <= 2, "one stretch of expressive frames"


def test_the_size_of_the_picture_does_not_change_the_clip():
    expressive, _ = pictures()
    torch.manual_seed(3)
    small = moving_clip(expressive, 4, 32)
    torch.manual_seed(3)
    large = moving_clip(expressive.repeat_interleave(4, 1).repeat_interleave(4, 2), 4, 32)
    assert (small.float() - large.float()).abs().mean() < 3
