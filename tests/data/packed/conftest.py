from pathlib import Path

import pytest

from m3dfel.data.packed.packing import pack


@pytest.fixture
def store(dfew: Path, tmp_path: Path) -> Path:
    """A made-up data set in the layout of DFEW, packed."""
    pack(str(dfew), str(tmp_path / "store"), folds=[1])
    return tmp_path / "store"
