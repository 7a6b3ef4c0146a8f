"""The bundled model beside two expression networks that anyone can install.

    python benchmarks/peers.py stills.csv ferplus.csv --output peers.json
    python benchmarks/peers.py --moving clips/clips.csv runs/moving

Reads the same aligned validation pictures with `fer` (PyPI), `@vladmandic/face-api` (npm) and
m3dfel, and prints one table. Each peer gets the crop that suits it best on these very pictures,
which is in its favor; ours gets the crop it was trained on and sees each picture as a clip without
motion, as `m3dfel evaluate` does. Of moving faces, the peers get eight frames a clip and answer
with the mean of their probabilities; ours answers by a cross-validation that leaves one person out
at a time (`m3dfel crossval`), since the model that ships has learned from these people. All choose
among the emotions that the data set has enough pictures of; one that a network does not know counts
as missed.

Each network runs alone in a process of its own and may use two threads; the peers, as they are
installed, use one. In the time for one face, the peers read a picture, and ours a whole clip. The
peers are installed once, in environments of their own, which takes Node.js and 3 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from m3dfel.data.manifest import read_manifest
from m3dfel.data.reading import read_clip, read_picture
from m3dfel.data.sampling import centered_indices
from m3dfel.data.splits import keep_labels
from m3dfel.emotions import EMOTIONS, parse_label_set
from m3dfel.errors import InputError
from m3dfel.evaluation.runs import pool, read_run
from m3dfel.files import write_text
from m3dfel.models.checkpoints import BUNDLED, load_model
from m3dfel.torchvision_compat import v2

HERE = Path(__file__).resolve().parent / "peers"
ENVIRONMENTS = Path.home() / ".cache" / "m3dfel" / "peers"
THREADS = 2
ZOOMS = (1.0, 1.1, 1.2, 1.3)
# Recall says little about an emotion with fewer pictures: no network is asked for it.
MIN_PICTURES = 10
FRAMES_PER_CLIP = 8

FER = "fer==25.10.3"
# What fer imports to recognize expressions. It also asks for face detectors and video editors,
# which are not compared here.
FER_IMPORTS = (
    "tensorflow==2.20.0",
    "opencv-contrib-python-headless<5",
    "pandas",
    "pillow",
    "requests",
    "setuptools<81",
    "tqdm",
)
FACE_API = (
    "@vladmandic/face-api@1.7.15",
    "@tensorflow/tfjs@4.22.0",
    "@tensorflow/tfjs-backend-wasm@4.22.0",
)

Command = Sequence[str | Path]
Result = dict[str, Any]


@dataclass(frozen=True)
class Faces:
    """The aligned validation pictures of a data set, or frames of clips.

    Attributes:
        name: the name of the data set.
        pixels: uint8 (M, 3, S, S); of clips, `per_clip` frames after each other.
        emotions: the label of each picture or clip.
        left_out: emotions with too few pictures, and how many these are.
        per_clip: frames of a clip, 1 for pictures.
    """

    name: str
    pixels: torch.Tensor
    emotions: pd.Series
    left_out: dict[str, int]
    per_clip: int = 1

    def crops(self, zoom: float) -> np.ndarray:
        """Return the middle 1/zoom of the width and height, uint8 (M, side, side, 3)."""
        side = round(self.pixels.shape[-1] / zoom)
        middle = v2.functional.center_crop(self.pixels, [side, side])
        return np.ascontiguousarray(middle.permute(0, 2, 3, 1))


@dataclass(frozen=True)
class Network:
    """A network: the command that reads faces with it, where, and the zooms to choose from."""

    name: str
    command: Command
    folder: Path
    zooms: Sequence[float] = ZOOMS


def read_faces(path: str) -> Faces:
    stills = [clip for clip in read_manifest(path).split("val") if clip.kind == "still"]
    counts = pd.Series([clip.emotion for clip in stills], dtype=str).value_counts()
    common = [emotion for emotion in EMOTIONS if counts.get(emotion, 0) >= MIN_PICTURES]
    if not common:
        raise InputError(
            f"{path} has no emotion with {MIN_PICTURES} still pictures in the split val"
        )
    clips = keep_labels(stills, common)
    pictures = [read_picture(clip.path) for clip in clips]
    side = pictures[0].shape[-1]
    if any(picture.shape[1:] != (side, side) for picture in pictures):
        raise InputError(f"{path} must have square pictures of one size: align the faces first")
    return Faces(
        Path(path).stem,
        torch.stack(pictures),
        pd.Series([clip.emotion for clip in clips]),
        counts.drop(common).to_dict(),
    )


def read_moving(path: str) -> Faces:
    clips = [clip for clip in read_manifest(path).clips if clip.kind == "video"]
    if not clips:
        raise InputError(f"{path} has no videos: make clips of faces with `m3dfel data crop`")
    pixels = [read_clip(clip, FRAMES_PER_CLIP, 0, centered_indices) for clip in clips]
    emotions = pd.Series([clip.emotion for clip in clips])
    return Faces(Path(path).stem, torch.cat(pixels), emotions, {}, FRAMES_PER_CLIP)


# --- the networks --------------------------------------------------------------------------------


def ours(model: str) -> Network:
    zoom = load_model(model).zoom
    command = [sys.executable, HERE / "read_faces.py", model]
    return Network(f"m3dfel, {model}", command, Path.cwd(), [zoom])


def fer(folder: Path) -> Network:
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet"]
    install(
        folder,
        [FER, *FER_IMPORTS],
        [sys.executable, "-m", "venv", "--clear", folder],
        [*pip, *FER_IMPORTS],
        [*pip, "--no-deps", FER],
    )
    return Network(FER.replace("==", " "), [python, HERE / "read_faces.py", "fer"], folder)


def face_api(folder: Path) -> Network:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise InputError("face-api needs node and npm: install Node.js")
    install(folder, FACE_API, [npm, "install", "--ignore-scripts", "--prefix", folder, *FACE_API])
    name = FACE_API[0].removeprefix("@vladmandic/").replace("@", " ")
    return Network(name, [node, HERE / "face_api.mjs"], folder)


def install(folder: Path, packages: Sequence[str], *commands: Command) -> None:
    """Run the commands that install packages in a folder, unless they are installed there."""
    installed, wanted = folder / "installed.txt", "\n".join(packages)
    if installed.is_file() and installed.read_text() == wanted:
        return
    say(f"installing {packages[0]} in {folder}")
    for command in commands:
        run(command, Path.cwd(), f"{packages[0]} could not be installed")
    write_text(installed, wanted)


def run(command: Command, folder: Path, problem: str) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        say(done.stderr)
        raise InputError(f"{problem}: the reason is above")


# --- measuring -----------------------------------------------------------------------------------


def measure(network: Network, data: Sequence[Faces]) -> list[Result]:
    """Return the results of a network on each data set, at the best zoom."""
    say(f"reading {sum(len(faces.emotions) for faces in data):,} faces with {network.name}")
    crops = [faces.crops(zoom) for faces in data for zoom in network.zooms]
    with tempfile.TemporaryDirectory() as temporary:
        answers = Path(temporary, "answers.json")
        files = [Path(temporary, f"{index}.npy") for index in range(len(crops))]
        for file, pixels in zip(files, crops, strict=True):
            np.save(file, pixels)
        run([*network.command, answers, *files], network.folder, f"{network.name} failed")
        read = json.loads(answers.read_text())
    labels = parse_label_set(read["words"])
    tables = (pd.DataFrame(rows, columns=labels) for rows in read["probabilities"])
    results = []
    for faces in data:
        by_clip = np.arange(len(faces.pixels)) // faces.per_clip
        means = [next(tables).groupby(by_clip).mean() for _ in network.zooms]
        zooms = zip(network.zooms, means, strict=True)
        results.append(
            {"data": faces.name, "pictures": len(faces.emotions), "left_out": faces.left_out}
            | {"network": network.name, "ms": read["ms"]}
            | best([{"zoom": zoom} | score(mean, faces.emotions) for zoom, mean in zooms])
        )
    return results


def left_out_people(faces: Faces, folder: str) -> Result:
    """Return our result on moving faces: of a cross-validation that measured every clip once."""
    folds = [read_run(fold) for fold in sorted(Path(folder).glob("fold-*"))]
    if not folds or sum(len(fold.clips) for fold in folds) != len(faces.emotions):
        raise InputError(
            f"{folder} has no cross-validation that measured the {len(faces.emotions)} clips of "
            f"{faces.name}: run `m3dfel crossval --config motion --data.folds identity`"
        )
    clips = pool(folds).clips
    probabilities = clips.filter(regex="^p_").rename(columns=lambda name: name.removeprefix("p_"))
    return {
        "data": faces.name,
        "pictures": len(clips),
        "left_out": {},
        "network": "m3dfel, people left out",
        **score(probabilities, clips["emotion"]),
    }


def score(probabilities: pd.DataFrame, emotions: pd.Series) -> Result:
    """Compare the likeliest of the emotions that occur with the true ones.

    Emotions that the network does not know count as missed; their recall is None.
    """
    known = [emotion for emotion in probabilities if emotion in set(emotions)]
    right = probabilities[known].idxmax(axis=1) == emotions
    recall = right.groupby(emotions).mean()
    return {
        "war": float(right.mean()),
        "uar": float(recall.mean()),
        "recall": {name: value if name in known else None for name, value in recall.items()},
    }


def best(results: Sequence[Result]) -> Result:
    """Return the result with the largest sum of WAR and UAR, with the figures of all zooms."""
    zooms = [{key: result[key] for key in ("zoom", "war", "uar")} for result in results]
    return max(results, key=lambda result: result["war"] + result["uar"]) | {"zooms": zooms}


def format_table(results: Sequence[Result]) -> str:
    rows = [
        {
            "pictures": f"{result['data']} ({result['pictures']:,})",
            "network": result["network"],
            "zoom": f"{result['zoom']:.2f}" if "zoom" in result else "",
            "WAR": f"{result['war']:.3f}",
            "UAR": f"{result['uar']:.3f}",
        }
        | {emotion: format_recall(result["recall"], emotion) for emotion in EMOTIONS}
        | {"ms per face": f"{result['ms']:.1f}" if "ms" in result else ""}
        for result in results
    ]
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def format_recall(recall: dict[str, float | None], emotion: str) -> str:
    if emotion not in recall:
        return ""
    value = recall[emotion]
    return "unknown" if value is None else f"{value:.2f}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="*", help="data sets of aligned still pictures")
    parser.add_argument(
        "--moving",
        nargs=2,
        metavar=("CLIPS", "RUNS"),
        help="clips that `m3dfel data crop` made, and the folder of our cross-validation on them",
    )
    parser.add_argument("--model", default=BUNDLED, help="our model (default: %(default)s)")
    parser.add_argument(
        "--environments", type=Path, default=ENVIRONMENTS, help="default: %(default)s"
    )
    parser.add_argument("--output", type=Path, help="also write the results as JSON")
    options = parser.parse_args()
    try:
        own = ours(options.model)
        data = [read_faces(path) for path in options.data]
        moving = [read_moving(options.moving[0])] if options.moving else []
        folder = options.environments.resolve()
        peers = [face_api(folder / "face-api"), fer(folder / "fer")]
        by_network = [measure(network, data + moving) for network in peers]
        by_network.append(measure(own, data) if data else [])
        by_network[-1] += [left_out_people(faces, options.moving[1]) for faces in moving]
        results = list(chain.from_iterable(zip(*by_network, strict=True)))
        print(format_table(results))
        for faces in data:
            for emotion, count in faces.left_out.items():
                print(f"\n{faces.name} has too few pictures of {emotion} ({count}): left out.")
        if options.output:
            write_text(options.output, json.dumps(results, indent=2) + "\n")
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
