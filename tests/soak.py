"""Long trials of what the tests check in short: `make soak`, which takes an hour on two cores.

Each prints what it measured. pytest collects this file only if it is named.
"""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors import safe_open

import worker_stubs
from m3dfel.batch.cluster import predict_on_cluster
from m3dfel.batch.settings import Outcome, Predict, PredictSettings, Video
from m3dfel.config import TrainConfig
from m3dfel.data.packed.packing import pack
from m3dfel.emotions import EMOTIONS
from m3dfel.predictions.prediction import Prediction
from m3dfel.predictions.rows import TrackRows, build_prediction
from m3dfel.predictions.update import Update
from m3dfel.report.exports import DEFAULT_FORMATS
from m3dfel.training.loop import train
from m3dfel.video.decode import Frame
from m3dfel.video.faces import Detection
from m3dfel.video.tracks import TrackedFace
from small_data import tiny

pytestmark = pytest.mark.timeout(3600)

CHAINS, KILLS = 8, 3
COMMAND = [sys.executable, "-m", "m3dfel"]


# --- memory: the first measures this process, which other trials would make larger -------------


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def test_the_tables_of_two_hours_take_less_than_900_mb(tmp_path: Path):
    frames, rng = 2 * 3600 * 25, np.random.default_rng(0)
    picture = np.zeros((8, 8, 3), np.uint8)
    rows, p = TrackRows(1, len(EMOTIONS), 4), np.ones(7) / 7
    for index in range(frames):
        face = Detection(rng.random(4, np.float32), 0.9, np.zeros((5, 2), np.float32))
        rows.add_frame(TrackedFace(1, Frame(index, index / 25, picture), face, picture, ""))
        if index % 5 == 0:
            p = rng.dirichlet(np.ones(7)) if index % 250 == 0 else p  # another one every 10 s
            start_s = index / 25
            answer = EMOTIONS[p.argmax()], float(p.max()), p, "", p, rng.random((4, 7))
            borders_s = start_s + 0.16 * np.arange(5)
            span_s = start_s, start_s + 0.64
            rows.add_clip(Update(1, *span_s, EMOTIONS, *answer, borders_s, (0, 0, 8, 8), 0.0))
    prediction = build_prediction("film.mp4", EMOTIONS, [rows], frames / 25)
    for name in DEFAULT_FORMATS:
        prediction.save(tmp_path, [name])
        print(f"two hours, {name}: {peak_mb():.0f} MB")
    assert peak_mb() < 900
    assert len(Prediction.load(tmp_path / "film.json").frames) == frames


READ = """
import resource, sys, time
from m3dfel.data.manifest import read_manifest

start = time.process_time()
manifest = read_manifest(sys.argv[1])
seconds = time.process_time() - start
rows = len(manifest.clips) + len(manifest.problems)
print(rows, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


@pytest.fixture(scope="module")
def million() -> Iterator[Path]:
    """A folder with the pictures `000/000.jpg` to `999/999.jpg`."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        Image.new("RGB", (16, 16)).save(folder / "face.jpg")
        for number in range(1000):
            (folder / f"{number:03d}").mkdir()
            for picture in range(1000):
                link = folder / f"{number:03d}" / f"{picture:03d}.jpg"
                link.symlink_to(folder / "face.jpg")
        yield folder


@pytest.mark.parametrize("name", ["train.txt", "clips.csv", "repeats.csv"])
def test_a_manifest_of_a_million_rows_takes_less_than_1_gb(name: str, million: Path):
    numbers = range(1_000_000) if name != "repeats.csv" else [*range(100)] * 10_000
    line, header = ("{} 1 0\n", "") if name == "train.txt" else ("{},fear\n", "file,emotion\n")
    with (million / name).open("w") as file:
        file.write(header)
        file.writelines(line.format(f"{n // 1000:03d}/{n % 1000:03d}.jpg") for n in numbers)
    words = [sys.executable, "-c", READ, str(million / name)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    rows, seconds, peak = map(float, said.split())
    print(f"{name}: {seconds:.0f} s, {peak:.0f} MB")
    assert rows == 1_000_000
    assert peak < 1000


# --- kills -------------------------------------------------------------------------------------


def finish_despite_kills(words: list[str], seed: int) -> None:
    """Start a command several times and kill it and all that it started, then let it finish."""
    chance, killed, longest_s = random.Random(seed), 0, 20.0
    for _ in range(KILLS):
        started = subprocess.Popen([*COMMAND, *words], start_new_session=True, stderr=-1)
        try:
            started.communicate(timeout=chance.uniform(0, longest_s))
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.communicate()
            killed += 1
    subprocess.run([*COMMAND, *words], check=True, capture_output=True)
    print(f"{' '.join(words[:2])}: killed {killed} times")


def settings_file(config: TrainConfig, output: Path) -> str:
    """Return a file with the settings of a run for another folder."""
    settings = yaml.safe_load((Path(config.output) / "config.yaml").read_text())
    path = output.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(settings | {"output": str(output)}))
    return str(path)


@pytest.mark.parametrize("seed", range(CHAINS))
def test_a_training_that_is_killed_ends_like_one_that_was_not(seed: int, dfew, tmp_path: Path):
    config, killed = tiny(tmp_path / "whole", dfew, epochs=12), tmp_path / "killed"
    whole = train(config)
    finish_despite_kills(["train", "--config", settings_file(config, killed), "--resume"], seed)
    results = json.loads((killed / "results.json").read_text())
    assert results["history"] == whole["history"]
    assert results["calibrated"] == whole["calibrated"]
    assert not list(killed.rglob(".*-*"))


@pytest.mark.parametrize("seed", range(CHAINS))
def test_packing_that_is_killed_ends_like_packing_that_was_not(seed: int, dfew, tmp_path: Path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    pack(str(dfew), str(whole), folds=[1])
    finish_despite_kills(["data", "pack", str(dfew), str(killed), "--fold", "1"], seed)
    assert (whole / "clips.arrow").read_bytes() == (killed / "clips.arrow").read_bytes()


def test_predictions_that_are_killed_end_like_those_that_were_not(shared: Path, tmp_path: Path):
    videos = sorted(map(str, (shared / "data" / "videos").glob("*.mp4")))[:4]
    words = ["predict", *videos, "--jobs", "2", "--formats", "csv", "json", "--output"]
    subprocess.run([*COMMAND, *words, str(tmp_path / "whole")], check=True, capture_output=True)
    for seed in range(CHAINS):
        finish_despite_kills([*words, str(tmp_path / f"{seed}")], seed)
        for file in (tmp_path / "whole").glob("*.csv"):
            assert (tmp_path / f"{seed}" / file.name).read_bytes() == file.read_bytes()


# --- several nodes: two addresses of this machine ----------------------------------------------


def start_nodes(settings: str, restarts: int) -> list[subprocess.Popen]:
    script = ["-m", "m3dfel", "train", "--config", settings, "--resume"]
    words = ["--nnodes=2", "--nproc_per_node=1", f"--max_restarts={restarts}"]
    words += ["--rdzv_backend=c10d", f"--rdzv_endpoint=127.0.0.1:{29517 + restarts}"]
    launch = [sys.executable, "-m", "torch.distributed.run", *words]
    return [
        subprocess.Popen(
            [*launch, f"--local_addr=127.0.0.{node}", f"--rdzv_conf=is_host={2 - node}", *script],
            env={**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for node in (1, 2)
    ]


def kill_process_of(node: subprocess.Popen, state: Path, epochs: int) -> list[dict]:
    """Kill the process that a node trains with after an epoch, and return the history."""
    history: list[dict] = []
    while len(history) < epochs:
        assert node.poll() is None
        time.sleep(0.1)
        if state.exists():
            with safe_open(state, framework="pt") as file:
                history = json.loads(file.metadata()["record"])["history"]
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    return history


def test_two_nodes_go_on_after_a_process_is_killed(dfew: Path, tmp_path: Path):
    config, run = tiny(tmp_path / "whole", dfew, epochs=20), tmp_path / "nodes"
    train(config)
    settings, state = settings_file(config, run), run / "last" / "training.safetensors"

    nodes = start_nodes(settings, restarts=0)
    first = kill_process_of(nodes[1], state, epochs=2)
    said = [node.communicate(timeout=600)[1] for node in nodes]
    assert all(node.returncode for node in nodes)
    assert "another process of this training ended" in said[0]

    nodes = start_nodes(settings, restarts=10)
    second = kill_process_of(nodes[1], state, epochs=len(first) + 2)
    said = [node.communicate(timeout=600)[1] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    history = json.loads((run / "results.json").read_text())["history"]
    assert len(history) == 20
    assert history[: len(second)] == second
    assert second[: len(first)] == first
    print(f"two nodes: killed after {len(first)} and {len(second)} epochs")


# --- a cluster ---------------------------------------------------------------------------------


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of one machine with two cores, which other machines can join."""
    utilities = pytest.importorskip("ray.cluster_utils", reason="pip install 'm3dfel[scale]'")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # on a busy machine, it would wait for minutes
    folders = [Path(__file__).parents[1] / "src", Path(__file__).parent]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    cluster = utilities.Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    yield cluster
    utilities.ray.shutdown()
    cluster.shutdown()


def test_a_killed_worker_loses_nothing_and_repeats_nothing(cluster, tmp_path: Path):
    """One actor is killed from outside, and one video kills every actor that predicts it."""

    def kill():
        while not (tmp_path / "pid").exists():
            time.sleep(0.02)
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    videos = [Video(f"{s}.mp4", s) for s in ("killed", "a", "b", "fatal", "bad", "c")]
    outcomes = predict_on_cluster(
        videos, PredictSettings(str(tmp_path)), cluster.address, jobs=2, start=worker_stubs.start
    )
    problems = {outcome.video.stem: outcome.problem for outcome in outcomes}
    assert not killer.is_alive()
    assert {stem for stem, problem in problems.items() if not problem} == {*("killed", *"abc")}
    assert "the process or the machine that predicted it ended" in problems["fatal"]
    assert problems["bad"] == "bad is not a video"
    attempts = Counter((tmp_path / "log.txt").read_text().split())
    assert attempts == {"killed": 2, "fatal": 2, "bad": 2, "a": 1, "b": 1, "c": 1}


def start_on_machine(settings: PredictSettings) -> Predict:
    """Return what takes a while, and notes in the file of its machine that it was there."""
    import ray

    machine = Path(settings.output, ray.get_runtime_context().get_node_id())

    def predict(video: Video) -> Outcome:
        time.sleep(6)
        with machine.open("a") as file:
            file.write(f"{video.stem}\n")
        return Outcome(video, "", finished=True)

    return predict


def test_a_machine_that_joins_a_cluster_helps(cluster, tmp_path: Path):
    videos = [Video(f"{number}.mp4", str(number)) for number in range(60)]
    settings = PredictSettings(str(tmp_path))
    outcomes = predict_on_cluster(videos, settings, cluster.address, start=start_on_machine)
    next(outcomes)
    cluster.add_node(num_cpus=2)
    assert len(list(outcomes)) == len(videos) - 1
    done = [len(file.read_text().split()) for file in tmp_path.iterdir()]
    print(f"a machine that joins: {done} videos on each")
    assert len(done) == 2
    assert sum(done) == len(videos)
