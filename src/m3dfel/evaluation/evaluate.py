"""Evaluate a trained model on a data set: the command `m3dfel evaluate`, from manifest to results.

It writes the same files as a training run (`results.json`, `clips.csv`, `instances.csv`), so both
can be read, compared and plotted in the same way.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from m3dfel.data.batches import evaluation_loader
from m3dfel.data.dataset import EvaluationClips
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.splits import keep_labels
from m3dfel.errors import InputError
from m3dfel.evaluation.coverage import answers_at, risk_coverage
from m3dfel.evaluation.measure import measure
from m3dfel.evaluation.outputs import write_outputs
from m3dfel.evaluation.split_metrics import split_metrics
from m3dfel.files import write_text
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.progress import progress


def evaluate(
    model: M3DFEL,
    data: str,
    output: str,
    split: str | None = None,
    fold: int = 1,
    batch_size: int = 16,
    workers: int = 2,
    window_s: float = 0.0,
) -> dict[str, Any]:
    """Evaluate a model on a data set and write the results.

    Clips whose emotion is not in the model's label set and clips that cannot be read are left out
    and counted.

    Args:
        model: on the device to run it on.
        data: a data set or manifest, as for `read_manifest`.
        output: folder for `results.json`, `clips.csv`, `instances.csv` and `risk_coverage.csv` (see
            `evaluation.coverage`).
        split: `train`, `val`, `test` or `all`; None for test, or without test clips val, or without
            both all clips.
        fold: the official fold (DFEW).
        batch_size: clips per batch.
        workers: processes that read clips.
        window_s: length in seconds of the windows of each clip, whose answers are averaged, as in
            `DataConfig`; 0 for frames from the whole clip.

    Returns:
        The content of `results.json`: the metrics, also against votes if the clips have them; how
        many clips reach the model's `min_confidence`; how many were left out and why.

    Raises:
        InputError: the data or the split cannot be used, or the results cannot be written.

    Example:
        Evaluate the bundled model on folders named after emotions; here the pictures are noise.

        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> from m3dfel import evaluate
        >>> from m3dfel.models.checkpoints import load_model
        >>> temporary = TemporaryDirectory()
        >>> data, output = Path(temporary.name, "faces"), Path(temporary.name, "results")
        >>> for name in "happiness/1.png", "anger/2.png":
        ...     (data / name).parent.mkdir(parents=True)
        ...     Image.effect_noise((48, 48), 100).save(data / name)
        >>> results = evaluate(load_model("bundled"), str(data), str(output), workers=0)
        >>> results["clips"], results["support"]["anger"]
        (2, 1)
        >>> sorted(path.name for path in output.iterdir())
        ['clips.csv', 'instances.csv', 'results.json', 'risk_coverage.csv']
    """
    manifest = read_manifest(data, fold, model.labels)
    name, clips = choose_split(manifest.clips, split)
    known = keep_labels(clips, model.labels)
    if not known:
        raise InputError(
            f"{data} has no clips of the model's emotions ({', '.join(model.labels)}) in {name}"
        )
    loader = evaluation_loader(EvaluationClips(model, known, window_s), batch_size, workers)
    outputs = measure(model, progress(loader, f"measuring {name}", total=len(loader)))
    curve = risk_coverage(outputs.logits, outputs.targets)
    results = {
        **split_metrics(outputs, known, model.labels),
        **asdict(answers_at(curve, model.min_confidence)),
        "data": data,
        "dataset": manifest.dataset,
        "split": name,
        "frames": model.frames,
        "clips": len(outputs.indices),
        "left_out": {
            "problems": len(manifest.problems),
            "outside_label_set": len(clips) - len(known),
            "unreadable": len(known) - len(outputs.indices),
        },
    }
    folder = Path(output)
    write_outputs(folder, {name: (known, outputs)}, model.labels)
    write_text(folder / "risk_coverage.csv", curve.round(6).to_csv(index=False))
    write_text(folder / "results.json", json.dumps(results, indent=2))
    return results


def choose_split(clips: Sequence[Clip], split: str | None) -> tuple[str, list[Clip]]:
    """Return the name and the clips of a split; None chooses test, else val, else all clips.

    Raises:
        InputError: the split has no clips.
    """
    counts = Counter(clip.split for clip in clips)
    name = split or next((name for name in ("test", "val") if counts[name]), "all")
    chosen = [clip for clip in clips if name in (clip.split, "all")]
    if not chosen:
        names = ", ".join([*filter(None, counts), "all"])
        raise InputError(f"no clips in the split {name!r}: choose one of {names}")
    return name, chosen
