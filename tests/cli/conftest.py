"""A tiny model, and what the command line printed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from m3dfel.batch import folders
from m3dfel.models.m3dfel import M3DFEL
from small_videos import predict_here


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """The folder of a tiny model that knows nothing."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    M3DFEL(size=32, backbone_options={"width": 4, "depth": 10}).save_pretrained(folder)
    return folder


@pytest.fixture
def said(capsys) -> Callable[[], str]:
    """What was printed about errors since the last call, in one line."""
    return lambda: " ".join(capsys.readouterr().err.split())


@pytest.fixture
def in_this_process(monkeypatch):
    """Several videos are predicted in this process."""
    monkeypatch.setattr(folders, "predict_in_processes", predict_here)
