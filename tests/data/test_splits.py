from dataclasses import replace
from pathlib import Path

import pytest

from m3dfel.config import DataConfig
from m3dfel.data.manifest import Clip, Manifest, read_manifest
from m3dfel.data.splits import assign_folds, hold_out, keep_labels, split_clips
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError


def test_held_out_clips_share_no_identity_with_the_others_and_are_always_the_same():
    clips = read_manifest("synthetic").split("train")
    held = hold_out(clips, 0.2, seed=1)
    assert 0.1 < len(held) / len(clips) < 0.3
    assert {clip.split for clip in held} == {"val"}
    people = {clip.identity for clip in held}
    assert len(held) == sum(clip.identity in people for clip in clips)
    assert hold_out(clips, 0.2, seed=1) == held
    assert hold_out(clips, 0.2, seed=2) != held


def test_every_class_with_two_clips_is_held_out(dfew: Path):
    held = hold_out(read_manifest(str(dfew)).split("train"), 0.1, seed=0)
    assert sorted(clip.emotion for clip in held) == sorted(EMOTIONS), "one of two of each"


def test_an_identity_counts_for_its_rarest_emotion():
    rows = [("fear", "ann"), ("disgust", "ann"), ("fear", "bob"), ("fear", "cid")]
    rows += [("disgust", "dan")]
    clips = [Clip(f"{e}-{who}.mp4", "video", e, "train", who) for e, who in rows]
    held = hold_out(clips, 0.5, seed=0)
    assert len({clip.identity for clip in held} & {"ann", "dan"}) == 1
    assert len({clip.identity for clip in held} & {"bob", "cid"}) == 1


def test_assigned_folds_have_every_class_and_share_no_identity():
    clips = read_manifest("synthetic").clips
    tested = []
    for fold in (1, 2, 3):
        assigned = assign_folds(clips, DataConfig(folds=3, fold=fold), seed=0)
        assert [clip.path for clip in assigned] == [clip.path for clip in clips]
        train = {clip.identity for clip in assigned if clip.split == "train"}
        test = {clip.identity for clip in assigned if clip.split == "test"}
        assert not train & test
        assert {clip.emotion for clip in assigned if clip.split == "test"} == set(EMOTIONS)
        assert 0.3 < len(test) / len(train | test) < 0.37
        tested += test
    assert sorted(tested) == sorted({clip.identity for clip in clips})
    with pytest.raises(InputError, match=r"too few for 500 folds: lower data\.folds"):
        assign_folds(clips, DataConfig(folds=500, fold=500), seed=0)


def test_as_many_folds_as_people_leave_each_out_once():
    clips = [
        Clip(f"{who}-{emotion}.mp4", "video", emotion, "", who)
        for who in ("ann", "bob", "cid")
        for emotion in ("fear", "anger")
    ]
    folds = [DataConfig(folds=3, fold=fold) for fold in (1, 2, 3)]
    tested = [
        {clip.identity for clip in assign_folds(clips, data, seed=0) if clip.split == "test"}
        for data in folds
    ]
    assert sorted(tested, key=min) == [{"ann"}, {"bob"}, {"cid"}]


def test_clips_outside_the_label_set_are_removed():
    clips = keep_labels(read_manifest("synthetic").clips, ["happiness", "anger"])
    assert {clip.emotion for clip in clips} == {"happiness", "anger"}


def test_a_run_keeps_the_data_set_s_own_validation_split():
    manifest = read_manifest("synthetic")
    splits = split_clips(manifest, DataConfig(labels=["happiness", "fear"]), seed=0)
    assert {name: len(clips) for name, clips in splits.items()} == {
        "train": 160,
        "val": 40,
        "test": 120,
    }


def test_a_run_without_a_validation_split_holds_training_clips_out(dfew: Path):
    manifest = read_manifest(str(dfew))
    splits = split_clips(manifest, DataConfig(val_fraction=0.4), seed=0)
    assert (len(splits["train"]), len(splits["val"]), len(splits["test"])) == (7, 7, 7)
    assert not split_clips(manifest, DataConfig(val_fraction=0.0), seed=0)["val"]


def test_a_data_set_without_splits_is_trained_on_with_some_of_it_held_out():
    clips = tuple(Clip(f"{number}.mp4", "video", "fear", "") for number in range(10))
    splits = split_clips(Manifest("here", "here", clips), DataConfig(val_fraction=0.3), seed=0)
    assert {name: len(clips) for name, clips in splits.items()} == {"train": 7, "val": 3, "test": 0}


def test_the_same_name_in_two_data_sets_means_two_people():
    clips = [
        Clip(f"{dataset}{number}.mp4", "video", "fear", "", "anna", dataset=dataset)
        for dataset in (0, 1)
        for number in range(3)
    ]
    held = hold_out(clips, 0.5, seed=0)
    assert len(held) == 3


def test_only_data_sets_without_a_validation_split_hold_training_clips_out():
    def clips(dataset: int, split: str) -> list[Clip]:
        names = [f"{dataset}-{split}-{number}.mp4" for number in range(10)]
        return [Clip(name, "video", "fear", split, dataset=dataset) for name in names]

    own, other = clips(0, "train") + clips(0, "val"), clips(1, "train")
    splits = split_clips(
        Manifest("both", "both", (*own, *other)), DataConfig(val_fraction=0.3), seed=0
    )
    counts = {n: [sum(c.dataset == d for c in splits[n]) for d in (0, 1)] for n in splits}
    assert counts == {"train": [10, 7], "val": [10, 3], "test": [0, 0]}
    assert not {c.path for c in splits["train"]} & {c.path for c in splits["val"]}


def test_a_run_can_assign_folds_of_its_own(ferv39k: Path):
    manifest = read_manifest(str(ferv39k))
    tested = [
        clip.path
        for fold in (1, 2, 3)
        for clip in split_clips(manifest, DataConfig(folds=3, fold=fold), seed=0)["test"]
    ]
    assert sorted(tested) == sorted(clip.path for clip in manifest.clips)


def test_a_data_set_without_training_clips_is_an_error():
    clips = (Clip("a.mp4", "video", "fear", "test"),)
    with pytest.raises(InputError, match=r"here has no training clips of .*its splits are test"):
        split_clips(Manifest("here", "here", clips), DataConfig(), seed=0)


def test_labels_without_a_training_clip_are_named_in_a_warning(mafw: Path, dfew: Path, caplog):
    manifest = read_manifest(str(mafw))
    split_clips(manifest, DataConfig(labels=["contempt", "fear"]), seed=0)
    assert not caplog.records
    split_clips(read_manifest(str(dfew)), DataConfig(labels=["contempt", "fear", "pride"]), seed=0)
    assert "no training clip is labeled contempt or pride" in caplog.text


def test_the_same_name_in_two_data_sets_is_two_identities():
    clips = [
        Clip(f"{dataset}-{name}.mp4", "video", "fear", "train", name, dataset=dataset)
        for dataset in (0, 1)
        for name in "abcdefgh"
    ]
    assert len(hold_out(clips, 0.25, seed=0)) == 4, "a quarter of 16 people, not of 8 names"
    folds = [DataConfig(folds=16, fold=fold) for fold in range(1, 17)]
    tested = [
        [clip for clip in assign_folds(clips, data, seed=0) if clip.split == "test"]
        for data in folds
    ]
    assert [len(clips) for clips in tested] == [1] * 16


def test_each_fold_can_leave_one_identity_out():
    clips = [
        Clip(f"{name}-{index}.mp4", "video", emotion, "train", name)
        for name in "ba"
        for index, emotion in enumerate(("fear", "anger", "awe"))
    ]
    manifest = Manifest("faces", "faces", tuple(clips))
    for fold, name in (1, "a"), (2, "b"):
        data = DataConfig(folds="identity", fold=fold, val_fraction=0.0)
        splits = split_clips(manifest, data, seed=0)
        assert [clip.identity for clip in splits["test"]] == [name] * 2, "awe is no label here"
        assert {clip.identity for clip in splits["train"]} == {"a", "b"} - {name}
    with pytest.raises(InputError, match=r"data\.fold is 3 but there are 2 identities"):
        split_clips(manifest, DataConfig(folds="identity", fold=3), seed=0)
    unknown = replace(clips[0], identity="")
    with pytest.raises(InputError, match=r"nobody says who b-0\.mp4 shows"):
        split_clips(Manifest("x", "x", (unknown,)), DataConfig(folds="identity"), seed=0)
