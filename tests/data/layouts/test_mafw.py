from pathlib import Path

import pytest

from m3dfel.config import read_recipe
from m3dfel.data.layouts.mafw import MAFW
from m3dfel.data.manifest import read_manifest
from m3dfel.errors import InputError
from m3dfel.training.loop import train
from small_data import tiny


def test_mafw_is_read_in_its_usual_layout(mafw: Path):
    manifest = read_manifest(str(mafw))
    assert (manifest.dataset, manifest.folds) == ("MAFW", 5)
    assert not manifest.problems
    assert len(manifest.split("train")) == 22
    assert [clip.emotion for clip in manifest.split("test")] == list(MAFW.labels)
    first = manifest.split("train")[0]
    assert (Path(first.path).name, first.kind, first.emotion) == ("00001", "frames", "anger")


def test_copies_with_the_labels_below_split_are_read(mafw: Path):
    (mafw / "Train & Test Set").rename(mafw / "split")
    assert len(read_manifest(str(mafw)).clips) == 33


def test_the_label_file_of_a_missing_fold_is_named(mafw: Path):
    with pytest.raises(InputError, match=r"cannot read the labels .*set_2.train\.txt"):
        read_manifest(str(mafw), fold=2)


def test_a_line_without_an_emotion_is_an_error(mafw: Path):
    labels = mafw / "Train & Test Set" / "single" / "no_caption" / "set_1" / "test.txt"
    labels.write_text("00001.mp4\n")
    with pytest.raises(InputError, match=r"test.txt line 1 .* expected `00001.mp4 anger`"):
        read_manifest(str(mafw))


def test_the_recipe_has_the_emotions_of_the_layout():
    assert tuple(read_recipe("mafw").data.labels) == MAFW.labels


def test_a_model_learns_its_eleven_emotions(mafw: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", mafw, epochs=1)
    config.data.labels = list(MAFW.labels)
    results = train(config)
    assert results["dataset"] == "MAFW"
    assert results["last"]["test"]["support"] == dict.fromkeys(MAFW.labels, 1)
