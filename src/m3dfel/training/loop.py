"""Training, in one loop that reads from top to bottom.

It stands behind the data and the model and calls `evaluation.measure` after each epoch. The
protocol is the paper's, the engine Lightning Fabric's. Every random choice comes from
the seed, the epoch and the clip, and the state is saved after each epoch, so that a run that was
killed and resumed ends with the numbers of one that never stopped.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import logging
import math
import os
import platform
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
import yaml
from lightning_fabric import Fabric
from lightning_fabric.loggers import TensorBoardLogger
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel

from m3dfel.checkpoints import load_model, load_state, save_model, save_state
from m3dfel.config import DataConfig, OptimConfig, TrainConfig, check, previous_stage
from m3dfel.data.dataset import (
    EpochBatches,
    EvaluationClips,
    TrainingClips,
    combine_seeds,
    evaluation_loader,
    training_loader,
)
from m3dfel.data.manifest import (
    Clip,
    Manifest,
    assign_folds,
    checksum,
    hold_out,
    keep_labels,
    read_manifest,
)
from m3dfel.data.transforms import mixup
from m3dfel.errors import InputError
from m3dfel.evaluation.measure import SplitOutputs, measure
from m3dfel.evaluation.metrics import fit_temperature
from m3dfel.evaluation.outputs import write_outputs
from m3dfel.files import write_text
from m3dfel.models.backbones.video_resnet import load_pretrained
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.training.batchnorm import share_batch_norm
from m3dfel.training.losses import M3DFELLoss

logger = logging.getLogger(__name__)


def train(config: TrainConfig, resume: bool = False) -> dict[str, Any]:
    """Train a model as the configuration says.

    The run's folder receives `config.yaml`, `problems.csv` (clips left out, if any), `last/` and
    `best/` (models; `last/training.safetensors` is what resuming reads), a TensorBoard log,
    `results.json`, `clips.csv` and `instances.csv` (what the best model, or without validation
    clips the last one, says of val and test), and a folder of the same for the stage before, if
    any. Under `torchrun` it trains on all processes together.

    Args:
        config: the run.
        resume: go on from the run's last whole epoch, or start when there is none yet.

    Returns:
        What `results.json` holds: metrics of the last epoch, of the best on validation and of the
        same model calibrated, which is what `best/` holds (and of the best on test, when measured),
        the history of all epochs, and the environment.

    Raises:
        InputError: the configuration, the data or the folder cannot be used.
    """
    check(config)
    folder = Path(config.output)
    fabric = _launch(config, folder)
    optim = config.optim
    with fabric.rank_zero_first():
        _same_data(config.data)
        manifest = read_manifest(config.data.path, config.data.fold)
        splits = split_clips(manifest, config)
    _open_run(fabric, folder, config, manifest, resume)
    if (folder / "results.json").exists():
        finished: dict[str, Any] = json.loads((folder / "results.json").read_text())
        return finished
    earlier = previous_stage(config)
    if earlier:
        train(earlier, resume)
    _say(fabric, f"{folder}: {optim.epochs} epochs on clips of {config.model.frames} frames")
    with fabric.rank_zero_first():
        model = build_model(config)

    batches, loader = _training_batches(fabric, config, splits["train"])
    measured = {name: clips for name, clips in splits.items() if name != "train" and clips}
    if fabric.world_size > 1:
        share_batch_norm(model)
    # The layout in which 3D convolutions run fastest, a fifth to a quarter faster on CPUs.
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    network, optimizer = fabric.setup(
        model, AdamW(model.parameters(), lr=optim.lr, weight_decay=optim.weight_decay)
    )
    criterion = M3DFELLoss(
        config.loss.ial_weight,
        config.loss.label_smoothing,
        class_counts=_class_counts(splits["train"], config.data),
        class_weights=config.loss.class_weights,
        logit_adjustment=config.loss.logit_adjustment,
    ).to(fabric.device)
    ema = ema_model(model, optim.ema) if optim.ema else None
    final = cast(M3DFEL, ema.module) if ema else model
    state = TrainingState(model, optimizer, ema)
    history = state.load(folder) if resume else []
    steps = len(loader) // optim.accumulate

    with _progress(fabric, optim.epochs * steps, len(history) * steps) as advance:
        for epoch in range(len(history), optim.epochs):
            batches.epoch = epoch
            network.train()
            losses = []
            for part, batch in enumerate(loader):
                step, last_part = divmod(part + 1, optim.accumulate)
                seed = combine_seeds(config.seed, epoch, part, fabric.global_rank)
                clips, targets = model.normalize(batch["clips"]), batch["targets"]
                clips, partners, share = mixup(clips, targets, config.augment.mixup, seed)
                with fabric.no_backward_sync(network, enabled=last_part != 0):
                    logits = network(clips)
                    loss = share * criterion(logits, targets)
                    loss = loss + (1 - share) * criterion(logits, partners)
                    fabric.backward(loss / optim.accumulate)
                losses.append(loss.detach())
                if last_part == 0:
                    rate = learning_rate(epoch + step / steps, optim)
                    for group in optimizer.param_groups:
                        group["lr"] = rate
                    if optim.clip_norm:
                        fabric.clip_gradients(network, optimizer, max_norm=optim.clip_norm)
                    optimizer.step()
                    optimizer.zero_grad()
                    if ema:
                        ema.update_parameters(model)
                    advance(f"epoch {epoch + 1}/{optim.epochs}", batches.batch_size)

            row: dict[str, Any] = {"epoch": epoch + 1, "lr": rate}
            row["loss"] = float(cast(Tensor, fabric.all_reduce(torch.stack(losses).mean())))
            if not math.isfinite(row["loss"]):
                raise InputError(
                    f"the loss of epoch {epoch + 1} is not a number: lower optim.lr, or set "
                    f"optim.clip_norm; {folder} keeps the epoch before"
                )
            for name, split in measured.items():
                if name == "val" or config.test_every_epoch:
                    row[name] = _metrics(fabric, final, split, config)
            history.append(row)
            _log(fabric, row)
            if fabric.is_global_zero:
                if _best(history, "val", config.select) == row:
                    save_model(final, folder / "best")
                save_model(final, folder / "last")
                state.save(folder, history)
            fabric.barrier()

    best = load_model(str(folder / "best")).to(fabric.device) if "val" in measured else None
    answers, calibrated = _answers(fabric, best or final, splits, history, config)
    results = _results(fabric, final, measured, answers, history, config) | calibrated
    results |= {"dataset": manifest.dataset, "frames": config.model.frames}
    if fabric.is_global_zero:
        if best:
            save_model(best, folder / "best")
        told = {name: (measured[name], answer) for name, answer in answers.items()}
        write_outputs(folder, told, final.labels)
        write_text(folder / "results.json", json.dumps(results, indent=2))
    fabric.barrier()
    return results


def learning_rate(epoch: float, optim: OptimConfig) -> float:
    """Return the learning rate after so many epochs, fractions counted: warm-up, then cosine."""
    if epoch < optim.warmup_epochs:
        return optim.lr * epoch / optim.warmup_epochs
    rest = max(optim.epochs - optim.warmup_epochs, 1)
    done = min((epoch - optim.warmup_epochs) / rest, 1.0)
    return optim.min_lr + (optim.lr - optim.min_lr) * (1 + math.cos(math.pi * done)) / 2


def build_model(config: TrainConfig) -> M3DFEL:
    """Return the network a run starts from.

    Raises:
        InputError: the weights to start from cannot be had or do not fit.
    """
    architecture = dataclasses.asdict(config.model)
    weights = architecture.pop("weights")
    torch.manual_seed(config.seed)
    model = M3DFEL(config.data.labels, **architecture)
    earlier = previous_stage(config)
    if earlier:
        transfer_weights(model, earlier.output)
    elif weights == "pretrained":
        load_pretrained(model.backbone)
    elif weights != "none":
        transfer_weights(model, weights)
    return model


_KERNELS = "aggregation.pooling.weight"  # of DLIAM's convolution, (1, N, 3)


def transfer_weights(model: M3DFEL, name: str) -> None:
    """Fill a model with a trained one's weights: its backbone, and what else fits.

    Label sets may differ; the classifier then starts afresh. Bag sizes may differ; the kernels of
    the convolution over the instances are then shared out over the new bag, so that its vector
    starts near that of the old. Kernels learned on single frames know nothing of the frames around,
    and start without looking at them.
    """
    trained = load_model(name)
    weights = trained.state_dict()
    kernels = weights.get(_KERNELS)
    if kernels is not None:
        shared = F.adaptive_avg_pool1d(kernels.transpose(1, 2), model.bag_size)
        weights[_KERNELS] = shared.transpose(1, 2) * trained.bag_size / model.bag_size
    if trained.instance_length == 1 < model.instance_length:
        for value in weights.values():
            if value.ndim == 5 and value.shape[2] == 3:
                value[:, :, [0, 2]] = 0
    if trained.labels != model.labels:
        weights = {n: value for n, value in weights.items() if not n.startswith("classifier.")}
    own = model.state_dict()
    fitting = {n: v for n, v in weights.items() if n in own and own[n].shape == v.shape}
    if not all(n in fitting for n in own if n.startswith("backbone.")):
        raise InputError(
            f"the weights of {name} do not fit this run's model: give it the same width and depth"
        )
    model.load_state_dict(own | fitting)


def split_clips(manifest: Manifest, config: TrainConfig) -> dict[str, list[Clip]]:
    """Return the run's train, val and test clips, restricted to its label set.

    Raises:
        InputError: nothing to train on.
    """
    labels = config.data.labels
    clips = list(manifest.clips)
    if config.data.folds:
        clips = assign_folds(clips, config.data.folds, config.data.fold, config.seed)
    usable = keep_labels(clips, labels)
    splits = {n: [c for c in usable if c.split == n] for n in ("train", "val", "test")}
    if not splits["train"]:
        raise InputError(
            f"{config.data.path} has no training clips of {', '.join(labels)}: it holds the splits "
            f"{', '.join(dict.fromkeys(clip.split for clip in manifest.clips))}"
        )
    if not splits["val"] and config.data.val_fraction:
        splits["train"], splits["val"] = hold_out(
            splits["train"], config.data.val_fraction, config.seed
        )
    return splits


def ema_model(model: M3DFEL, decay: float) -> AveragedModel:
    """Return the exponential moving average of a model's weights, to be updated after every step.

    Early on the decay is smaller, so that the average soon forgets where the model began.
    """

    def average(mean: Tensor, value: Tensor, updates: Tensor | int) -> Tensor:
        if not mean.is_floating_point():
            return value
        n = float(updates)
        return torch.lerp(value, mean, min(decay, (1 + n) / (10 + n)))

    return AveragedModel(model, avg_fn=average, use_buffers=True)


@dataclass
class TrainingState:
    """What a run must remember to go on as if it had never stopped."""

    model: M3DFEL
    optimizer: Any
    ema: AveragedModel | None

    def save(self, folder: Path, history: list[dict[str, Any]]) -> None:
        """Write the state after a whole epoch."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        if self.ema:
            tensors |= {f"ema.{name}": value for name, value in self.ema.state_dict().items()}
        for place, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{place}.{name}": value for name, value in values.items()}
        save_state(folder / "last" / "training.safetensors", tensors, {"history": history})

    def load(self, folder: Path) -> list[dict[str, Any]]:
        """Go back to the last whole epoch; return the history up to it, empty if there is none."""
        path = folder / "last" / "training.safetensors"
        if not path.exists():
            return []
        tensors, record = load_state(path)
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "optimizer": {}}
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            parts[kind][rest] = value
        self.model.load_state_dict(parts["model"])
        if self.ema:
            self.ema.load_state_dict(parts["ema"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            place, _, rest = name.partition(".")
            moments.setdefault(int(place), {})[rest] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        history: list[dict[str, Any]] = record["history"]
        return history


# --- around the loop -----------------------------------------------------------------------------


def _launch(config: TrainConfig, folder: Path) -> Fabric:
    processes = int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    fabric = Fabric(
        accelerator=config.accelerator,
        devices=local,
        num_nodes=processes // local,
        strategy="ddp" if processes > 1 else "auto",
        precision=config.precision,
        loggers=TensorBoardLogger(folder, name="", version="tensorboard"),
    )
    if config.precision == "16-mixed" and fabric.device.type == "cpu":
        raise InputError("precision 16-mixed needs a GPU: on a CPU choose 32-true or bf16-mixed")
    fabric.launch()
    torch.manual_seed(config.seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return fabric


def _same_data(data: DataConfig) -> None:
    """Prove that the data are those the recipe was made for, where it says which."""
    if data.sha256 and (found := checksum(data.path)) != data.sha256:
        raise InputError(
            f"{data.path} is not the data this recipe was made for: its checksum is {found}, "
            f"expected {data.sha256}. To use it all the same, give --data.sha256 ''"
        )


def _open_run(
    fabric: Fabric, folder: Path, config: TrainConfig, manifest: Manifest, resume: bool
) -> None:
    """Write what the run is, unless that would overwrite another run."""
    file = folder / "config.yaml"
    wanted = dataclasses.asdict(config)
    if file.exists():
        if not resume:
            raise InputError(
                f"{folder} already holds a run: go on with it (--resume) or choose another --output"
            )
        _same(wanted, yaml.safe_load(file.read_text()), folder)
    fabric.barrier()
    if not fabric.is_global_zero:
        return
    if not file.exists():
        write_text(file, yaml.safe_dump(_plain(wanted), sort_keys=False))
    if manifest.problems:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(
            [("path", "problem"), *((problem.path, problem.what) for problem in manifest.problems)]
        )
        write_text(folder / "problems.csv", text.getvalue())
        logger.warning(
            "%d clips left out, the first: %s (%s); all in %s",
            len(manifest.problems),
            manifest.problems[0].path,
            manifest.problems[0].what,
            folder / "problems.csv",
        )


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _same(wanted: dict[str, Any], found: dict[str, Any], folder: Path) -> None:
    """Prove that a resumed run is told the same as when it began, but for its readers."""
    old, new = _flat(found), _flat(_plain(wanted))
    other = [n for n in new if n not in ("workers", "output") and old.get(n) != new[n]]
    if other:
        changes = ", ".join(f"{name} was {old.get(name)!r}, now {new[name]!r}" for name in other)
        raise InputError(f"{folder} was begun otherwise ({changes}): choose another --output")


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat |= (
            _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        )
    return flat


def _class_counts(clips: list[Clip], data: DataConfig) -> list[float]:
    """Return how often training draws each class, up to a factor."""
    return [float(n) ** (1 - data.balance) if n else 0.0 for n in _counts(clips, data.labels)]


def _counts(clips: list[Clip], labels: list[str]) -> list[int]:
    counts = Counter(clip.emotion for clip in clips)
    return [counts[label] for label in labels]


def _training_batches(fabric: Fabric, config: TrainConfig, clips: list[Clip]) -> tuple[Any, Any]:
    data, labels = config.data, config.data.labels
    batches = EpochBatches(
        [labels.index(clip.emotion) for clip in clips],
        config.optim.batch_size,
        config.seed,
        data.balance,
        fabric.global_rank,
        fabric.world_size,
        config.optim.accumulate,
        config.optim.epoch_clips,
    )
    model = config.model
    learned = TrainingClips(
        clips,
        labels,
        model.frames,
        model.size,
        config.augment,
        config.seed,
        data.neutral_mix,
        model.grayscale,
    )
    loader = training_loader(learned, batches, config.workers)
    return batches, fabric.setup_dataloaders(loader, use_distributed_sampler=False)


def _measure(fabric: Fabric, model: M3DFEL, clips: list[Clip], config: TrainConfig) -> SplitOutputs:
    data = EvaluationClips(clips, model.labels, model.frames, model.size, model.zoom)
    loader = evaluation_loader(
        data,
        max(config.optim.batch_size // (config.optim.accumulate * fabric.world_size), 1),
        config.workers,
        fabric.global_rank,
        fabric.world_size,
    )
    return measure(model, loader)


def _metrics(
    fabric: Fabric, model: M3DFEL, clips: list[Clip], config: TrainConfig
) -> dict[str, Any]:
    return _measure(fabric, model, clips, config).metrics(model.labels).to_dict()


def _best(history: list[dict[str, Any]], split: str, select: str) -> dict[str, Any] | None:
    """Return the first of the epochs with the highest metric on a split, None if never measured."""
    return max(
        (row for row in history if split in row), key=lambda r: r[split][select], default=None
    )


def _restored(clips: list[Clip], data: DataConfig) -> Tensor:
    """Return what each class's logit gains when its answers take back some of the balance, (C,)."""
    counts = torch.tensor(_counts(clips, data.labels))
    frequency = counts.clamp(min=1) / len(clips)
    return data.restore * data.balance * frequency.log()


def _answers(
    fabric: Fabric,
    model: M3DFEL,
    splits: dict[str, list[Clip]],
    history: list[dict[str, Any]],
    config: TrainConfig,
) -> tuple[dict[str, SplitOutputs], dict[str, Any]]:
    """Return what the run's model says of val and test, and what calibrating it came to.

    The best model on val is calibrated on val, in place: what is restored of the classes'
    unevenness and the temperature go into its classifier, so that whatever reads the model gets
    calibrated answers. Without val the model stays as it is.
    """
    answers: dict[str, SplitOutputs] = {}
    calibrated = {}
    if splits["val"]:
        val = _measure(fabric, model, splits["val"], config)
        shift = _restored(splits["train"], config.data)
        temperature = fit_temperature(val.logits + shift, val.targets)
        with torch.no_grad():
            model.classifier.bias.add_(shift.to(fabric.device))
            for parameter in model.classifier.parameters():
                parameter.div_(temperature)
        answers["val"] = val.calibrated(shift, temperature)
        best = _best(history, "val", config.select)
        assert best
        calibrated["calibrated"] = {
            "epoch": best["epoch"],
            "temperature": temperature,
            "ece_before": val.calibrated(shift, 1.0).metrics(model.labels).ece,
            "val": answers["val"].metrics(model.labels).to_dict(),
        }
    if splits["test"]:
        answers["test"] = _measure(fabric, model, splits["test"], config)
    return answers, calibrated


def _results(
    fabric: Fabric,
    model: M3DFEL,
    measured: dict[str, list[Clip]],
    answers: dict[str, SplitOutputs],
    history: list[dict[str, Any]],
    config: TrainConfig,
) -> dict[str, Any]:
    """Return the metrics of the epochs that count, each told by how it was chosen."""
    chosen = {"last": history[-1], "best_on_val": _best(history, "val", config.select)}
    if config.test_every_epoch:
        chosen["best_on_test"] = _best(history, "test", config.select)
    results: dict[str, Any] = {name: dict(row) for name, row in chosen.items() if row}
    if "test" in measured:
        if not config.test_every_epoch:
            results["last"]["test"] = _metrics(fabric, model, measured["test"], config)
        if "best_on_val" in results:
            results["best_on_val"]["test"] = answers["test"].metrics(model.labels).to_dict()
    return results | {
        "selected_by": f"val {config.select}",
        "seed": config.seed,
        "clips": {name: len(clips) for name, clips in measured.items()},
        "history": history,
        "environment": environment_info(fabric),
    }


def environment_info(fabric: Fabric) -> dict[str, Any]:
    """Return what a stranger needs to know of the machine to run this again."""
    packages = ("m3dfel", "torch", "torchvision", "lightning-fabric", "numpy")
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": str(fabric.device),
        "processes": fabric.world_size,
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in packages},
    }


def _log(fabric: Fabric, row: dict[str, Any]) -> None:
    values = {"train/loss": row["loss"], "train/lr": row["lr"]}
    line = f"epoch {row['epoch']:3d}  loss {row['loss']:.4f}"
    for split in ("val", "test"):
        if split in row:
            values |= {f"{split}/{name}": row[split][name] for name in ("war", "uar", "loss")}
            line += f"  {split} WAR {row[split]['war']:.4f} UAR {row[split]['uar']:.4f}"
    fabric.log_dict(values, step=row["epoch"])
    _say(fabric, line)


_CONSOLE = Console(stderr=True)


def _say(fabric: Fabric, line: str) -> None:
    if fabric.is_global_zero:
        _CONSOLE.print(line, highlight=False)


@contextmanager
def _progress(fabric: Fabric, steps: int, done: int) -> Iterator[Any]:
    """Show the whole run's progress, with clips a second and the time left."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=_CONSOLE,
        transient=True,
        disable=not fabric.is_global_zero,
    )
    with progress:
        task: TaskID = progress.add_task("training", total=steps, completed=done, rate="")

        def advance(description: str, clips: int) -> None:
            speed = progress.tasks[0].speed
            rate = f"{speed * clips:.1f} clips/s" if speed else ""
            progress.update(task, advance=1, description=description, rate=rate)

        yield advance
