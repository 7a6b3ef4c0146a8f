"""The settings of a training run.

`TrainConfig` is filled by recipes (YAML files) and the command line; each type carries the range of
its values, and `config.checks.check` also checks how settings fit together. The defaults are the
paper's training protocol on DFEW (Wang et al., CVPR 2023) with the intensity-aware loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from m3dfel.config.ranges import (
    BelowOne,
    Fraction,
    FrameSize,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    UnitInterval,
    Zoom,
)
from m3dfel.emotions import EMOTIONS


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
            on `fold`; `identity` for one fold per identity; 0 for the data's own splits.
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
    folds: NonNegativeInt | Literal["identity"] = 0
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

    @property
    def official_fold(self) -> int:
        """The official fold to read: the first if the data are split anew, since any will do."""
        return 1 if self.folds else self.fold


@dataclass
class ModelConfig:
    """The network.

    A setting that is not given is that of the trained model in `weights` if there is one, else that
    of the published network: 16 frames of 112×112 pixels, 4 instances, R3D-18 and DLIAM.

    Attributes:
        weights: initial weights: `pretrained` (published ones of the backbone: for the video
            networks Kinetics-400, for image networks ImageNet), `none` (random), or a trained model
            (`bundled`, a folder, a run, a file, or a name on the hub), of which everything that
            fits is used.
        frames: frames per clip.
        size: height and width of a frame in pixels.
        zoom: magnification of the input: the model sees the middle 1/zoom of the width and height
            of the pictures it is given.
        bag_size: 3D instances per clip; must divide `frames`.
        backbone: what encodes an instance, by name; the end of this help lists the names.
        backbone_options: options of the backbone, such as `{width: 32, depth: 10}`.
        aggregation: what joins the instances of a bag, by name; the end of this help lists the
            names. Naming one resets `aggregation_options`.
        aggregation_options: options of the aggregation, such as `{norm: layer}`.
        grayscale: look at luminance only, for models that must not depend on color.
        mirror: mirror every second instance of a bag left to right, so that the model sees both
            sides of a face.
        context: frames before and after each instance that the backbone encodes as well, so that
            instances overlap.
        movements: names of the movements that the model estimates for each instance, such as
            `[jawOpen, mouthSmile]`; not given, those of the model in `weights`, or all that
            `loss.movements` learns. None if the backbone learns, but not they.
        reported_movements: those of them that are good enough to be shown; not given, those of the
            model in `weights`, or all if `movements` is given.
        movement_classifier: let the logits also depend on the movements within a bag, of faces that
            move; not given, as in the model in `weights`, if neither the backbone nor the movements
            learn. If `optim.parts` is empty or names it, it learns after the last epoch, from
            people who show several emotions each (column `identity`).
        motion: let the logits also depend on how much the features change within a bag, from 0 at
            the start; for a face that stands still, nothing changes.
        flow: let the backbone also see the optical flow, for brief and faint movements; its weights
            are 0 at the start.
    """

    weights: str = "pretrained"
    frames: PositiveInt | None = None
    size: FrameSize | None = None
    zoom: Zoom | None = None
    bag_size: PositiveInt | None = None
    backbone: str | None = None
    backbone_options: dict[str, Any] | None = None
    aggregation: str | None = None
    aggregation_options: dict[str, Any] | None = None
    grayscale: bool | None = None
    mirror: bool | None = None
    context: NonNegativeInt | None = None
    movements: list[str] | None = None
    reported_movements: list[str] | None = None
    movement_classifier: bool | None = None
    motion: bool | None = None
    flow: bool | None = None


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

    crop_scale: tuple[Fraction, Fraction] = (0.08, 1.0)
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
        movements: weight of learning also what moves in the faces, from the tables that `m3dfel
            data movements` makes; 0 learns the emotion alone.
    """

    ial_weight: NonNegativeFloat = 0.1
    label_smoothing: BelowOne = 0.1
    votes: bool = False
    movements: NonNegativeFloat = 0.0


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
        keep: fraction of the initial weights in those that are evaluated and saved, from 0 to below
            1, so that a model that learns from new data forgets less (Wortsman et al., "Robust
            fine-tuning of zero-shot models", CVPR 2022).
        parts: the parts of the model that learn, such as `[backbone.4, aggregation,
            classifier]`; the others keep the weights they start from. Empty for all.
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
    keep: BelowOne = 0.0
    parts: list[str] = field(default_factory=list)

    def trains(self, part: str) -> bool:
        """Return whether a part of the model such as `backbone` learns, or some of it."""
        return not self.parts or part in {name.split(".")[0] for name in self.parts}


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
        stages: cheaper epochs that come first, each from the weights of the one before, such as
            `[{model.frames: 1, model.bag_size: 1, optim.epochs: 12}]`: what differs from the run
            itself, which continues from their weights. Smaller frames (`model.size`) train faster,
            too (Tan and Le, "EfficientNetV2", ICML 2021).
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
    stages: list[dict[str, Any]] = field(default_factory=list)
    select_metric: Literal["war", "uar", "mean"] = "war"
    target_accuracy: UnitInterval = 0.0
    test_every_epoch: bool = False
    seed: NonNegativeInt = 0
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    workers: NonNegativeInt = 4
