from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from m3dfel.cli import main
from m3dfel.data import landmarker
from m3dfel.data.landmarker import estimate_movements
from m3dfel.data.movements import read_movements
from m3dfel.errors import InputError
from small_data import write_frames


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    write_frames(tmp_path / "dark", 3)
    write_frames(tmp_path / "bright", 3, shade=100)
    table = tmp_path / "clips.csv"
    table.write_text("file,emotion\nbright,happiness\ndark,fear\n", encoding="utf-8")
    return table


@pytest.fixture
def estimated(monkeypatch) -> list[int]:
    """Replace the landmarker by one that takes bright pictures for faces; returns their sizes."""
    sizes: list[int] = []

    def estimate(picture: np.ndarray) -> dict[str, float]:
        sizes.append(picture.shape[0])
        return {"jawOpen": picture.mean() / 255} if picture.mean() > 50 else {}

    @contextmanager
    def opened(file: str) -> Iterator[landmarker.Estimate]:
        yield estimate

    monkeypatch.setattr(landmarker, "open_landmarker", opened)
    return sizes


def test_each_frame_of_each_clip_has_a_row(clips: Path, estimated: list[int], capsys):
    assert main(["data", "movements", str(clips), "face.task"]) == 0
    assert "estimated: 3 frames, in" in capsys.readouterr().out
    table = pd.read_parquet(clips.with_name("clips_movements.parquet"))
    assert table["file"].tolist() == ["bright"] * 3 + ["dark"] * 3
    assert table["frame"].tolist() == [0, 1, 2] * 2
    assert table["jawOpen"].notna().tolist() == [True] * 3 + [False] * 3
    assert len(read_movements([str(clips)]).files[0]) == 2


def test_clips_that_are_done_are_not_estimated_again(clips: Path, estimated: list[int]):
    estimate_movements(str(clips), "face.task")
    write_frames(clips.parent / "more", 2, shade=100)
    clips.write_text(clips.read_text() + "more,anger\n", encoding="utf-8")
    estimated.clear()
    _, faces, without = estimate_movements(str(clips), "face.task")
    assert (len(estimated), faces, without) == (2, 2, 0)
    table = pd.read_parquet(clips.with_name("clips_movements.parquet"))
    assert len(table) == 8


def test_what_is_done_stays_when_it_is_interrupted(clips: Path, estimated: list[int], monkeypatch):
    read = landmarker.read_clip

    def interrupted(clip, *arguments):
        if clip.path.endswith("dark"):
            raise KeyboardInterrupt
        return read(clip, *arguments)

    monkeypatch.setattr(landmarker, "read_clip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        estimate_movements(str(clips), "face.task")
    assert len(pd.read_parquet(clips.with_name("clips_movements.parquet"))) == 3


def test_without_mediapipe_or_its_file_one_sentence_says_what_to_do(clips: Path):
    with pytest.raises(InputError, match=r"run pip install '\.\[movements\]'|cannot be opened as"):
        estimate_movements(str(clips), "missing.task")
