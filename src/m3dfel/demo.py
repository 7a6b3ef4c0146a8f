"""The first five minutes: train a small model, measure it, and see what it says of a video.

It follows the way a user would go (recipe → train → evaluate → predict) with the drawn faces that
ship with the package, so that everything shown is true of any machine it runs on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from rich.console import Console

from m3dfel.checkpoints import load_model
from m3dfel.config import TrainConfig, find_recipe, from_settings
from m3dfel.data.layouts.synthetic import SYNTHETIC_SPLITS
from m3dfel.evaluation.evaluate import evaluate
from m3dfel.files import write_text
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report.confusion import plot_confusion
from m3dfel.report.terminal import print_metrics, print_timeline
from m3dfel.synthetic.clips import (
    SyntheticClip,
    render,
    synthetic_clips,
    target_frames,
    truth_table,
)
from m3dfel.training.loop import train
from m3dfel.video.decode import write_video

FPS = 25.0


def run_demo(folder: Path, video: str | None = None) -> None:
    """Train, measure and run a small model; write everything below `folder`.

    Args:
        folder: receives `run/` (the training), `results.json`, `clips.csv`, `confusion.png`, and
            of a held-out drawn video the file itself, its timeline and its truth. A training that
            was stopped is gone on with.
        video: a video of the user's, for the model that comes with the package, which knows real
            faces; the one trained here knows drawn ones only.

    Raises:
        InputError: the folder or the video cannot be used.
    """
    say = Console().print
    say("[bold]1/3[/] training a small M3DFEL on drawn faces (recipe `synthetic`)")
    train(demo_config(folder / "run"), resume=True)

    say("[bold]2/3[/] measuring it on faces it has never seen")
    model = load_model(str(folder / "run"))
    results = evaluate(model, "synthetic", str(folder), "test", workers=0)
    print_metrics(results, "synthetic, test identities")
    plot_confusion([results], ["M3DFEL on drawn faces"], folder / "confusion.png")

    say("[bold]3/3[/] asking it what a video of such a face expresses, and when")
    recognizer = Recognizer(model, clip_s=1.28)
    film, clips = folder / "held_out.mp4", held_out_clips()
    write_video(film, np.concatenate([render(c, range(c.n_frames), 112) for c in clips]), FPS)
    write_text(folder / "held_out_truth.csv", truth_table(clips).to_csv(index=False))
    prediction = recognizer(str(film), aligned=True)
    prediction.save(folder)
    targets = np.concatenate([target_frames(clip) for clip in clips])
    prediction.plot(folder / "held_out.png", targets, FPS)
    true = ", then ".join(clip.emotion for clip in clips)
    print_timeline(prediction.table, title=f"held_out.mp4 (a drawn face; in truth: {true})")

    if video:
        say("[bold]and[/] asking the model for real faces, which comes with the package, the same")
        own = Recognizer()(video)
        own.save(folder)
        print_timeline(own.table, title=Path(video).name, note=own.note)
    say(
        f"\nSee {folder / 'confusion.png'} and {folder / 'held_out.png'}.\n"
        "Next: `m3dfel predict VIDEO` says what real faces express; `m3dfel train --help` how to "
        "train on data of your own."
    )


def demo_config(run: Path) -> TrainConfig:
    """Return the recipe `synthetic` as a configuration that writes to `run`."""
    recipe = yaml.safe_load(find_recipe("synthetic").read_text())
    return from_settings(recipe | {"output": str(run)})


def held_out_clips() -> list[SyntheticClip]:
    """Return what a test identity shows in the demo's video: three emotions, one after another."""
    identity = SYNTHETIC_SPLITS["test"][0]
    return synthetic_clips(0, [identity], 1, ["happiness", "surprise", "anger"])
