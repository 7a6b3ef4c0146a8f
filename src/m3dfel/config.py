"""What a run can be told, and the recipes that tell it.

A run is described by `TrainConfig`; YAML recipes (shipped in `recipes/`) and the command line fill
it, and `check` proves every value once, before any long work starts. The defaults are the paper's
training protocol on DFEW (Wang et al., CVPR 2023) with the intensity-aware loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentError, ArgumentParser

from m3dfel.emotions import EMOTIONS, parse_label_set
from m3dfel.errors import InputError

OFFICIAL_FOLDS = 5  # of DFEW
AggregationName = Literal["dliam", "lstm", "transformer", "mean", "max", "attention"]


@dataclass
class DataConfig:
    """Which clips to learn from.

    Attributes:
        path: root folder of DFEW or FERV39k, a CSV or text manifest, a folder of class folders, or
            the drawn faces that ship with the package: `synthetic`, `synthetic-brief` (most frames
            do not show the emotion) or `synthetic-uneven` (classes learned from as rare as DFEW's).
        sha256: what `data.manifest.checksum` must find at the path, so that a recipe is run on the
            data it was made for; empty for whatever is there.
        fold: which fold to measure on, from 1: of DFEW's official five, or of `folds`.
        folds: for data without official folds: part all clips into so many, no identity in two, and
            measure on `fold`; 0 for the data's own splits.
        labels: the label set, in the order of the model's outputs.
        val_fraction: share of the training clips held back, by identity where known, to choose the
            best epoch; used only when the manifest has no validation split of its own. 0 for none.
        balance: how far training draws the classes evenly, from 0 (as they come) to 1 (evenly).
        restore: share of the balance that the best model's answers take back after training, from 0
            to 1 (post-hoc logit adjustment, Menon et al., ICLR 2021): 0 answers as if the classes
            were as even as training drew them, 1 as uneven as they are.
        neutral_mix: stills only: chance that the clip of an expressive picture also shows neutral
            frames of the same person.
    """

    path: str = ""
    sha256: str = ""
    fold: int = 1
    folds: int = 0
    labels: list[str] = field(default_factory=lambda: list(EMOTIONS))
    val_fraction: float = 0.1
    balance: float = 0.0
    restore: float = 0.0
    neutral_mix: float = 0.5


@dataclass
class ModelConfig:
    """The network; the defaults are the published one.

    Attributes:
        weights: what the backbone starts from: `pretrained` (torchvision's: Kinetics-400, or for
            `resnet` ImageNet-1k), `none` (random), or a trained model (its folder, run or file), of
            which all that fits is taken over.
        frames: frames a clip.
        size: height and width of a frame in pixels.
        zoom: how much closer than the pictures it is given the model looks: it sees the middle
            1/zoom of their width and height.
        bag_size: 3D instances a clip; must divide `frames`.
        backbone: what reads an instance: `r3d`, `r2plus1d`, `mc3`, or `resnet`, frame by frame.
        aggregation: what joins a bag's instances: `dliam`, `lstm`, `transformer`, or a pooling of
            their features alone: `mean`, `max`, `attention`.
        bilstm: whether DLIAM has its BiLSTM; this and the next three are for ablations.
        mhsa: whether DLIAM has its self-attention.
        norm: DLIAM's normalization.
        pooling: DLIAM's pooling.
        width: channels of the backbone's first stage (64 in R3D-18).
        depth: 18, or 10 with one block a stage.
        grayscale: look at luminance only, for models that must not care for colour.
    """

    weights: str = "pretrained"
    frames: int = 16
    size: int = 112
    zoom: float = 1.0
    bag_size: int = 4
    backbone: Literal["r3d", "r2plus1d", "mc3", "resnet"] = "r3d"
    aggregation: AggregationName = "dliam"
    bilstm: bool = True
    mhsa: bool = True
    norm: Literal["dmin", "none", "batch", "layer", "instance"] = "dmin"
    pooling: Literal["conv1d", "mean", "max", "attention"] = "conv1d"
    width: int = 64
    depth: Literal[10, 18] = 18
    grayscale: bool = False


@dataclass
class AugmentConfig:
    """Random changes of a training clip, each drawn once and applied to all its frames.

    Attributes:
        crop_scale: smallest and largest share of the picture's area that the random crop keeps,
            whatever the model's zoom.
        crop_ratio: smallest and largest width by height of that crop.
        flip: chance of a horizontal flip.
        jitter: strength of the colour jitter in brightness, contrast, saturation and hue.
        blur: chance that the clip is shrunk and enlarged again, to look as small faces do.
        noise: largest standard deviation of camera noise, in grey levels of 0 to 255.
        erase: chance that a random rectangle is blanked.
        mixup: α of mixup (Zhang et al., ICLR 2018), which blends pairs of clips and their losses;
            0 leaves it out.
    """

    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (0.75, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.4
    blur: float = 0.0
    noise: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0


@dataclass
class LossConfig:
    """Cross entropy plus intensity-aware loss.

    Attributes:
        ial_weight: λ of the intensity-aware loss; 0 leaves it out.
        label_smoothing: of the cross entropy.
        class_weights: `none`, or `inverse` to weigh clips by their class's inverse frequency.
        logit_adjustment: τ of logit adjustment for uneven classes; 0 leaves it out.
    """

    ial_weight: float = 0.1
    label_smoothing: float = 0.1
    class_weights: Literal["none", "inverse"] = "none"
    logit_adjustment: float = 0.0


@dataclass
class OptimConfig:
    """AdamW, linear warm-up from 0, then a cosine.

    Attributes:
        epochs: passes over the training clips, warm-up included.
        epoch_clips: clips an epoch draws, for short epochs; 0 for as many as there are.
        warmup_epochs: epochs of linear warm-up.
        batch_size: clips a step, over all processes and accumulated parts together.
        accumulate: parts a batch is cut into to fit the memory.
        lr: learning rate after the warm-up.
        min_lr: learning rate at the end of the cosine.
        weight_decay: of AdamW.
        clip_norm: largest norm of the gradient; 0 for no clipping.
        ema: decay of an exponential moving average of the weights; 0 for none. When used, the
            averaged weights are what is evaluated and saved.
    """

    epochs: int = 300
    epoch_clips: int = 0
    warmup_epochs: int = 20
    batch_size: int = 256
    accumulate: int = 1
    lr: float = 5e-4
    min_lr: float = 5e-6
    weight_decay: float = 0.05
    clip_norm: float = 0.0
    ema: float = 0.0


@dataclass
class Stage:
    """Cheaper epochs on smaller clips, before those of the run, which go on from their weights.

    Attributes:
        frames: frames a clip.
        bag_size: instances a clip.
        epochs: passes over the training clips.
        lr: learning rate after the warm-up.
        path: other data to learn from first, if any: as in `DataConfig`, in the data's own splits.
        aggregation: as the model's, where not told.
        epoch_clips: as in `OptimConfig`.
        balance: as in `DataConfig`.
        neutral_mix: as in `DataConfig`.
    """

    frames: int
    bag_size: int
    epochs: int
    lr: float
    path: str = ""
    aggregation: AggregationName | None = None
    epoch_clips: int = 0
    balance: float = 0.0
    neutral_mix: float = 0.0


@dataclass
class TrainConfig:
    """A whole training run.

    Attributes:
        output: the run's folder: config, log, checkpoints, results.
        data: which clips to learn from.
        model: the network.
        augment: random changes of the training clips.
        loss: what is minimized.
        optim: how it is minimized.
        stages: what comes first, one after another.
        select: the validation metric that names the best epoch.
        test_every_epoch: also measure the test split after every epoch, to report the best epoch
            on test beside the others, as published code does. It is never used to choose.
        seed: the one source of randomness.
        precision: Lightning Fabric's word for number formats, such as `32-true` or `bf16-mixed`.
        accelerator: Lightning Fabric's word for the device: `auto`, `cpu`, `gpu`, `mps`.
        workers: processes that read clips, for each training process.
    """

    output: str = ""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    stages: list[Stage] = field(default_factory=list)
    select: Literal["war", "uar"] = "war"
    test_every_epoch: bool = False
    seed: int = 0
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    workers: int = 4


def from_settings(settings: dict[str, Any]) -> TrainConfig:
    """Return the configuration that nested settings, as in a recipe, come to; `check` is not run.

    Raises:
        InputError: an unknown setting, or a value of the wrong type.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainConfig)
    try:
        return TrainConfig(**parser.instantiate(parser.parse_object(settings)).as_dict())
    except ArgumentError as error:
        told = " ".join(str(error).split())
        raise InputError(f"the configuration cannot be used: {told}") from error


def with_overrides(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    """Return a configuration with some settings changed.

    Args:
        config: what is changed; it stays as it is.
        changes: from a setting's dotted name, such as `model.bag_size`, to its new value.

    Raises:
        InputError: an unknown setting, or a value of the wrong type.
    """
    settings = asdict(config)
    for name, value in changes.items():
        *rooms, last = name.split(".")
        room = settings
        for part in rooms:
            room = room.get(part, {}) if isinstance(room, dict) else {}
        if not isinstance(room, dict) or last not in room or isinstance(room[last], dict):
            raise InputError(f"no setting {name!r}: `m3dfel train --help` explains them all")
        room[last] = value
    return from_settings(settings)


def previous_stage(config: TrainConfig) -> TrainConfig | None:
    """Return the run that comes first and whose weights this one starts from, if any.

    It is the last of the stages, with those before it as its own; its folder is within the run's.
    """
    if not config.stages:
        return None
    *earlier, stage = config.stages
    data = replace(config.data, balance=stage.balance, restore=0.0, neutral_mix=stage.neutral_mix)
    if stage.path:
        data = replace(data, path=stage.path, sha256="", folds=0, fold=1)
    return replace(
        config,
        output=str(Path(config.output) / f"stage-{len(config.stages)}"),
        data=data,
        model=replace(
            config.model,
            frames=stage.frames,
            bag_size=stage.bag_size,
            aggregation=stage.aggregation or config.model.aggregation,
        ),
        optim=replace(
            config.optim,
            epochs=stage.epochs,
            epoch_clips=stage.epoch_clips,
            lr=stage.lr,
            warmup_epochs=min(config.optim.warmup_epochs, stage.epochs),
        ),
        stages=earlier,
    )


def check(config: TrainConfig) -> None:
    """Prove every value of a run's configuration, its stages included.

    Raises:
        InputError: naming every setting that cannot be, what it is and what it must be.
    """
    parse_label_set(config.data.labels)
    wrong = [
        f"{name} is {value!r} but must be {expected}"
        for name, value, expected, right in _rules(config)
        if not right
    ]
    if wrong:
        raise InputError("the configuration cannot be used: " + "; ".join(wrong))
    earlier = previous_stage(config)
    if earlier:
        try:
            check(earlier)
        except InputError as error:
            raise InputError(f"stage {len(config.stages)}: {error}") from error


def _rules(c: TrainConfig) -> Iterator[tuple[str, object, str, bool]]:
    data, model, augment, loss, optim = c.data, c.model, c.augment, c.loss, c.optim
    low, high = augment.crop_scale
    narrow, wide = augment.crop_ratio
    yield "output", c.output, "a folder for the run", bool(c.output)
    yield "data.path", data.path, "a data set, a manifest or `synthetic`", bool(data.path)
    last = data.folds or OFFICIAL_FOLDS
    yield "data.folds", data.folds, "0, or 2 or more", data.folds == 0 or data.folds >= 2
    yield "data.fold", data.fold, f"1 to {last}", 1 <= data.fold <= last
    yield "data.val_fraction", data.val_fraction, "from 0 to below 1", 0 <= data.val_fraction < 1
    yield "data.balance", data.balance, "from 0 to 1", 0 <= data.balance <= 1
    yield "data.restore", data.restore, "from 0 to 1", 0 <= data.restore <= 1
    yield "data.neutral_mix", data.neutral_mix, "from 0 to 1", 0 <= data.neutral_mix <= 1
    yield "model.frames", model.frames, "1 or more", model.frames >= 1
    yield (
        "model.bag_size",
        model.bag_size,
        f"a divisor of model.frames ({model.frames})",
        model.bag_size >= 1 and model.frames % model.bag_size == 0,
    )
    yield "model.size", model.size, "16 or more", model.size >= 16
    yield "model.zoom", model.zoom, "from 1 to 4", 1 <= model.zoom <= 4
    yield "model.width", model.width, "1 or more", model.width >= 1
    yield "augment.crop_scale", augment.crop_scale, "0 < low ≤ high ≤ 1", 0 < low <= high <= 1
    yield "augment.crop_ratio", augment.crop_ratio, "0 < low ≤ high", 0 < narrow <= wide
    yield "augment.flip", augment.flip, "from 0 to 1", 0 <= augment.flip <= 1
    yield "augment.jitter", augment.jitter, "from 0 to 1", 0 <= augment.jitter <= 1
    yield "augment.blur", augment.blur, "from 0 to 1", 0 <= augment.blur <= 1
    yield "augment.noise", augment.noise, "0 or more", augment.noise >= 0
    yield "augment.erase", augment.erase, "from 0 to 1", 0 <= augment.erase <= 1
    yield "augment.mixup", augment.mixup, "0 or more", augment.mixup >= 0
    yield "loss.ial_weight", loss.ial_weight, "0 or more", loss.ial_weight >= 0
    yield (
        "loss.label_smoothing",
        loss.label_smoothing,
        "from 0 to below 1",
        0 <= loss.label_smoothing < 1,
    )
    yield "loss.logit_adjustment", loss.logit_adjustment, "0 or more", loss.logit_adjustment >= 0
    yield "optim.epochs", optim.epochs, "1 or more", optim.epochs >= 1
    yield "optim.epoch_clips", optim.epoch_clips, "0 or more", optim.epoch_clips >= 0
    yield (
        "optim.warmup_epochs",
        optim.warmup_epochs,
        f"from 0 to optim.epochs ({optim.epochs})",
        0 <= optim.warmup_epochs <= optim.epochs,
    )
    yield "optim.accumulate", optim.accumulate, "1 or more", optim.accumulate >= 1
    yield (
        "optim.batch_size",
        optim.batch_size,
        f"a multiple of optim.accumulate ({optim.accumulate})",
        optim.batch_size >= 1 and optim.batch_size % max(optim.accumulate, 1) == 0,
    )
    yield "optim.lr", optim.lr, "above 0", optim.lr > 0
    yield "optim.min_lr", optim.min_lr, "from 0 to optim.lr", 0 <= optim.min_lr <= optim.lr
    yield "optim.weight_decay", optim.weight_decay, "0 or more", optim.weight_decay >= 0
    yield "optim.clip_norm", optim.clip_norm, "0 or more", optim.clip_norm >= 0
    yield "optim.ema", optim.ema, "from 0 to below 1", 0 <= optim.ema < 1
    yield "workers", c.workers, "0 or more", c.workers >= 0


def find_recipe(name: str) -> Path:
    """Return the YAML file of a recipe: a shipped one by its name, or any file by its path.

    Raises:
        InputError: neither a shipped recipe nor a file.
    """
    shipped = {Path(str(item)).stem: Path(str(item)) for item in _recipe_files()}
    if name in shipped:
        return shipped[name]
    if Path(name).is_file():
        return Path(name)
    raise InputError(f"no recipe {name!r}: name a YAML file or one of {', '.join(sorted(shipped))}")


def _recipe_files() -> list[Path]:
    folder = Path(str(files("m3dfel") / "recipes"))
    return sorted(folder.glob("*.yaml"))
