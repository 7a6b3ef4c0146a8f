from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.movements import movements_file, read_movements
from m3dfel.errors import InputError
from small_data import write_frames


def write_movements(clips: Path, rows: list[dict[str, object]]) -> None:
    pd.DataFrame(rows).to_parquet(movements_file(clips))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    write_frames(tmp_path / "talks", 4)
    table = tmp_path / "clips.csv"
    table.write_text("file,emotion\na.png,happiness\ntalks,fear\n", encoding="utf-8")
    smile = {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.9}
    still = {"mouthSmileLeft": 0.0, "mouthSmileRight": 0.0}
    rows = [{"file": "a.png", "frame": 0, "jawOpen": 0.2, **smile}]
    rows += [{"file": "talks", "frame": i, "jawOpen": i / 4, **still} for i in (0, 1, 3)]
    write_movements(table, rows)
    return table


def test_movements_are_found_by_clip_and_frame_with_both_sides_as_one(clips: Path):
    movements = read_movements([str(clips)])
    still, talks = read_manifest(str(clips)).clips
    assert movements.names == ("jawOpen", "mouthSmile")
    torch.testing.assert_close(movements.of(still, [0, 0]), torch.tensor([[0.2, 0.8]] * 2))
    jaw = movements.of(talks, [0, 1, 2, 3])[:, 0]
    np.testing.assert_allclose(jaw, [0, 0.25, np.nan, 0.75])


def test_what_is_not_in_the_table_is_unknown(clips: Path):
    movements = read_movements([str(clips)])
    assert movements.of(Clip("elsewhere/b.png", "still", "fear", "train"), [0]).isnan().all()
    assert movements.of(read_manifest(str(clips)).clips[1], [9]).isnan().all()


def test_frames_in_which_the_landmarker_saw_no_face_are_unknown(clips: Path):
    table = pd.read_parquet(movements_file(clips)).assign(presence=[-1.0, 5.0, 5.0, 5.0])
    table.to_parquet(movements_file(clips))
    movements = read_movements([str(clips)])
    assert movements.of(read_manifest(str(clips)).clips[0], [0]).isnan().all()


def test_a_coefficient_that_never_moves_is_left_out(clips: Path):
    table = pd.read_parquet(movements_file(clips)).assign(cheekPuff=[0.0, 0.001, 0.0, 0.0])
    table.to_parquet(movements_file(clips))
    assert "cheekPuff" not in read_movements([str(clips)]).names


def test_a_model_that_estimates_movements_learns_these_and_no_others(clips: Path):
    table = pd.read_parquet(movements_file(clips)).assign(cheekPuff=[0.0, 0.001, 0.0, 0.0])
    table.to_parquet(movements_file(clips))
    movements = read_movements([str(clips)], ["mouthSmile", "cheekPuff"])
    assert movements.names == ("mouthSmile", "cheekPuff")
    np.testing.assert_allclose(movements.of(read_manifest(str(clips)).clips[0], [0]), [[0.8, 0]])
    assert min(movements.deviations) >= 0.02  # or noise would count more than all else
    with pytest.raises(InputError, match=r"the model estimates eyeWide, but the movements of"):
        read_movements([str(clips)], ["mouthSmile", "eyeWide"])


def test_a_data_set_without_movements_can_stand_beside_one_with(clips: Path, tmp_path: Path):
    other = tmp_path / "other" / "more.csv"
    movements = read_movements([str(other), str(clips)])
    assert movements.of(Clip("x.png", "still", "fear", "train", dataset=0), [0]).isnan().all()
    with pytest.raises(InputError, match=r"more_movements\.parquet: make them with"):
        read_movements([str(other)])


def test_a_damaged_table_is_named(clips: Path):
    movements_file(clips).write_bytes(b"not a table")
    with pytest.raises(InputError, match=r"cannot read the movements in .*clips_movements"):
        read_movements([str(clips)])
