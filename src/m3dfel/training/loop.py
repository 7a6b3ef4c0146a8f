"""The training loop.

`train` is the whole story of a run, from the configuration to the results. The protocol is that of
M3DFEL (Wang et al., CVPR 2023); devices, precision and processes are Lightning Fabric's. All
randomness comes from the seed, the epoch and the clip, and the state is saved after every epoch, so
a run that is killed and resumed ends with the numbers of one that was never interrupted.
"""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim import AdamW

from m3dfel.config import TrainConfig
from m3dfel.config.stages import stages
from m3dfel.data.augment.transforms import mixup
from m3dfel.data.manifest import Clip, Manifest
from m3dfel.data.movements import read_movements
from m3dfel.data.seeds import combine_seeds
from m3dfel.errors import InputError
from m3dfel.evaluation.measure import SplitOutputs
from m3dfel.evaluation.split_metrics import split_metrics
from m3dfel.files import only_process
from m3dfel.models.checkpoints import save_model
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.progress import progress_bar
from m3dfel.training.batchnorm import share_batch_norm
from m3dfel.training.clips import read_data, training_batches
from m3dfel.training.environment import create_fabric, is_first_process, together
from m3dfel.training.log import log_epoch, log_once
from m3dfel.training.losses import TrainingLoss, TrainingModel
from m3dfel.training.movement_classifier import check_people, learns_movement_classifier
from m3dfel.training.prepare import prepare
from m3dfel.training.results import best_epoch, measure_split, write_results
from m3dfel.training.run_folder import finished_results, open_run, write_problems
from m3dfel.training.schedule import learning_rate
from m3dfel.training.state import TrainingState, ema_model, mix_weights
from m3dfel.training.transfer import build_model


def train(config: TrainConfig, resume: bool = False) -> dict[str, Any]:
    """Train a model.

    The run's folder receives `config.yaml`, `problems.csv` (if clips are left out), `last/` and
    `best/` (models; resuming reads `last/training.safetensors`), a TensorBoard log, `results.json`,
    `clips.csv` and `instances.csv` (the outputs of the best model on val and test, or of the last
    model without validation clips; none without both), and a folder like it for each stage.
    Under `torchrun` all processes train together.

    Args:
        config: the settings of the run.
        resume: continue after the run's last complete epoch, or start if there is none.

    Returns:
        The content of `results.json`: the metrics of the last epoch, of the best epoch on val (and
        on test, if measured every epoch), in the precision of the run; those of the calibrated best
        model, which is the one in `best/`, with the answers it gives on val; the history of all
        epochs; the environment. Metrics are those of `evaluation.split_metrics`.

    Raises:
        InputError: the configuration, the data or the folder cannot be used, or another process is
            training in the folder; or another process of this run ended.

    Example:
        Train the small model of the recipe `synthetic` on your own pictures; here they are noise.

        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> from m3dfel import train
        >>> from m3dfel.config import read_recipe
        >>> temporary = TemporaryDirectory()
        >>> data, run = Path(temporary.name, "faces"), Path(temporary.name, "run")
        >>> for name in "train/happiness/1.png", "train/fear/2.png", "val/fear/3.png":
        ...     (data / name).parent.mkdir(parents=True)
        ...     Image.effect_noise((48, 48), 100).save(data / name)
        >>> config = read_recipe(
        ...     "synthetic",
        ...     {
        ...         "data.path": str(data),
        ...         "data.labels": ["happiness", "fear"],
        ...         "optim.epochs": 2,
        ...         "stages": [],
        ...         "output": str(run),
        ...     },
        ... )
        >>> results = train(config)
        >>> [row["epoch"] for row in results["history"]]
        [1, 2]
        >>> (run / "best" / "model.safetensors").exists()
        True
    """
    config = prepare(config)
    runs = stages(config)
    for run in runs:
        create_fabric(run)  # a device that one of them cannot use is an error now, not hours later
    data = read_data(runs)
    for run, (_, splits) in zip(runs, data, strict=True):
        if learns_movement_classifier(run):
            check_people(splits["train"])
    folder = Path(config.output)
    with only_process(folder, "training") if is_first_process() else nullcontext():
        open_run(config, resume)
        if finished := finished_results(folder):
            return finished
        results: dict[str, Any] = {}
        cudnn = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
        with cudnn, together():
            for run, (manifest, splits) in zip(runs, data, strict=True):
                results = train_stage(run, manifest, splits, resume)
        return results


def train_stage(
    config: TrainConfig, manifest: Manifest, splits: dict[str, list[Clip]], resume: bool
) -> dict[str, Any]:
    """Train one stage of a run, or return the results of an earlier call that finished it.

    Args:
        config: one of `config.stages.stages`.
        manifest: of its data.
        splits: its clips.
        resume: continue after the last complete epoch.

    Raises:
        InputError: the weights that it starts from do not fit, or the loss is not a number.
    """
    folder, optim = Path(config.output), config.optim
    if finished := finished_results(folder):
        return finished
    fabric = create_fabric(config)
    fabric.launch()
    if fabric.is_global_zero and manifest.problems:
        write_problems(manifest.problems, folder / "problems.csv")
    movements = None
    if config.loss.movements:
        # A model that already estimates some learns these.
        movements = read_movements(config.data.paths, config.model.movements)
    with fabric.rank_zero_first():
        model = build_model(config, movements.names if movements else ())
    log_once(fabric, f"{folder}: {optim.epochs} epochs on clips of {model.frames} frames")
    labels, datasets = model.labels, manifest.datasets
    if fabric.world_size > 1:
        share_batch_norm(model)
    # 3D convolutions run fastest in this memory layout, a fifth to a quarter faster on CPUs.
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    # A third to half of the time on CPUs; on GPUs Fabric cannot clip with it in 16-mixed.
    fused = fabric.device.type == "cpu"
    trained = TrainingModel(model, optim.parts)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    network, optimizer = fabric.setup(
        trained,
        AdamW(learning, lr=optim.lr, weight_decay=optim.weight_decay, fused=fused),
    )
    ema = ema_model(model, optim.ema) if optim.ema else None
    trained_model = cast(M3DFEL, ema.module) if ema else model
    initial = copy.deepcopy(model.state_dict()) if optim.keep else {}
    batches, loader = training_batches(fabric, splits["train"], model, config, movements)
    eval_splits = {name: splits[name] for name in ("val", "test") if splits[name]}
    criterion = TrainingLoss(config.loss, movements.deviations if movements else ())
    criterion.to(fabric.device)
    state = TrainingState(model, optimizer, ema, fabric.strategy.precision)
    history = state.load(folder) if resume else []
    # Resuming continues from what was trained; only what is evaluated and saved is mixed.
    eval_model = mix_weights(initial, trained_model, optim.keep)
    best_outputs: SplitOutputs | None = None
    steps = len(loader) // optim.accumulate

    clips_per_epoch = steps * batches.batch_size
    with progress_bar(
        "training",
        total=optim.epochs * clips_per_epoch,
        rate="{:.1f} clips/s",
        done=len(history) * clips_per_epoch,
        show=fabric.is_global_zero,
    ) as advance:
        for epoch in range(len(history), optim.epochs):
            batches.epoch = epoch
            torch.manual_seed(combine_seeds(config.seed, epoch, fabric.global_rank))  # dropout
            network.train()
            losses = []
            for part, batch in enumerate(loader):
                step, remaining_part = divmod(part + 1, optim.accumulate)
                step_complete = remaining_part == 0
                seed = combine_seeds(config.seed, epoch, part, fabric.global_rank)
                targets, moving = batch["targets"], batch["movements"]
                clips = model.normalize(batch["clips"])
                clips, partners, weight = mixup(clips, config.augment.mixup, seed)
                with fabric.no_backward_sync(network, enabled=not step_complete):
                    answers = network(clips)
                    loss = criterion(answers, targets, moving)
                    if config.augment.mixup:
                        moving = None if moving is None else moving[partners]
                        rest = criterion(answers, targets[partners], moving)
                        loss = weight * loss + (1 - weight) * rest
                    fabric.backward(loss / optim.accumulate)
                losses.append(loss.detach())
                if step_complete:
                    for group in optimizer.param_groups:
                        group["lr"] = learning_rate(epoch + step / steps, optim)
                    if optim.clip_norm:
                        # In 16-mixed, gradients that are not finite only skip a step.
                        fabric.clip_gradients(
                            network, optimizer, optim.clip_norm, error_if_nonfinite=False
                        )
                    optimizer.step()
                    optimizer.zero_grad()
                    if ema:
                        ema.update_parameters(model)
                    advance(batches.batch_size, f"epoch {epoch + 1}/{optim.epochs}")

            row: dict[str, Any] = {"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"]}
            row["loss"] = float(cast(Tensor, fabric.all_reduce(torch.stack(losses).mean())))
            if not math.isfinite(row["loss"]):
                raise InputError(
                    f"the loss of epoch {epoch + 1} is not a number: lower optim.lr or set "
                    "optim.clip_norm, and choose another --output"
                )
            eval_model = mix_weights(initial, trained_model, optim.keep)
            outputs: dict[str, SplitOutputs] = {}
            for name, clips_of_split in eval_splits.items():
                if name == "val" or config.test_every_epoch:
                    outputs[name] = measure_split(
                        fabric, eval_model, clips_of_split, config, mixed=True
                    )
                    row[name] = split_metrics(outputs[name], clips_of_split, labels, datasets)
            history.append(row)
            log_epoch(fabric, row)
            is_best = best_epoch(history, "val", config.select_metric) is row
            if is_best:
                best_outputs = outputs["val"]
            if fabric.is_global_zero:
                if is_best:
                    save_model(eval_model, folder / "best")
                save_model(eval_model, folder / "last")
                state.save(folder, history)
            fabric.barrier()
    return write_results(fabric, config, manifest, splits, eval_model, history, best_outputs)
