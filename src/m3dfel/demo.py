"""The first five minutes: train a small model, evaluate it, and predict the emotions in a video.

The same steps as in real use (recipe → train → evaluate → predict), but on drawn faces that the
package makes itself, so that nothing has to be downloaded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from m3dfel.config import TrainConfig, read_recipe
from m3dfel.data.layouts.synthetic import SYNTHETIC_SPLITS
from m3dfel.evaluation.evaluate import evaluate
from m3dfel.files import write_text
from m3dfel.models.checkpoints import load_model
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report.confusion import plot_confusion
from m3dfel.report.terminal import print_metrics, print_spans
from m3dfel.synthetic.clips import (
    SyntheticClip,
    render,
    synthetic_clips,
    target_frames,
    truth_table,
)
from m3dfel.training.loop import train
from m3dfel.video.encode import write_video

FPS = 25.0


def run_demo(folder: Path, video: str | None = None) -> None:
    """Train, evaluate and run a small model; write everything to `folder`.

    Args:
        folder: receives `run/` (the training), `results.json`, `clips.csv`, `confusion.png`, and
            `held_out.mp4`, a drawn video that is not in the training data, with its prediction and
            ground truth. If the training was interrupted, it is resumed.
        video: the user's own video. It is given to the bundled model, which was trained on real
            faces; the model trained here knows only drawn ones.

    Raises:
        InputError: the folder cannot be written to or the video cannot be read.
    """
    say = Console().print
    say("[bold]1/3[/] Training a small M3DFEL model on drawn faces (recipe `synthetic`)")
    train(demo_config(folder / "run"), resume=True)

    say("[bold]2/3[/] Evaluating it on drawn people who are not in the training data")
    model = load_model(str(folder / "run"))
    results = evaluate(model, "synthetic", str(folder), "test", workers=0)
    print_metrics(results, "synthetic, test identities")
    plot_confusion([results], ["M3DFEL on drawn faces"], folder / "confusion.png")

    say("[bold]3/3[/] Predicting which emotions a video of another drawn person shows, and when")
    recognizer = Recognizer(model, clip_s=1.28)
    path, clips = folder / "held_out.mp4", held_out_clips()
    write_video(path, np.concatenate([render(c, range(c.n_frames), 112) for c in clips]), FPS)
    write_text(folder / "held_out_truth.csv", truth_table(clips).to_csv(index=False))
    prediction = recognizer.predict(path, aligned=True)
    prediction.save(folder)
    targets = np.concatenate([target_frames(clip) for clip in clips])
    prediction.plot(folder / "held_out.png", targets, FPS)
    truth = ", ".join(clip.emotion for clip in clips)
    print_spans(prediction, title=f"held_out.mp4 (truth: {truth})")

    if video:
        say("[bold]Your video:[/] predicting with the bundled model, trained on real faces")
        prediction = Recognizer().predict(video)
        prediction.save(folder)
        print_spans(prediction, title=Path(video).name)
    say(
        f"\nThe figures are {folder / 'confusion.png'} and {folder / 'held_out.png'}.\n"
        "Next steps: `m3dfel predict VIDEO` recognizes the emotions of real faces; "
        "`m3dfel train --help` shows how to train on your own data."
    )


def demo_config(run: Path) -> TrainConfig:
    """Return the configuration of the recipe `synthetic` with `run` as its output folder."""
    return read_recipe("synthetic", {"output": str(run)})


def held_out_clips() -> list[SyntheticClip]:
    """Return the clips of the demo's video: three emotions of one person of the test split."""
    identity = SYNTHETIC_SPLITS["test"][0]
    return synthetic_clips(0, [identity], 1, ["happiness", "surprise", "anger"])
