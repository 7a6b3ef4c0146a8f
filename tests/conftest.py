"""Fixtures that several rooms share: the folder of real data, and small made-up data sets.

They import what they need themselves: with pytest-xdist, the process that hands out the tests loads
this file too, before any worker starts.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

# One thread per process, also in processes that tests start: tests run in parallel, and the last
# bits of a sum depend on the number of threads.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENCV_FOR_THREADS_NUM"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from m3dfel.predictions.prediction import Prediction

# No test depends on how fast the machine is.
settings.register_profile("any speed", deadline=None, max_examples=30)
settings.load_profile("any speed")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Fail at once where a test would wait for another machine."""
    resolve, connect = socket.getaddrinfo, socket.socket.connect

    def check(host: object) -> None:
        if host not in (None, "", "localhost", "127.0.0.1", "0.0.0.0", "::1"):
            raise OSError(f"tests do without the network, but one asks for {host}")

    def resolve_here(host, *arguments, **options):
        check(host)
        return resolve(host, *arguments, **options)

    def connect_here(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and self.type == socket.SOCK_STREAM:
            check(address[0])
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve_here)
        patch.setattr(socket.socket, "connect", connect_here)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real faces, videos and golden values; tests that want it skip without it."""
    default = Path(__file__).parents[2] / "shared"
    folder = Path(os.environ.get("M3DFEL_SHARED", default))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}: name its folder in M3DFEL_SHARED")
    return folder


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A folder in which permissions hold, also for root, who is nobody meanwhile."""
    if not hasattr(os, "geteuid"):
        pytest.skip("there are no permissions of this kind here")
    with TemporaryDirectory() as folder:
        nobody = 65534
        if os.geteuid() == 0:
            os.chown(folder, nobody, nobody)
            os.seteuid(nobody)
        try:
            yield Path(folder)
        finally:
            os.seteuid(os.getuid())


@pytest.fixture
def own_parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Parts that are registered and plugins that are loaded meanwhile are forgotten afterwards."""
    from m3dfel.data.layouts import LAYOUTS
    from m3dfel.models.aggregations import AGGREGATIONS
    from m3dfel.models.backbones import BACKBONES
    from m3dfel.plugins import PLUGINS

    for table in (BACKBONES, AGGREGATIONS, LAYOUTS):
        table.names()  # which loads those of the package
        monkeypatch.setattr(table, "_classes", dict(table._classes))
    before = list(PLUGINS)
    yield
    PLUGINS[:] = before


@pytest.fixture
def dfew(tmp_path: Path) -> Path:
    """A made-up data set in the layout of DFEW: 14 training and 7 test clips in fold 1."""
    from small_data import write_frames

    root = tmp_path / "DFEW"
    for split, first, count in (("train", 1, 14), ("test", 15, 7)):
        labels = root / "EmoLabel_DataSplit" / f"{split}(single-labeled)" / "set_1.csv"
        labels.parent.mkdir(parents=True)
        lines = ["order,label"]
        for index in range(count):
            order = first + index
            write_frames(root / "Clip" / "clip_224x224" / f"{order:05d}", 10 + index, shade=order)
            lines.append(f"{order},{index % 7 + 1}")
        labels.write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def ferv39k(tmp_path: Path) -> Path:
    """A made-up data set in the layout of FERV39k: 14 training and 7 test clips."""
    from small_data import write_frames

    root = tmp_path / "FERV39k"
    words = ["Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear"]
    for split, count in (("train", 14), ("test", 7)):
        labels = root / "4_setups" / "All_scenes" / f"{split}_All.csv"
        labels.parent.mkdir(parents=True, exist_ok=True)
        lines = ["path label"]
        for index in range(count):
            word = words[index % 7]
            name = f"{split.title()}/{word}/{index:04d}"
            write_frames(root / "2_ClipsforFaceCrop" / name, 12, shade=index)
            lines.append(f"{name} {word}")
        labels.write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def mafw(tmp_path: Path) -> Path:
    """A made-up data set in the layout of MAFW: 22 training and 11 test clips in fold 1."""
    from small_data import write_frames

    root = tmp_path / "MAFW"
    words = [
        *("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
        *("contempt", "anxiety", "helplessness", "disappointment"),
    ]
    for split, first, count in (("train", 1, 22), ("test", 23, 11)):
        folder = root / "Train & Test Set" / "single" / "no_caption" / "set_1"
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for index in range(count):
            number = first + index
            write_frames(root / "data" / "frames" / f"{number:05d}", 10, shade=number)
            lines.append(f"{number:05d}.mp4 {words[index % 11]}")
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    """One face from 0 to 2 s, and one elsewhere that is gone from 2 to 3 s."""
    from m3dfel.recognition.recognizer import Recognizer
    from small_videos import ScriptedDetector, noise_video, small_model

    detector = ScriptedDetector((0, set(range(50))), (70, {*range(50), *range(75, 100)}))
    return Recognizer(small_model(), detector=detector)(noise_video(100, side=128))
