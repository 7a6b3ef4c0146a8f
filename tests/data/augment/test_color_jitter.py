import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from m3dfel.config import AugmentConfig
from m3dfel.data.augment.color_jitter import NO_JITTER, apply_color_jitter, jitter_as_tensor
from m3dfel.data.augment.frame_augmentation import FrameAugmentation
from m3dfel.data.augment.transforms import color_jitter
from m3dfel.torchvision_compat import v2
from small_data import encoded_frames, smooth_picture

OPERATIONS = (
    (v2.functional.adjust_brightness, "brightness_factor"),
    (v2.functional.adjust_contrast, "contrast_factor"),
    (v2.functional.adjust_saturation, "saturation_factor"),
    (v2.functional.adjust_hue, "hue_factor"),
)


def clips(count: int, frames: int = 2) -> torch.Tensor:
    pictures = [smooth_picture(40, 32, seed) for seed in range(count * frames)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).unflatten(0, (count, frames))


def draw(jitter: float = 0.4) -> dict:
    return color_jitter(AugmentConfig(jitter=jitter)).make_params([])


def test_each_clip_of_a_batch_changes_as_torchvision_changes_it_alone():
    torch.manual_seed(1)
    batch, drawn = clips(30), [draw() for _ in range(30)]
    assert len({tuple(change["fn_idx"].tolist()) for change in drawn}) > 12
    ours = apply_color_jitter(batch, torch.stack([jitter_as_tensor(change) for change in drawn]))
    assert ours.dtype == torch.uint8
    for clip, change, result in zip(batch, drawn, ours, strict=True):
        expected = clip
        for operation in change["fn_idx"].tolist():
            adjust, name = OPERATIONS[operation]
            expected = adjust(expected, change[name])
        difference = (result.float() - expected.float()).abs()
        assert difference.mean() < 0.7
        assert difference.max() <= 6


def test_changing_nothing_leaves_every_color():
    batch = torch.randint(256, (3, 2, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(apply_color_jitter(batch, NO_JITTER.expand(3, -1, -1)), batch)
    assert apply_color_jitter(batch, None) is batch


@pytest.mark.parametrize("side", [48, 96, 140])
def test_colors_left_for_later_give_the_same_clip_from_the_same_random_numbers(side: int):
    frames = encoded_frames([smooth_picture(side, side + 8, seed) for seed in range(3)])
    augmentation = FrameAugmentation(64, AugmentConfig())
    for seed in range(24):
        torch.manual_seed(seed)
        expected, after = augmentation(frames), torch.rand(())
        torch.manual_seed(seed)
        clip, change = augmentation.without_color_jitter(frames)
        assert torch.rand(()) == after
        difference = (apply_color_jitter(clip[None], change[None])[0].float() - expected).abs()
        assert difference.mean() < 1.5
        assert difference.flatten().quantile(0.99) <= 8


def test_the_distributions_are_torchvision_s():
    gray = torch.tensor([180, 110, 70], dtype=torch.uint8).view(3, 1, 1).expand(600, 1, 3, 4, 4)
    torch.manual_seed(11)
    ours = apply_color_jitter(gray, torch.stack([jitter_as_tensor(draw()) for _ in range(600)]))
    torch.manual_seed(12)
    jitter = color_jitter(AugmentConfig())
    theirs = torch.stack([jitter(clip) for clip in gray])
    for channel in range(3):
        means = [clips[:, 0, channel].float().mean((1, 2)).numpy() for clips in (ours, theirs)]
        assert ks_2samp(*means).pvalue > 1e-3


@pytest.mark.parametrize(
    ("augment", "last"),
    [(AugmentConfig(), True), (AugmentConfig(jitter=0), False), (AugmentConfig(erase=0.3), False)],
)
def test_colors_can_be_left_only_if_they_come_last(augment: AugmentConfig, last: bool):
    assert FrameAugmentation(16, augment).color_jitter_is_last is last
