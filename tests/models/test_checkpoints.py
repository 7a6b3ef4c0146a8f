import errno
import json
import re
import resource
from pathlib import Path

import pytest
import torch

from m3dfel.errors import InputError
from m3dfel.models import checkpoints
from m3dfel.models.checkpoints import load_model, save_model
from m3dfel.models.m3dfel import M3DFEL
from small_data import small_model


def saved(folder: Path) -> tuple[float, float]:
    """Return two values of a model that belong together, from its two files."""
    model = load_model(str(folder))
    return model.min_confidence, round(model.classifier.bias[0].item(), 2)


def a_model(value: float) -> M3DFEL:
    model = small_model(min_confidence=value).eval()
    torch.nn.init.constant_(model.classifier.bias, value)
    return model


class KilledError(BaseException):
    pass


def kill_after(monkeypatch, steps: int) -> None:
    """Let the process die before it touches the file system for so many times plus one."""
    left = iter(range(steps))

    def counted(act):
        def run(*arguments, **options):
            if next(left, None) is None:
                raise KilledError
            return act(*arguments, **options)

        return run

    for name in "mkdir", "replace", "rmdir", "unlink", "write_text":
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    monkeypatch.setattr(M3DFEL, "_save_pretrained", counted(M3DFEL._save_pretrained))


def test_a_model_that_is_replaced_is_the_old_or_the_new_one_whenever_the_process_dies(
    tmp_path: Path, monkeypatch
):
    outcomes = []
    for steps in range(100):
        folder = tmp_path / str(steps)
        save_model(a_model(0.25), folder)
        (folder / "training.safetensors").write_text("the state of a run")
        with monkeypatch.context() as patch:
            kill_after(patch, steps)
            try:
                save_model(a_model(0.75), folder)
                killed = False
            except KilledError:
                killed = True
        outcomes.append(saved(folder))
        assert (folder / "training.safetensors").exists()
        save_model(a_model(0.5), folder)
        assert saved(folder) == (0.5, 0.5)
        assert not [file for file in folder.iterdir() if file.name == ".saved"]
        if not killed:
            break
    assert not killed
    assert outcomes == sorted(outcomes), "old, then new"
    assert set(outcomes) == {(0.25, 0.25), (0.75, 0.75)}


def test_a_full_disk_is_an_input_error(tmp_path: Path, monkeypatch):
    def full(*arguments, **options):
        raise checkpoints.SafetensorError(f"Error while writing: {errno.ENOSPC}")

    monkeypatch.setattr(M3DFEL, "_save_pretrained", full)
    with pytest.raises(InputError, match="cannot write"):
        save_model(a_model(0.5), tmp_path / "model")


def test_half_precision_takes_half_the_room(tmp_path: Path):
    model = a_model(0.5)
    sizes = {}
    for half in False, True:
        save_model(model, tmp_path / str(half), half=half)
        sizes[half] = (tmp_path / str(half) / "model.safetensors").stat().st_size
    assert sizes[True] < 0.6 * sizes[False]
    assert load_model(str(tmp_path / "True")).classifier.weight.dtype == torch.float32


def test_a_run_is_its_best_model_else_its_last(tmp_path: Path):
    save_model(a_model(0.25), tmp_path / "last")
    assert saved(tmp_path) == (0.25, 0.25)
    save_model(a_model(0.75), tmp_path / "best")
    assert saved(tmp_path) == (0.75, 0.75)


@pytest.mark.parametrize(
    "name", ["runs/facez", "runs/faces/bset", "../model", "modell", "~/model", "C:\\runs\\faces"]
)
def test_a_misspelt_folder_is_said_without_asking_the_hub(name: str, tmp_path: Path, monkeypatch):
    def ask(*arguments, **options):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(M3DFEL, "from_pretrained", ask)
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(f"no model at {name}: give the folder of")):
        load_model(name)


def test_a_model_of_the_hub_needs_the_network_once(tmp_path: Path, monkeypatch):
    def sleep(seconds: float):
        raise AssertionError("it is tried again")

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"none of that name on the hub .* the network"):
        load_model("somebody/faces")
    cached = tmp_path / "models--somebody--faces"
    save_model(a_model(0.25), cached / "snapshots" / "1")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("1")
    assert load_model("somebody/faces").min_confidence == 0.25


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", "[]", "contains no readable M3DFEL model"),
        ("config.json", "{", "contains no readable M3DFEL model"),
        ("config.json", json.dumps({"bag_size": 3}), "config.json: the bag size is 3"),
        ("config.json", json.dumps({"size": 0}), "config.json: the size is 0"),
        ("config.json", json.dumps({"zoom": 0.5}), "config.json: the zoom is 0.5"),
        ("config.json", json.dumps({"size": "112"}), "contains no readable M3DFEL model"),
        ("config.json", json.dumps({"labels": [1, 2]}), "contains no readable M3DFEL model"),
        ("config.json", json.dumps({"frames": 10**9, "bag_size": 1}), "clips of 1000000000 frames"),
        ("config.json", json.dumps({"context": 10**6}), "a context of 1000000 are too large"),
        ("config.json", "[" * 200_000, "contains no readable M3DFEL model"),
        ("model.safetensors", "", "contains no readable M3DFEL model"),
    ],
)
def test_a_damaged_model_is_an_input_error(file: str, content: str, words: str, tmp_path: Path):
    save_model(a_model(0.5), tmp_path)
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=words):
        load_model(str(tmp_path))


def test_a_model_that_is_larger_than_its_weights_is_not_built(tmp_path: Path):
    save_model(a_model(0.5), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for options in {"width": 1500}, {"width": 16}:
        config["backbone_options"] |= options
        (tmp_path / "config.json").write_text(json.dumps(config))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(InputError, match=r"config\.json: model.safetensors has the weights of"):
            load_model(str(tmp_path))
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_weights_as_a_pickle_are_no_model(tmp_path: Path):
    save_model(a_model(0.5), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(a_model(0.5).state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="contains no readable M3DFEL model"):
        load_model(str(tmp_path))


def test_loading_prints_nothing(tmp_path: Path, capfd):
    save_model(a_model(0.5), tmp_path)
    load_model(str(tmp_path))
    assert capfd.readouterr() == ("", "")
