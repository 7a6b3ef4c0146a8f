"""Train the bundled model further on a folder of videos, one folder per emotion.

    python examples/train_on_folder.py faces

`faces/train/<emotion>/*.mp4` and `faces/test/<emotion>/*.mp4` are videos of one cropped face each.
Without a folder, it draws one.
"""

import argparse
from pathlib import Path

from m3dfel import TrainConfig, read_manifest, train
from m3dfel.synthetic.clips import render, synthetic_clips
from m3dfel.video.encode import write_video

parser = argparse.ArgumentParser(description="Train on a folder of videos.")
parser.add_argument("folder", nargs="?", help="default: draw one")
parser.add_argument("--output", default="runs/folder")
parser.add_argument("--people", type=int, default=9, help="how many people to draw")
parser.add_argument("--epochs", type=int, default=3)
arguments = parser.parse_args()

folder = Path(arguments.folder or "drawn_faces")
if not arguments.folder:
    for clip in synthetic_clips(0, range(arguments.people), 1, ["happiness", "surprise", "anger"]):
        path = folder / ("test" if clip.identity % 3 == 0 else "train") / clip.emotion
        path.mkdir(parents=True, exist_ok=True)
        write_video(path / f"{clip.identity}.mp4", render(clip, range(clip.n_frames), 96), fps=25)

config = TrainConfig(output=arguments.output, workers=0)
config.data.path, config.data.val_fraction = str(folder), 0.0
config.data.labels = list(read_manifest(str(folder)).table().index)
config.model.weights, config.augment.crop_scale = "bundled", (0.5, 0.8)
config.optim.epochs, config.optim.warmup_epochs = arguments.epochs, 1
config.optim.batch_size, config.optim.lr = 8, 3e-4
metrics = train(config, resume=True)["last"]["test"]
print(f"WAR {metrics['war']:.3f}, UAR {metrics['uar']:.3f}")
