"""Coverage-guided fuzzing of what reads files of strangers: `make fuzz`, or one target of it.

    python tests/fuzz.py manifests -max_total_time=900

A reader may refuse a file with an `InputError`; anything else is a bug. Atheris then writes the
input that shows it to `fuzz/<target>/crash-…`; give that file as an argument to see it again.
"""

import json
import logging
import math
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import atheris

with atheris.instrument_imports(include=["m3dfel", "pympi"]):
    from m3dfel.data.dataset import EvaluationClips
    from m3dfel.data.manifest import read_manifest
    from m3dfel.data.packed.packing import pack
    from m3dfel.errors import InputError
    from m3dfel.predictions.prediction import Prediction, read_header
    from m3dfel.report.exports import FORMATS, export
    from m3dfel.video.decode import is_annotated
    from m3dfel.video.pictures import ANIMATION_SUFFIXES
    from m3dfel.video.sources import read_frames, source_duration

import av
import numpy as np
from PIL import Image

from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.encode import write_video
from small_data import ClipFormat, write_frames
from small_videos import ScriptedDetector, noise_video, small_model

WORK = Path(mkdtemp(prefix="m3dfel-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))

Target = Callable[[bytes], None]


def pictures(count: int) -> list[np.ndarray]:
    return [frame.image for frame in noise_video(count, side=16)]


def manifests() -> tuple[Target, list[bytes]]:
    """Label files beside a picture and a video: the first byte chooses the name of the file."""
    names = ["clips.csv", "clips.tsv", "train.txt", "scene.eaf", "scene.csv", "clips.zip"]
    Image.new("RGB", (16, 16)).save(WORK / "a.png")
    write_video(WORK / "a.mp4", pictures(3), 25)
    table = b"file,emotion,split,identity,votes_fear\na.png,fear,train,1,3\na.mp4,joy,test,2,0\n"
    scene = b"file,emotion,person,start_s,end_s,x1,y1,x2,y2\na.mp4,fear,1,0,1.5,0,0,9,9\n"
    events = b"Observation id,Subject,Behavior,Behavior type,Time,Media file name\n"
    events += b"o,p,fear,START,0.1,a.mp4\no,p,fear,STOP,1,a.mp4\n"
    eaf = b"""<ANNOTATION_DOCUMENT><HEADER><MEDIA_DESCRIPTOR MEDIA_URL="a.mp4"
        MIME_TYPE="video/mp4"/></HEADER><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="0"/>
        <TIME_SLOT TIME_SLOT_ID="t2" TIME_VALUE="9"/></TIME_ORDER>
        <TIER TIER_ID="p" LINGUISTIC_TYPE_REF="d"><ANNOTATION><ALIGNABLE_ANNOTATION
        ANNOTATION_ID="a1" TIME_SLOT_REF1="t1" TIME_SLOT_REF2="t2"><ANNOTATION_VALUE>fear
        </ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
        <LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="d"/></ANNOTATION_DOCUMENT>"""

    def target(data: bytes) -> None:
        path = WORK / names[data[0] % len(names)]
        path.write_bytes(data[1:])
        try:
            read_manifest(str(path))
        finally:
            path.unlink()

    text = b"a.png 1 0\na.mp4 3 6\n"
    return target, [b"\0" + table, b"\0" + scene, b"\2" + text, b"\3" + eaf, b"\4" + events]


def predictions() -> tuple[Target, list[bytes]]:
    """Saved predictions, written again in every format but those that take long."""
    detector = ScriptedDetector((0, set(range(20))), (70, {*range(9), *range(15, 20)}))
    prediction = Recognizer(small_model(), detector=detector)(noise_video(20, side=112))
    prediction.save(WORK / "a.json")
    formats = [name for name in FORMATS if name not in ("png", "xlsx")]

    def target(data: bytes) -> None:
        path = WORK / "b.json"
        path.write_bytes(data)
        read_header(path)
        export(Prediction.load(path), WORK / "saved", formats)

    return target, [(WORK / "a.json").read_bytes()]


def stores_() -> tuple[Target, list[bytes]]:
    """A packed store."""
    for emotion in "fear", "joy":
        write_frames(WORK / "faces" / "train" / emotion / "clip", 3)
    folder = WORK / "store"
    pack(str(WORK / "faces"), str(folder))
    file = folder / "clips.arrow"

    def target(data: bytes) -> None:
        file.unlink()  # what is still mapped must not change
        file.write_bytes(data)
        clips = read_manifest(str(folder)).clips
        for samples in map(EvaluationClips(ClipFormat(), clips).__getitem__, range(len(clips))):
            assert len(samples) < 2

    return target, [file.read_bytes()]


def _write(path: Path) -> None:
    codecs = {".webm": "libvpx", ".mpg": "mpeg2video", ".avi": "mpeg4"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codecs.get(path.suffix, "libx264"), 25)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        for picture in pictures(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())


def videos() -> tuple[Target, list[bytes]]:
    """Videos and pictures: the first byte chooses the ending of the name."""
    endings = [".mp4", ".mkv", ".avi", ".webm", ".mpg", ".gif", ".webp", ".png", ".jpg", ".tif"]
    seeds = []
    for index, ending in enumerate(endings):
        path = WORK / f"a{ending}"
        if ending in (".mp4", ".mkv", ".avi", ".webm", ".mpg"):
            _write(path)
        else:
            first, *others = map(Image.fromarray, pictures(4))
            several = {"save_all": True, "append_images": others}
            first.save(path, **(several if ending in ANIMATION_SUFFIXES else {}))
        seeds.append(bytes([index]) + path.read_bytes())

    def target(data: bytes) -> None:
        path = WORK / f"b{endings[data[0] % len(endings)]}"
        path.write_bytes(data[1:])
        try:
            is_annotated(path)
            source_duration(path)
            last_s = -1.0
            for _, frame in zip(range(20), read_frames(path), strict=False):
                assert frame.time_s > last_s
                assert frame.image.dtype == np.uint8
                last_s = frame.time_s
        finally:
            path.unlink()

    return target, seeds


_NUMBERS = (-1, 0, 1e300, 10**30, math.nan, math.inf)
_ODD = (*_NUMBERS, None, True, "", "\0", "é/" * 200, "\ud800", [], {}, [[]])


def mutate_json(data: bytes, max_size: int, seed: int) -> bytes:
    """Replace or remove one value of a JSON file, which random bytes would hardly ever do."""
    chance = random.Random(seed)
    start = data[:1] if data[:1] == b"\0" else b""
    try:
        record = json.loads(data[len(start) :])
    except ValueError:
        record = None
    if not record or not isinstance(record, dict) or chance.random() < 0.2:
        return atheris.Mutate(data, max_size)
    node = record
    while True:
        key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[key], dict | list) or not node[key] or chance.random() < 0.2:
            break
        node = node[key]
    if chance.random() < 0.2:
        del node[key]
    else:
        node[key] = chance.choice(_ODD)
    return start + json.dumps(record).encode()[: max_size - 1]


TARGETS = {
    "manifests": manifests,
    "predictions": predictions,
    "stores": stores_,
    "videos": videos,
}


def main() -> None:
    name, *options = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    target, seeds = TARGETS[name]()
    found = Path("fuzz", name)
    (found / "corpus").mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(seeds):
        (found / "corpus" / f"seed-{index}").write_bytes(seed)

    def one(data: bytes) -> None:
        if data:
            with suppress(InputError):
                target(data)

    limits = ["-timeout=30", "-rss_limit_mb=4000", "-max_len=100000", f"-artifact_prefix={found}/"]
    inputs = [] if any(Path(option).is_file() for option in options) else [f"{found}/corpus"]
    mutator = mutate_json if name == "predictions" else None
    atheris.Setup([sys.argv[0], *limits, *options, *inputs], one, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
