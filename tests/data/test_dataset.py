from dataclasses import replace
from pathlib import Path

import pytest
import torch

from m3dfel.config import AugmentConfig, DataConfig, LossConfig
from m3dfel.data.augment.stills import moving_clip
from m3dfel.data.augment.transforms import resize_middle, training_transform
from m3dfel.data.dataset import EvaluationClips, label_distribution
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.reading import read_clip, read_picture
from m3dfel.data.sampling import random_indices
from m3dfel.data.seeds import combine_seeds, seeded
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from small_data import ClipFormat, training_clips, write_frames

ALWAYS_NEUTRAL = DataConfig(neutral_probability=1.0)


def test_evaluation_clips_have_the_model_s_size_and_their_label(tmp_path: Path):
    write_frames(tmp_path / "clip", 12)
    clip = Clip(str(tmp_path / "clip"), "frames", "fear", "test")
    sample = EvaluationClips(ClipFormat(12), [clip])[0][0]
    assert sample.clip.shape == (12, 3, 16, 16)
    assert sample.clip.dtype == torch.uint8
    assert (sample.target, sample.index) == (6, 0)


def test_an_evaluation_clip_has_a_sample_for_each_window(tmp_path: Path):
    write_frames(tmp_path / "clip", 50)
    clip = Clip(str(tmp_path / "clip"), "frames", "fear", "test")
    windows = EvaluationClips(ClipFormat(), [clip], window_s=1.0)[0]
    assert [sample.index for sample in windows] == [0, 0]
    first, second = (sample.clip.float().mean() for sample in windows)
    assert second - first == pytest.approx(25 * 4, abs=2)  # a frame is 4 levels brighter


def test_a_training_clip_covers_a_window(tmp_path: Path):
    write_frames(tmp_path / "clip", 50)
    clip = Clip(str(tmp_path / "clip"), "frames", "fear", "test")
    augment, window = AugmentConfig(jitter=0.0), DataConfig(window_s=0.16)
    data = training_clips([clip], 4, augment=augment, data=window)
    starts = set()
    for epoch in range(20):
        means = data[epoch, 0].clip.float().mean((1, 2, 3))
        assert means[-1] - means[0] == pytest.approx(3 * 4, abs=2)
        starts.add(round(float(means[0])))
    assert len(starts) > 5


def test_a_still_is_the_same_in_all_frames(tmp_path: Path):
    write_frames(tmp_path / "faces", 1)
    clip = Clip(str(tmp_path / "faces" / "1.jpg"), "still", "fear", "val")
    frames = EvaluationClips(ClipFormat(12, zoom=1.28), [clip])[0][0].clip
    assert frames.shape == (12, 3, 16, 16)
    expected = resize_middle(read_picture(clip.path), 16, 1.28)
    assert (frames == expected).all()


def test_training_clips_depend_on_seed_epoch_and_index_alone(dfew: Path):
    clips = read_manifest(str(dfew)).split("train")
    first, second = training_clips(clips), training_clips(clips)
    torch.rand(5)
    assert (first[3, 5].clip == second[3, 5].clip).all()
    assert (first[3, 5].clip != first[4, 5].clip).any()
    assert (first[3, 5].clip != training_clips(clips, seed=1)[3, 5].clip).any()


def test_reading_a_training_clip_leaves_the_global_random_numbers_as_they_are(dfew: Path):
    data = training_clips(read_manifest(str(dfew)).split("train"))
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    data[0, 0]
    assert torch.equal(torch.rand(3), expected)


def test_a_broken_clip_is_logged_and_replaced_in_training(tmp_path: Path, caplog):
    for name in ("a", "b", "c"):
        write_frames(tmp_path / name, 3)
    (tmp_path / "b" / "2.jpg").write_bytes(b"not a picture")
    clips = [Clip(str(tmp_path / name), "frames", "fear", "test") for name in ("a", "b", "c")]
    assert EvaluationClips(ClipFormat(3), clips)[1] == []
    assert "2.jpg is not a picture" in caplog.text
    assert training_clips(clips)[0, 1].index == 2


def test_an_error_says_what_to_do_when_no_training_clip_can_be_read(tmp_path: Path):
    clips = [Clip(str(tmp_path / "gone.jpg"), "still", "fear", "train")]
    with pytest.raises(InputError, match="m3dfel data check"):
        training_clips(clips)[0, 0]


def test_drawn_faces_and_stills_keep_the_exact_transforms(tmp_path: Path):
    """The numbers of the recipes for them must not change."""
    write_frames(tmp_path / "faces", 2, side=40)
    augment = AugmentConfig(blur=0.5, noise=4.0)
    drawn = Clip("synthetic:0/1/0/fear", "synthetic", "fear", "train")
    still = Clip(str(tmp_path / "faces" / "2.jpg"), "still", "fear", "train")
    data = training_clips([drawn, still], 4, augment=augment, seed=5)
    with seeded(combine_seeds(5, 2, 0)):
        frames = read_clip(drawn, 4, 16, random_indices, keep_all=True)
        exact = training_transform(16, augment)(frames)
    assert torch.equal(data[2, 0].clip, exact)
    with seeded(combine_seeds(5, 2, 1)):
        frames = moving_clip(read_picture(still.path), 4, 16, augment.crop_scale)
        exact = training_transform(16, augment, crop=False)(frames)
    assert torch.equal(data[2, 1].clip, exact)


def test_stills_of_one_person_are_mixed(shared: Path):
    manifest = read_manifest(str(shared / "data" / "stills" / "stills.csv"))
    people = [c for c in manifest.split("train") if c.identity == "George_W_Bush"]
    data = training_clips(people, data=ALWAYS_NEUTRAL)
    index = next(i for i, clip in enumerate(people) if clip.emotion == "happiness")
    sample = data[0, index]
    assert sample.target == EMOTIONS.index("happiness")
    assert sample.clip.shape == (8, 3, 16, 16)
    assert data.neutral_stills[0, "George_W_Bush"]


def test_people_of_different_data_sets_are_never_mixed():
    neutral = Clip("a.png", "still", "neutral", "train", "1", dataset=0)
    namesake = Clip("b.png", "still", "fear", "train", "1", dataset=1)
    data = training_clips([neutral, namesake], data=ALWAYS_NEUTRAL)
    assert data._neutral_still(namesake) is None
    assert data._neutral_still(replace(namesake, dataset=0))


def test_the_target_of_a_training_clip_is_its_votes_if_asked(tmp_path: Path):
    write_frames(tmp_path / "clip", 3)
    votes = (("fear", 3.0), ("anger", 1.0))
    clip = Clip(str(tmp_path / "clip"), "frames", "fear", "train", votes=votes)
    labels = ["happiness", "anger", "fear"]
    targets = [
        training_clips([clip], 3, labels, loss=LossConfig(votes=asked))[0, 0].target
        for asked in (False, True)
    ]
    assert targets[0] == 2
    assert targets[1].tolist() == [0.0, 0.25, 0.75]


def voted(**votes: float) -> Clip:
    return Clip("a.mp4", "video", "fear", "train", votes=tuple(votes.items()))


def test_votes_are_distributed_over_the_labels():
    labels = ["happiness", "fear", "anger"]
    votes = voted(fear=6, happiness=2, disgust=2)
    assert label_distribution(votes, labels).tolist() == [0.25, 0.75, 0.0]
    for clip in (voted(), voted(disgust=3)):
        assert label_distribution(clip, labels).tolist() == [0.0, 1.0, 0.0]
