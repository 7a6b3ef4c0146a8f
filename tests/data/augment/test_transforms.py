import pytest
import torch

from m3dfel.config import AugmentConfig
from m3dfel.data.augment.transforms import mixup, resize_middle, training_transform


def noise(frames: int = 1) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randint(0, 256, (1, 3, 40, 48), dtype=torch.uint8).repeat(frames, 1, 1, 1)


def test_a_transform_is_the_same_in_every_frame_of_a_clip():
    for seed in range(5):
        torch.manual_seed(seed)
        clip = training_transform(32, AugmentConfig(erase=1.0))(noise(6))
        assert clip.shape == (6, 3, 32, 32)
        assert clip.dtype == torch.uint8
        assert (clip == clip[0]).all()


def test_transforms_are_random():
    clip, transform = noise(), training_transform(32, AugmentConfig())
    assert (transform(clip) != transform(clip)).any()


def test_camera_noise_differs_between_frames():
    torch.manual_seed(1)
    clip = training_transform(32, AugmentConfig(noise=20.0))(noise(2)).float()
    assert 0 < (clip[0] - clip[1]).std() < 40


def test_every_transform_can_be_turned_off():
    clip = noise(2)
    nothing = training_transform(32, AugmentConfig(flip=0, jitter=0), crop=False)
    assert (nothing(clip) == clip).all()


def test_evaluation_only_resizes():
    assert resize_middle(noise(3), 24).shape == (3, 3, 24, 24)
    assert (resize_middle(noise(3), 24) == resize_middle(noise(3), 24)).all()


def test_zoom_enlarges_the_middle():
    clip = torch.zeros(2, 1, 64, 64, dtype=torch.uint8)
    clip[..., 16:48, 16:48] = 200
    assert (resize_middle(clip, 32, zoom=2.0) == 200).all()
    assert resize_middle(clip, 32).float().mean() == 50


def test_blur_removes_detail_and_keeps_the_brightness():
    torch.manual_seed(0)
    augment = AugmentConfig(flip=0, jitter=0, blur=1.0)
    clip = noise(2)[..., :40]
    blurred = training_transform(40, augment, crop=False)(clip).float()
    assert blurred.std() < 0.8 * clip.float().std()
    assert blurred.mean() == pytest.approx(float(clip.float().mean()), rel=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_compression_loses_detail_but_neither_color_nor_motion(channels: int):
    torch.manual_seed(0)
    augment = AugmentConfig(flip=0, jitter=0, compress=1.0)
    flat = torch.tensor([200, 90, 30], dtype=torch.uint8)[:channels, None, None]
    clip = torch.stack([flat.expand(channels, 32, 32), flat.expand(channels, 32, 32) // 2])
    compressed = training_transform(32, augment, crop=False)(clip)
    assert compressed.dtype == torch.uint8
    assert (compressed.int() - clip.int()).abs().max() < 20
    detailed = noise(2)[:, :channels]
    compressed = training_transform(40, augment, crop=False)(detailed)
    assert compressed.shape == detailed.shape
    assert (compressed.int() - detailed.int()).abs().float().mean() > 10


def test_mixup_blends_clips_by_the_returned_weight():
    clips = torch.rand(6, 2, 3, 4, 4)
    mixed, partners, weight = mixup(clips, 0.4, seed=3)
    assert 0.5 <= weight <= 1
    assert sorted(partners.tolist()) == list(range(6))
    torch.testing.assert_close(mixed, weight * clips + (1 - weight) * clips[partners])
    again, _, _ = mixup(clips, 0.4, seed=3)
    assert torch.equal(mixed, again)
    same, partners, weight = mixup(clips, 0.0, seed=3)
    assert (same is clips, partners.tolist(), weight) == (True, list(range(6)), 1.0)
