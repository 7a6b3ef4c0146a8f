"""The examples, run as a user would run them, but on less data and for fewer steps."""

import os
import subprocess
import sys
from pathlib import Path

import m3dfel

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, *arguments: str, folder: Path) -> str:
    """Run an example in a folder and return what it prints."""
    source = Path(m3dfel.__file__).parents[1]
    finished = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_every_example_is_tested_here_and_under_40_lines():
    for example in EXAMPLES.glob("*.py"):
        assert f'run("{example.name}"' in Path(__file__).read_text()
        assert len(example.read_text().splitlines()) < 40, example.name


def test_the_timeline_of_a_drawn_video_shows_happiness_then_surprise(tmp_path: Path):
    output = run("timeline.py", folder=tmp_path)
    assert 0 < output.index("happiness") < output.index("surprise")
    assert (tmp_path / "timeline.png").is_file()


def test_training_on_a_folder_of_videos_prints_its_results(tmp_path: Path):
    output = run("train_on_folder.py", "--people", "6", "--epochs", "1", folder=tmp_path)
    assert "WAR 0." in output
    assert (tmp_path / "runs" / "folder" / "last" / "model.safetensors").is_file()


def test_an_own_aggregation_prints_the_evidence_of_its_instances(tmp_path: Path):
    output = run("own_aggregation.py", "2", folder=tmp_path)
    evidence = [line for line in output.splitlines() if line.endswith(("],", "]])"))]
    assert len(evidence) == 2 * 4  # two clips of four instances
