"""The examples, run as a user would run them, but on less data and for fewer steps."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(tmp_path: Path, monkeypatch, capsys, own_parts) -> Callable[..., str]:
    """Runs an example in a folder of its own and returns what it prints."""

    def run(name: str, *arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_every_example_is_tested_here_and_under_40_lines():
    for example in EXAMPLES.glob("*.py"):
        assert f'run("{example.name}"' in Path(__file__).read_text()
        assert len(example.read_text().splitlines()) < 40, example.name


def test_the_timeline_of_a_drawn_video_shows_happiness_then_surprise(run, tmp_path: Path):
    output = run("timeline.py")
    assert 0 < output.index("happiness") < output.index("surprise")
    assert (tmp_path / "timeline.png").is_file()


def test_training_on_a_folder_of_videos_prints_its_results(run, tmp_path: Path):
    output = run("train_on_folder.py", "--people", "3", "--epochs", "1")
    assert re.fullmatch(r"WAR [01]\.\d{3}, UAR [01]\.\d{3}", output.splitlines()[-1])
    assert (tmp_path / "runs" / "folder" / "last" / "model.safetensors").is_file()


def test_an_own_aggregation_prints_the_evidence_of_its_instances(run):
    output = run("own_aggregation.py", "2")
    evidence = [line for line in output.splitlines() if line.endswith(("],", "]])"))]
    assert len(evidence) == 2 * 4  # two clips of four instances
