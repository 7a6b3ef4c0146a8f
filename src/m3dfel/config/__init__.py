"""Training configuration and the recipes that ship with the package.

A run is described by `TrainConfig`, filled by YAML recipes (in `recipes/`) and the command line.
Types carry the range of each number; `check` also checks how settings fit together, before any long
work starts. The defaults are the paper's training protocol on DFEW (Wang et al., CVPR 2023) with
the intensity-aware loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser

from m3dfel.emotions import EMOTIONS, parse_label_set
from m3dfel.errors import InputError
from m3dfel.ranges import (
    REQUIREMENTS,
    BelowOne,
    FoldCount,
    FrameSize,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
    UnitInterval,
    Zoom,
    explain,
)

Precision: TypeAlias = Literal["32-true", "16-mixed", "bf16-mixed"]


@dataclass
class DataConfig:
    """The clips to learn from.

    Attributes:
        path: root folder of DFEW, FERV39k or MAFW, a packed store, a CSV or text manifest, a folder
            of class folders, or the drawn faces that ship with the package: `synthetic`,
            `synthetic-brief` (most frames do not show the emotion) or `synthetic-uneven` (classes
            as rare as DFEW's). A list of paths trains on all of them in one run.
        mixing_weights: how often training draws from each of several data sets, such as `[2, 1]`
            for two of three clips from the first; empty to draw from all their clips as from one
            data set.
        fold: the fold to test on, from 1: an official fold of the data set, or one of `folds`.
        folds: split data without official folds into this many, with no identity in two, and test
            on `fold`; 0 for the data's own splits.
        labels: the label set, in the order of the model's outputs.
        val_fraction: fraction of the training clips held out, by identity where known, to choose
            the best epoch; used only for data sets without a validation split of their own. 0 for
            none.
        balance: how evenly training draws the classes, from 0 (as they occur) to 1 (evenly).
        prior_correction: fraction of the balance that is undone in the answers of the best model
            after training, from 0 to 1 (post-hoc logit adjustment, Menon et al., ICLR 2021): 0
            answers as if the classes were as even as training drew them, 1 as uneven as they are.
        neutral_probability: stills only: probability that the clip of an expressive picture also
            shows neutral frames of the same person.
        window_s: seconds of a video that the model's frames are spread over: a random part of it in
            training; in evaluation, the mean over up to four parts. 0.64 is what `m3dfel predict`
            reads at once. 0 for the whole video, as published.
    """

    path: str | list[str] = ""
    mixing_weights: list[PositiveFloat] = field(default_factory=list)
    fold: PositiveInt = 1
    folds: FoldCount = 0
    labels: list[str] = field(default_factory=lambda: list(EMOTIONS))
    val_fraction: BelowOne = 0.1
    balance: UnitInterval = 0.0
    prior_correction: UnitInterval = 0.0
    neutral_probability: UnitInterval = 0.5
    window_s: NonNegativeFloat = 0.0

    @property
    def paths(self) -> list[str]:
        """The path of each data set."""
        return [self.path] if isinstance(self.path, str) else self.path


@dataclass
class ModelConfig:
    """The network; the defaults are the published one.

    Attributes:
        weights: initial weights of the backbone: `pretrained` (published ones: for the video
            networks Kinetics-400, for image networks ImageNet), `none` (random), or a trained model
            (its folder, run or file), of which everything that fits is used.
        frames: frames per clip.
        size: height and width of a frame in pixels.
        zoom: magnification of the input: the model sees the middle 1/zoom of the width and height
            of the pictures it is given.
        bag_size: 3D instances per clip; must divide `frames`.
        backbone: what reads an instance, by name; the end of this help lists the names.
        backbone_options: options of the backbone, such as `{width: 32, depth: 10}`.
        aggregation: what joins the instances of a bag, by name; the end of this help lists the
            names. Naming one resets `aggregation_options`.
        aggregation_options: options of the aggregation, such as `{norm: layer}`.
        grayscale: look at luminance only, for models that must not depend on color.
        mirror: mirror every second instance of a bag left to right, so that the model sees both
            sides of a face.
        context: frames before and after each instance that the backbone reads as well, so that
            instances overlap.
    """

    weights: str = "pretrained"
    frames: PositiveInt = 16
    size: FrameSize = 112
    zoom: Zoom = 1.0
    bag_size: PositiveInt = 4
    backbone: str = "r3d"
    backbone_options: dict[str, Any] = field(default_factory=dict)
    aggregation: str = "dliam"
    aggregation_options: dict[str, Any] = field(default_factory=dict)
    grayscale: bool = False
    mirror: bool = False
    context: NonNegativeInt = 0


@dataclass
class AugmentConfig:
    """Random changes of a training clip, each drawn once and applied to all its frames.

    Attributes:
        crop_scale: smallest and largest fraction of the picture's area that the random crop keeps,
            whatever the model's zoom.
        crop_ratio: smallest and largest aspect ratio (width / height) of that crop.
        flip: probability of a horizontal flip.
        jitter: strength of the color jitter in brightness, contrast, saturation and hue.
        blur: probability that the clip is shrunk and enlarged again, to look like small faces.
        compress: probability that the clip is compressed, as videos are.
        noise: largest standard deviation of camera noise, in gray levels of 0 to 255.
        erase: probability that a random rectangle is blanked.
        mixup: α of mixup (Zhang et al., ICLR 2018), which blends pairs of clips and their losses; 0
            turns it off.
    """

    crop_scale: tuple[Share, Share] = (0.08, 1.0)
    crop_ratio: tuple[PositiveFloat, PositiveFloat] = (0.75, 4 / 3)
    flip: UnitInterval = 0.5
    jitter: UnitInterval = 0.4
    blur: UnitInterval = 0.0
    compress: UnitInterval = 0.0
    noise: NonNegativeFloat = 0.0
    erase: UnitInterval = 0.0
    mixup: NonNegativeFloat = 0.0


@dataclass
class LossConfig:
    """Cross entropy plus intensity-aware loss.

    Attributes:
        ial_weight: λ of the intensity-aware loss; 0 turns it off.
        label_smoothing: label smoothing of the cross entropy.
        votes: the targets are the votes of annotators, where the data have them, not the labels.
    """

    ial_weight: NonNegativeFloat = 0.1
    label_smoothing: BelowOne = 0.1
    votes: bool = False


@dataclass
class OptimConfig:
    """AdamW with a linear warm-up from 0, then a cosine.

    Attributes:
        epochs: passes over the training clips, including the warm-up.
        epoch_clips: clips drawn per epoch, for short epochs; 0 for all of them.
        warmup_epochs: epochs of linear warm-up.
        batch_size: clips per step, over all processes and accumulated parts together.
        accumulate: parts that a batch is split into to fit the memory.
        lr: learning rate after the warm-up.
        min_lr: learning rate at the end of the cosine.
        weight_decay: weight decay of AdamW.
        clip_norm: largest norm of the gradient; 0 for no clipping.
        ema: decay of an exponential moving average of the weights, which is then what is evaluated
            and saved; 0 for none.
    """

    epochs: PositiveInt = 300
    epoch_clips: NonNegativeInt = 0
    warmup_epochs: NonNegativeInt = 20
    batch_size: PositiveInt = 256
    accumulate: PositiveInt = 1
    lr: PositiveFloat = 5e-4
    min_lr: NonNegativeFloat = 5e-6
    weight_decay: NonNegativeFloat = 0.05
    clip_norm: NonNegativeFloat = 0.0
    ema: BelowOne = 0.0


@dataclass
class Stage:
    """Cheaper epochs on smaller clips that come first; the run continues from their weights.

    Attributes:
        frames: frames per clip.
        bag_size: instances per clip.
        epochs: passes over the training clips.
        lr: learning rate after the warm-up.
        path: other data to learn from first, in their own splits; as in `DataConfig`.
        aggregation: another aggregation, without options; the model's own if not given.
        epoch_clips: as in `OptimConfig`.
        balance: as in `DataConfig`.
        neutral_probability: as in `DataConfig`.
        size: height and width of a frame in pixels; the model's own if not given. Smaller frames
            train faster, and the next stage takes over what they taught (Tan and Le,
            "EfficientNetV2", ICML 2021).
        precision: as in `TrainConfig`; the run's own if not given.
    """

    frames: PositiveInt
    bag_size: PositiveInt
    epochs: PositiveInt
    lr: PositiveFloat
    path: str = ""
    aggregation: str | None = None
    epoch_clips: NonNegativeInt = 0
    balance: UnitInterval = 0.0
    neutral_probability: UnitInterval = 0.0
    size: FrameSize | None = None
    precision: Precision | None = None


@dataclass
class TrainConfig:
    """A whole training run.

    Attributes:
        output: the folder of the run: configuration, log, checkpoints, results.
        data: the clips to learn from.
        model: the network.
        augment: random changes of the training clips.
        loss: what is minimized.
        optim: how it is minimized.
        stages: what is trained first, in this order.
        select_metric: what decides which epoch is best on validation clips: `war`, `uar`, or
            `mean`, the mean of both, for data so uneven that either alone is blind to half of the
            classes.
        target_accuracy: fraction of the answers on the validation clips that must be right. The
            model says `uncertain` below the smallest confidence with which they are; 0 leaves it
            at 0.5.
        test_every_epoch: also measure the test split after every epoch, to report the best epoch on
            test beside the others, as published code does. It never decides anything.
        seed: the only source of randomness.
        precision: number format, in the words of Lightning Fabric.
        accelerator: kind of device, in the words of Lightning Fabric.
        workers: processes that read clips, per training process.
        compile: compile the network with `torch.compile` before training, which takes half a minute
            or more and pays in long runs. Needs a C++ compiler on a CPU, Triton on a GPU.

    Example:
        >>> from m3dfel import TrainConfig
        >>> config = TrainConfig(output="runs/first")
        >>> config.data.path = "synthetic"
        >>> config.optim.epochs
        300
    """

    output: str = ""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    stages: list[Stage] = field(default_factory=list)
    select_metric: Literal["war", "uar", "mean"] = "war"
    target_accuracy: UnitInterval = 0.0
    test_every_epoch: bool = False
    seed: NonNegativeInt = 0
    precision: Precision = "32-true"
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    workers: NonNegativeInt = 4
    compile: bool = False


def from_settings(settings: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration that nested settings, as in a recipe, describe; `check` is not run.

    Raises:
        InputError: an unknown setting, or a value of the wrong type.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainConfig)
    try:
        return TrainConfig(**parser.instantiate(parser.parse_object(dict(settings))).as_dict())
    except ArgumentError as error:
        raise InputError(f"wrong configuration: {explain(error)}") from error


def with_overrides(config: TrainConfig, overrides: Mapping[str, Any]) -> TrainConfig:
    """Return a copy of a configuration with some settings replaced.

    Args:
        config: the original.
        overrides: from dotted name, such as `model.bag_size`, to the new value. A part's option is
            named after its mapping: `model.aggregation_options.norm`. Naming an aggregation resets
            its options.

    Raises:
        InputError: an unknown setting, or a value of the wrong type.
    """
    settings = asdict(config)
    if "model.aggregation" in overrides:
        settings["model"]["aggregation_options"] = {}
    for name, value in overrides.items():
        *groups, last = name.split(".")
        group: Any = settings
        for part in groups:
            group = group.get(part) if isinstance(group, dict) else None
        is_option = groups[-1:] != [] and groups[-1].endswith("_options")
        is_setting = isinstance(group, dict) and last in group and last not in _GROUPS
        if not isinstance(group, dict) or not (is_option or is_setting):
            raise InputError(f"no setting {name!r}: `m3dfel train --help` explains all of them")
        group[last] = value
    return from_settings(settings)


_GROUPS = ("data", "model", "augment", "loss", "optim")


def previous_stage(config: TrainConfig) -> TrainConfig | None:
    """Return the run that is trained before this one, which starts from its weights, if any.

    It is the last of the stages, with the earlier ones as its own; its folder is inside the run's.
    """
    if not config.stages:
        return None
    *earlier, stage = config.stages
    data = replace(
        config.data,
        balance=stage.balance,
        prior_correction=0.0,
        neutral_probability=stage.neutral_probability,
    )
    if stage.path:
        data = replace(data, path=stage.path, mixing_weights=[], folds=0, fold=1)
    model = replace(
        config.model,
        frames=stage.frames,
        bag_size=stage.bag_size,
        size=stage.size or config.model.size,
        # Around a single instance, there is nothing else to see.
        context=config.model.context if stage.bag_size > 1 else 0,
    )
    if stage.aggregation:
        model = replace(model, aggregation=stage.aggregation, aggregation_options={})
    return replace(
        config,
        output=str(Path(config.output) / f"stage-{len(config.stages)}"),
        data=data,
        model=model,
        target_accuracy=0.0,
        optim=replace(
            config.optim,
            epochs=stage.epochs,
            epoch_clips=stage.epoch_clips,
            lr=stage.lr,
            warmup_epochs=min(config.optim.warmup_epochs, stage.epochs),
        ),
        stages=earlier,
        precision=stage.precision or config.precision,
    )


def check(config: TrainConfig) -> None:
    """Check every setting of a run, including its stages.

    Raises:
        InputError: naming every wrong setting, its value and what it must be.
    """
    problems = [*out_of_range(config), *_contradictions(config)]
    try:
        _check_labels(config.data.labels)
    except InputError as error:
        problems.append(str(error))
    if problems:
        raise InputError("wrong configuration: " + "; ".join(problems))
    earlier = previous_stage(config)
    if earlier:
        try:
            check(earlier)
        except InputError as error:
            raise InputError(f"stage {len(config.stages)}: {error}") from error


def _check_labels(labels: list[str]) -> None:
    expected = list(parse_label_set(labels))
    if labels != expected:
        raise InputError(f"data.labels is {labels} but must be written {expected}")


def out_of_range(settings: Any, prefix: str = "") -> Iterator[str]:
    """Yield a problem for each setting whose value its type does not allow."""
    types = get_type_hints(type(settings))
    for setting in fields(settings):
        name, value = prefix + setting.name, getattr(settings, setting.name)
        expected = types[setting.name]
        if is_dataclass(value):
            yield from out_of_range(value, f"{name}.")
        elif get_origin(expected) is Literal and value not in get_args(expected):
            yield f"{name} is {value!r} but must be one of {', '.join(get_args(expected))}"
        elif get_origin(expected) is list and get_args(expected)[0] in REQUIREMENTS:
            kind = get_args(expected)[0]
            if not all(_allows(kind, number) for number in value):
                yield f"{name} is {value!r} but each must be {REQUIREMENTS[kind]}"
        elif get_origin(expected) is tuple:
            pairs = zip(get_args(expected), value, strict=True)
            if not all(_allows(kind, number) for kind, number in pairs):
                requirement = REQUIREMENTS[get_args(expected)[0]]
                yield f"{name} is {value!r} but both must be {requirement}"
        elif expected in REQUIREMENTS and not _allows(expected, value):
            yield f"{name} is {value!r} but must be {REQUIREMENTS[expected]}"


def _allows(kind: Any, value: Any) -> bool:
    try:
        kind(value)
    except (ValueError, TypeError):
        return False
    return True


def _contradictions(config: TrainConfig) -> Iterator[str]:
    """Yield a problem for each pair of settings that do not fit together."""
    data, model, augment, optim = config.data, config.model, config.augment, config.optim
    if not config.output:
        yield "output is '' but must be a folder for the run"
    if not data.paths or not all(data.paths):
        yield f"data.path is {data.path!r} but must be a data set, a manifest or `synthetic`"
    if data.mixing_weights and len(data.mixing_weights) != len(data.paths):
        yield (
            f"data.mixing_weights is {data.mixing_weights} but must be one number for each path of "
            "data.path"
        )
    if data.folds and data.fold > data.folds:
        yield f"data.fold is {data.fold} but must be 1 to {data.folds} (data.folds)"
    if model.bag_size > 0 and model.frames % model.bag_size:
        yield (
            f"model.bag_size is {model.bag_size} but must be a divisor of model.frames "
            f"({model.frames})"
        )
    if model.context and model.bag_size == 1:
        yield (
            f"model.context is {model.context} but must be 0 if model.bag_size is 1: around a "
            "single instance, there is nothing else to see"
        )
    for name, pair in ("crop_scale", augment.crop_scale), ("crop_ratio", augment.crop_ratio):
        if pair[0] > pair[1]:
            yield f"augment.{name} is {pair!r} but the first must not exceed the second"
    if optim.warmup_epochs > optim.epochs:
        yield (
            f"optim.warmup_epochs is {optim.warmup_epochs} but must be at most optim.epochs "
            f"({optim.epochs})"
        )
    if optim.accumulate > 0 and optim.batch_size % optim.accumulate:
        yield (
            f"optim.batch_size is {optim.batch_size} but must be a multiple of optim.accumulate "
            f"({optim.accumulate})"
        )
    if optim.min_lr > optim.lr:
        yield f"optim.min_lr is {optim.min_lr} but must be at most optim.lr ({optim.lr})"


def find_recipe(name: str) -> Path:
    """Return the YAML file of a recipe: a shipped one by its name, or any file by its path.

    Raises:
        InputError: neither a shipped recipe nor a file.
    """
    shipped = recipes()
    if name in shipped:
        return shipped[name]
    if Path(name).is_file():
        return Path(name)
    raise InputError(f"no recipe {name!r}: give a YAML file or one of {', '.join(shipped)}")


def recipes() -> dict[str, Path]:
    """Return the recipes that ship with the package: name to YAML file, sorted by name."""
    folder = Path(str(files("m3dfel") / "config" / "recipes"))
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}
