from pathlib import Path

import pytest
import yaml

from m3dfel.config import TrainConfig
from m3dfel.data.manifest import Problem
from m3dfel.errors import InputError
from m3dfel.training.run_folder import finished_results, open_run, write_problems
from small_data import tiny


def open_(config: TrainConfig, resume: bool = False) -> None:
    open_run(config, resume)
    Path(config.output, "last").mkdir(exist_ok=True)  # as after the first epoch


def test_a_run_is_never_overwritten(tmp_path: Path):
    config = tiny(tmp_path / "run", "faces")
    open_(config)
    with pytest.raises(InputError, match="already holds a run: resume it with --resume"):
        open_(config)


def test_a_run_is_resumed_with_the_same_settings_only(tmp_path: Path):
    open_(tiny(tmp_path / "run", "faces"))
    same = tiny(tmp_path / "run", "faces")
    same.workers = 3
    open_(same, resume=True)
    settings = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert settings["workers"] == 0, "the settings are those that the run started with"
    expected = (
        r"run was started with different settings \(optim\.lr was 0\.01, is now 0\.02\): "
        "choose another --output"
    )
    with pytest.raises(InputError, match=expected):
        open_(tiny(tmp_path / "run", "faces", lr=0.02), resume=True)


def test_settings_that_the_file_does_not_name_had_their_defaults(tmp_path: Path):
    config = tiny(tmp_path / "run", "faces")
    open_(config)
    file = tmp_path / "run" / "config.yaml"
    settings = yaml.safe_load(file.read_text())
    for group, name in (("data", "mixing_weights"), ("loss", "votes"), ("augment", "compress")):
        del settings[group][name]
    del settings["stages"], settings["target_accuracy"]
    file.write_text(yaml.safe_dump(settings))
    open_(config, resume=True)
    config.loss.votes = True
    with pytest.raises(InputError, match=r"\(loss\.votes was False, is now True\)"):
        open_(config, resume=True)


def test_an_option_that_is_gone_is_a_different_setting(tmp_path: Path):
    config = tiny(tmp_path / "run", "faces")
    config.model.aggregation_options = {"init": "mean"}
    open_(config)
    config.model.aggregation_options = {}
    with pytest.raises(InputError, match=r"aggregation_options\.init was 'mean', is now None"):
        open_(config, resume=True)


def test_settings_that_cannot_be_read_are_named(tmp_path: Path):
    config = tiny(tmp_path / "run", "faces")
    open_(config)
    (tmp_path / "run" / "config.yaml").write_text("future: 1\n")
    with pytest.raises(InputError, match=r"cannot resume from .*config\.yaml: .*future"):
        open_(config, resume=True)


def test_clips_that_are_left_out_are_listed(tmp_path: Path, caplog):
    problems = (Problem("a.mp4", "no frames"), Problem("b.mp4", "unknown emotion"))
    write_problems(problems, tmp_path / "problems.csv")
    lines = (tmp_path / "problems.csv").read_text().splitlines()
    assert lines == ["path,problem", "a.mp4,no frames", "b.mp4,unknown emotion"]
    assert "2 clips left out, the first: a.mp4 (no frames)" in caplog.text


def test_a_run_is_finished_once_it_has_results(tmp_path: Path):
    assert finished_results(tmp_path) is None
    (tmp_path / "results.json").write_text('{"seed": 1}')
    assert finished_results(tmp_path) == {"seed": 1}


@pytest.mark.parametrize("content", ["[]", "{", "[" * 100_000])
def test_results_that_were_edited_are_an_error(content: str, tmp_path: Path):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match=r"results\.json is damaged: delete it"):
        finished_results(tmp_path)
