import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_nothing_is_written_into_the_home_folder(tmp_path: Path):
    """Where ONNX Runtime keeps an identifier of the machine, and what it is going to send."""
    pytest.importorskip("onnxruntime")
    program = (
        "import os\n"
        "before = dict(os.environ)\n"
        "from m3dfel.video.faces import CenterFace\n"
        "import numpy as np\n"
        "CenterFace()(np.zeros((64, 64, 3), np.uint8))\n"
        "assert dict(os.environ) == before\n"
        "import sys; assert 'onnxruntime' in sys.modules\n"
    )
    environment = os.environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert not list(tmp_path.rglob("*"))
