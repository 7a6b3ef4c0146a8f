from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from m3dfel.config import AugmentConfig
from m3dfel.data.augment.frame_augmentation import FrameAugmentation
from m3dfel.data.augment.transforms import training_transform
from m3dfel.data.frames import Frames
from small_data import encoded_frames, smooth_picture


def both(
    size: int, augment: AugmentConfig, frames: Frames, seeds: int = 8
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield clips by the fast transform and by torchvision's, from the same random numbers."""
    fast, exact = FrameAugmentation(size, augment), training_transform(size, augment)
    for seed in range(seeds):
        torch.manual_seed(seed)
        ours = fast(frames)
        after = torch.rand(())
        torch.manual_seed(seed)
        yield ours, exact(frames.decode())
        assert torch.rand(()) == after, "the same random numbers are drawn"


@pytest.mark.parametrize("side", [48, 96, 140])
@pytest.mark.parametrize("jitter", [0.0, 0.4])
def test_clips_are_within_a_few_gray_levels_of_torchvision_s(side: int, jitter: float):
    frames = encoded_frames([smooth_picture(side, side + 8, seed) for seed in range(3)])
    for ours, exact in both(64, AugmentConfig(jitter=jitter), frames):
        assert ours.shape == exact.shape == (3, 3, 64, 64)
        assert ours.dtype == torch.uint8
        difference = (ours.float() - exact.float()).abs()
        assert difference.mean() < 1.5
        assert difference.flatten().quantile(0.99) <= 8


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("side", [160, 299, 601])
def test_large_pictures_are_decoded_at_a_reduced_size_and_look_the_same(
    side: int, suffix: str, monkeypatch
):
    reductions = set()
    real = Frames.picture

    def picture(self, index: int, reduction: int = 1) -> np.ndarray:
        reductions.add(reduction)
        return real(self, index, reduction)

    monkeypatch.setattr(Frames, "picture", picture)
    frames = encoded_frames([smooth_picture(side, side, blur=side / 12)], suffix)
    augment = AugmentConfig(crop_scale=(0.7, 1.0))
    for ours, exact in both(32, augment, frames, seeds=6):
        assert (ours.float() - exact.float()).abs().mean() < 4
    assert (max(reductions) > 1) is (suffix == ".jpg"), "others would not be faster"


@pytest.mark.parametrize("suffix", [".jpg", ".png"])  # they round up and down
def test_frames_of_odd_sizes_can_be_decoded_at_a_reduced_size(suffix: str):
    frames = encoded_frames([smooth_picture(299, 301)], suffix)
    for reduction in (2, 4, 8):
        height, width, _ = frames.picture(0, reduction).shape
        assert abs(height - 299 / reduction) < 1
        assert abs(width - 301 / reduction) < 1


@pytest.mark.parametrize("operation", range(4))
def test_each_change_of_color_alone_is_torchvision_s(operation: int):
    augment = AugmentConfig(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0)
    frames = encoded_frames([smooth_picture(64, 64, seed) for seed in range(2)])
    for turn in range(4):
        fast, exact = FrameAugmentation(64, augment), training_transform(64, augment)
        jitter = exact.transforms[-1]
        for transform in (fast.jitter, jitter):
            values = (transform.brightness, transform.contrast, transform.saturation, transform.hue)
            centers = [1.0, 1.0, 1.0, 0.0]
            centers[operation] = values[operation][0] + turn * 0.26
            for name, center in zip(
                ("brightness", "contrast", "saturation", "hue"), centers, strict=True
            ):
                setattr(transform, name, (center, center))
        torch.manual_seed(turn)
        ours = fast(frames)
        torch.manual_seed(turn)
        difference = (ours.float() - exact(frames.decode()).float()).abs()
        assert difference.mean() < 1.5
        assert difference.max() <= 10


def test_the_distributions_are_torchvision_s():
    """Crop, flip and colors of many clips, measured on pictures that show them."""
    ramp = np.linspace(0, 255, 96).astype(np.uint8)
    horizontal, vertical = np.meshgrid(ramp, ramp)
    where = encoded_frames([np.dstack([horizontal, vertical, np.full_like(horizontal, 90)])])
    gray = encoded_frames([np.full((24, 24, 3), (180, 110, 70), np.uint8)])
    plain = AugmentConfig(jitter=0.0)
    fast, exact = [], []
    fast_place, exact_place = FrameAugmentation(16, plain), training_transform(16, plain)
    colored = AugmentConfig()
    fast_color, exact_color = FrameAugmentation(8, colored), training_transform(8, colored)
    torch.manual_seed(11)
    for _ in range(300):
        fast.append(features(fast_place(where), fast_color(gray)))
    torch.manual_seed(12)
    where_decoded, gray_decoded = where.decode(), gray.decode()
    for _ in range(300):
        exact.append(features(exact_place(where_decoded), exact_color(gray_decoded)))
    for ours, theirs in zip(np.transpose(fast), np.transpose(exact), strict=True):
        assert ks_2samp(ours, theirs).pvalue > 1e-3


def features(place: torch.Tensor, color: torch.Tensor) -> list[float]:
    """The crop's borders, its width and height with the flip, and the three colors."""
    x, y = place[0, 0].float(), place[0, 1].float()
    edges = [x[:, 0].mean(), x[:, -1].mean(), y[0].mean(), y[-1].mean()]
    spread = [edges[1] - edges[0], edges[3] - edges[2]]
    return [float(value) for value in (*edges, *spread, *color.float().mean((0, 2, 3)))]


def test_all_frames_of_a_clip_change_alike():
    frames = encoded_frames([smooth_picture(60, 60)] * 4)
    torch.manual_seed(3)
    clip = FrameAugmentation(32, AugmentConfig(blur=1.0, erase=1.0))(frames)
    assert clip.shape == (4, 3, 32, 32)
    assert (clip == clip[0]).all()


def test_pixels_are_left_as_they_are_when_nothing_is_changed():
    picture = smooth_picture(32, 32)
    augment = AugmentConfig(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0, jitter=0.0)
    for frames in (encoded_frames([picture]), Frames("clip", ["0"], [picture])):
        clip = FrameAugmentation(32, augment)(frames)
        assert torch.equal(clip[0], torch.from_numpy(picture).permute(2, 0, 1))


def test_a_video_whose_frames_change_size_is_an_input_error():
    frames = Frames("clip.mp4", ["0", "1"], [smooth_picture(32, 32), smooth_picture(24, 32)])
    for read in (FrameAugmentation(16, AugmentConfig()), Frames.decode):
        with pytest.raises(ValueError, match=r"clip\.mp4 has frames of different sizes"):
            read(frames)


def test_a_damaged_frame_is_named(tmp_path: Path):
    good = cv2.imencode(".jpg", smooth_picture(32, 32))[1]
    for bad in (good[:40], np.zeros(0, np.uint8)):
        frames = Frames("clip", ["1.jpg", "2.jpg"], [good, bad])
        with pytest.raises(ValueError, match=r"2\.jpg is not a picture"):
            FrameAugmentation(16, AugmentConfig())(frames)
