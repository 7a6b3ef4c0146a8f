import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

from m3dfel.errors import InputError
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.models.published import read_published
from small_data import published_name
from small_data import small_model as small


class RecorderMeter:
    """Like the object of their own class that the authors save beside the weights."""

    def __init__(self) -> None:
        self.accuracy = [1.0]


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return eval, (f"open({str(self.file)!r}, 'w').close()",)


def theirs(model: M3DFEL) -> dict[str, torch.Tensor]:
    return {
        published_name(n): v.view(1, -1, 1) if "gamma" in n or "beta" in n else v
        for n, v in model.state_dict().items()
    }


def test_the_authors_checkpoints_are_read_without_running_them(tmp_path: Path):
    model = small(frames=16, aggregation_options={"unbiased": True})
    wrapped = {f"module.{name}": value for name, value in theirs(model).items()}
    file = tmp_path / "model.pth"
    foreign = {
        "args": argparse.Namespace(lr=5e-4),
        "best_wa": np.float64(0.69),
        "confusion": np.eye(7),
        "recorder": RecorderMeter(),
        "output": Path("runs"),
        "trap": Trap(tmp_path / "sprung"),
    }
    torch.save({"epoch": 3, "state_dict": wrapped, **foreign}, file)
    read = read_published(file)
    assert not (tmp_path / "sprung").exists()
    assert read.bag_size == 2
    assert read.aggregation.norm.unbiased
    for name, value in model.state_dict().items():
        assert torch.equal(read.state_dict()[name], value), name
    pixels = torch.full((3, 4, 4), 255, dtype=torch.uint8)
    assert (read.normalize(pixels) == 1).all(), "the published code does not normalize"


def test_other_files_are_refused_with_a_reason(tmp_path: Path):
    with pytest.raises(InputError, match="no checkpoint at"):
        read_published(tmp_path / "gone.pth")
    for content in (b"", b"not a checkpoint"):
        (tmp_path / "bad.pth").write_bytes(content)
        with pytest.raises(InputError, match=r"bad.pth cannot be read as a checkpoint"):
            read_published(tmp_path / "bad.pth")
    for held in ({"epoch": 3}, {"state_dict": [1, 2]}, {"state_dict": {}}, [1, 2]):
        torch.save(held, tmp_path / "bare.pth")
        with pytest.raises(InputError, match="contains no weights"):
            read_published(tmp_path / "bare.pth")
    torch.save({"fc.weight": torch.zeros(7, 8)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="not of M3DFEL with 7 emotions"):
        read_published(tmp_path / "other.pth")
    whole = tmp_path / "whole.pth"
    torch.save(theirs(small(frames=16)), whole)
    (tmp_path / "cut.pth").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(InputError, match="is it a complete"):
        read_published(tmp_path / "cut.pth")
    torch.save(theirs(small(labels=["happiness", "anger"])), tmp_path / "two.pth")
    with pytest.raises(InputError, match="not of M3DFEL with 7 emotions"):
        read_published(tmp_path / "two.pth")
