"""M3DFEL: a clip as a bag of 3D instances under one weak label (Wang et al., CVPR 2023).

Clip → instances → backbone → aggregation → classifier. In M3DFEL itself the backbone is R3D and the
aggregation DLIAM; with other parts the same model is one of the methods it is compared with. Since
pooling and classifier are linear, the logits split exactly into what each instance contributes: the
evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from jaxtyping import Float, Int, Shaped, UInt8
from safetensors import safe_open
from safetensors.torch import load_model
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from m3dfel.emotions import EMOTIONS, parse_label_set
from m3dfel.errors import InputError
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.backbones import BACKBONES
from m3dfel.models.flow import MIN_FLOW_SIZE, add_flow_channels, optical_flow
from m3dfel.opencv import LUMINANCE


class M3DFEL(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="m3dfel",
    license="mit",
    pipeline_tag="video-classification",
    tags=["facial-expression-recognition", "video-classification"],
):
    """Recognize the emotion of a clip: uint8 (B, T, 3, S, S) → logits (B, classes).

    Wherever clips or instances go in, they are RGB pixels, uint8, or what `normalize` returned for
    them, float, for training that blends clips.

    `save_pretrained` writes the weights and a `config.json` with every argument below;
    `from_pretrained` reads them back.

    Args:
        labels: the label set, in the order of the logits.
        frames: T, frames per clip.
        size: S, height and width of a frame in pixels.
        bag_size: N, instances per clip; must divide `frames`.
        backbone: what encodes an instance: a name in `backbones.BACKBONES`, or a module that maps
            (M, 3, t, S, S) to (M, F) and has `out_features`. With `flow` it is given 5 channels.
        aggregation: what joins the instances of a bag: a name in `aggregations.AGGREGATIONS`, or a
            module like `models.aggregation.Aggregation`.
        backbone_options: options of a backbone given by name.
        aggregation_options: options of an aggregation given by name.
        mean: mean of the frames on which the backbone was trained, for each of RGB in 0 to 1; None
            for what the backbone expects.
        std: their standard deviation.
        zoom: magnification of the input relative to an aligned crop of a face: clips must be the
            middle 1/zoom of the width and height of such crops, S pixels a side.
        grayscale: replace color by luminance before the backbone.
        mirror: mirror every second instance of a bag left to right: both sides of a face are seen,
            at no cost, where averaging the answers for a clip and its mirror image doubles it.
        context: frames before and after an instance that the backbone sees as well, so that motion
            across the borders of instances is not lost; at its ends a clip repeats its last frame.
        min_confidence: the probability, from 0 to 1, that the most probable emotion must reach;
            below it the model is uncertain. Training can choose it on validation clips.
        motion: add to the logits a linear function of how much the features change within the bag,
            so that a moving face can mean something else than each of its frames alone. It is 0 at
            the start, and for a face that stands still always.
        movements: names of the movements that the model also estimates for each instance.
        reported_movements: those of them that are good enough to be shown; empty for all.
        movement_classifier: add to the logits what the movements within the bag say of the emotion,
            a linear function. It is 0 at the start, and for a face that stands still always.
        flow: let the backbone also see the optical flow (`models.flow`), for brief and faint
            movements. The first convolution gets two more channels, with weights of 0 at the start.

    Raises:
        InputError: a wrong label set, name, option or value.

    Example:
        >>> import torch
        >>> from m3dfel import M3DFEL
        >>> model = M3DFEL(size=32, backbone_options={"width": 8, "depth": 10}).eval()
        >>> clips = torch.randint(256, (2, 16, 3, 32, 32), dtype=torch.uint8)
        >>> model(clips).shape
        torch.Size([2, 7])
    """

    mean: Tensor
    std: Tensor
    luminance: Tensor

    def __init__(
        self,
        labels: Sequence[str] = EMOTIONS,
        frames: int = 16,
        size: int = 112,
        bag_size: int = 4,
        backbone: str | nn.Module = "r3d",
        aggregation: str | nn.Module = "dliam",
        backbone_options: Mapping[str, Any] | None = None,
        aggregation_options: Mapping[str, Any] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        zoom: float = 1.0,
        grayscale: bool = False,
        mirror: bool = False,
        context: int = 0,
        min_confidence: float = 0.5,
        motion: bool = False,
        movements: Sequence[str] = (),
        reported_movements: Sequence[str] = (),
        movement_classifier: bool = False,
        flow: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= bag_size <= frames or frames % bag_size:
            raise InputError(
                f"the bag size is {bag_size} but must divide the clip's {frames} frames"
            )
        if size < 1:
            raise InputError(f"the size is {size} but must be 1 pixel or more")
        if not 1 <= zoom <= 4:
            raise InputError(f"the zoom is {zoom} but must be from 1 to 4")
        if flow and size < MIN_FLOW_SIZE:
            raise InputError(
                f"the size is {size} but must be {MIN_FLOW_SIZE} pixels or more for optical flow"
            )
        if movement_classifier and not movements:
            raise InputError(
                "movement_classifier is true, but the model estimates no movements: learn some "
                "with loss.movements, or start from a model that knows some and train no part of "
                "its backbone"
            )
        if context < 0:
            raise InputError(f"the context is {context} but must be 0 frames or more")
        if not 0 <= min_confidence <= 1:
            raise InputError(f"min_confidence is {min_confidence} but must be from 0 to 1")
        seen = frames + 2 * context * bag_size
        if seen * size**2 > _MAX_PIXELS:
            raise InputError(
                f"clips of {frames} frames with {size} × {size} pixels and a context of {context} "
                "are too large: choose smaller ones"
            )
        self.labels = parse_label_set(labels)
        self.frames = frames
        self.size = size
        self.zoom = zoom
        self.bag_size = bag_size
        self.instance_length = frames // bag_size
        self.context = context
        self.encoded_length = self.instance_length + 2 * context
        self.grayscale = grayscale
        self.mirror = mirror
        self.min_confidence = min_confidence
        self._parts_have_names = isinstance(backbone, str) and isinstance(aggregation, str)
        self.backbone: Any = backbone
        if isinstance(backbone, str):
            self.backbone = BACKBONES.create(backbone, backbone_options or {})
        self.flow = flow
        if flow:
            add_flow_channels(self.backbone)
        self.aggregation: Any = aggregation
        if isinstance(aggregation, str):
            self.aggregation = AGGREGATIONS.create(
                aggregation, aggregation_options or {}, self.backbone.out_features, bag_size
            )
        self.classifier = nn.Linear(self.aggregation.out_features, len(self.labels))
        self.motion = None
        if motion:
            self.motion = nn.Linear(self.backbone.out_features, len(self.labels), bias=False)
            nn.init.zeros_(self.motion.weight)
        self.movements = tuple(movements)
        if self.movements:
            self.movement_head = nn.Linear(self.backbone.out_features, len(self.movements))
        reported = reported_movements or self.movements
        self.reported_movements = tuple(name for name in self.movements if name in reported)
        self.movement_classifier = None
        if movement_classifier:
            statistics = _STATISTICS * len(self.movements)
            self.movement_classifier = nn.Linear(statistics, len(self.labels))
            nn.init.zeros_(self.movement_classifier.weight)
            nn.init.zeros_(self.movement_classifier.bias)
        mean = mean or getattr(self.backbone, "mean", (0.0, 0.0, 0.0))
        std = std or getattr(self.backbone, "std", (1.0, 1.0, 1.0))
        for name, values in ("mean", mean), ("std", std), ("luminance", LUMINANCE):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that a model like this one is built from."""
        settings: Any = self._hub_mixin_config
        return dict(settings)

    def forward(self, clips: Shaped[Tensor, "B T 3 S S"]) -> Float[Tensor, "B classes"]:
        return self.fuse(self.instance_features(clips))

    def explain(
        self, clips: Shaped[Tensor, "B T 3 S S"]
    ) -> tuple[Float[Tensor, "B classes"], Float[Tensor, "B N classes"]]:
        """Return the logits of clips and the evidence of their instances."""
        return self.fuse_with_evidence(self.instance_features(clips))

    def instance_features(self, clips: Shaped[Tensor, "B T 3 S S"]) -> Float[Tensor, "B N F"]:
        """Cut clips into instances and encode each on its own."""
        numbers = torch.arange(self.bag_size, device=clips.device).repeat(len(clips))
        features = self.encode(self.cut(clips).flatten(0, 1), numbers)
        return features.unflatten(0, (-1, self.bag_size))

    def cut(
        self, clips: Shaped[Tensor, "B T 3 H W"]
    ) -> Shaped[Tensor, "B {self.bag_size} {self.encoded_length} 3 H W"]:
        """Cut clips into bags of instances: T / N consecutive frames each, with their context."""
        if clips.shape[1] != self.frames:
            raise InputError(
                f"the clips have {clips.shape[1]} frames but the model takes {self.frames}"
            )
        starts = torch.arange(0, self.frames, self.instance_length, device=clips.device)
        offsets = torch.arange(-self.context, self.instance_length + self.context).to(starts)
        return clips[:, (starts[:, None] + offsets).clamp(0, self.frames - 1)]

    def encode(
        self, instances: Shaped[Tensor, "M t 3 H W"], numbers: Int[Tensor, " M"]
    ) -> Float[Tensor, "M F"]:
        """Return the features of instances, on the model's device.

        Args:
            instances: of any clips or videos.
            numbers: the index of each in its clip or video, from 0; a model with `mirror` sees the
                odd ones mirrored left to right.
        """
        if self.mirror:
            odd = (numbers % 2 == 1).view(-1, 1, 1, 1, 1)
            instances = torch.where(odd, instances.flip(-1), instances)
        if instances.dtype == torch.uint8:
            instances = self.normalize(instances)
        if self.flow:
            gray = 255 * ((instances * self.std + self.mean) * self.luminance).sum(-3)
            instances = torch.cat([instances, optical_flow(gray)], dim=2)
        features: Tensor = self.backbone(instances.transpose(1, 2))
        return features

    def normalize(self, frames: UInt8[Tensor, "*clips 3 H W"]) -> Float[Tensor, "*clips 3 H W"]:
        """Turn pixels into the input of the backbone."""
        x = frames.to(self.mean) / 255
        if self.grayscale:
            x = (x * self.luminance).sum(-3, keepdim=True).expand(x.shape)
        return (x - self.mean) / self.std

    def estimate_movements(self, features: Float[Tensor, "... F"]) -> Float[Tensor, "... K"]:
        """Return how far each of the movements goes, about 0 to 1, from the features of instances.

        K is 0 for a model that has not learned any.
        """
        if not self.movements:
            return features[..., :0]
        estimates: Tensor = self.movement_head(features)
        return estimates

    def movement_statistics(self, features: Float[Tensor, "B N F"]) -> Float[Tensor, "B S"]:
        """Return the mean, the deviation and the change of each movement within a bag."""
        movements = self.estimate_movements(features)
        deviations = movements.std(1, correction=0)
        return torch.cat([movements.mean(1), deviations, change(movements)], 1)

    def fuse(self, features: Float[Tensor, "B N F"]) -> Float[Tensor, "B classes"]:
        """Join the instance features of each bag into logits."""
        return self._classify(self.aggregation(features), features)

    def fuse_with_evidence(
        self, features: Float[Tensor, "B N F"]
    ) -> tuple[Float[Tensor, "B classes"], Float[Tensor, "B N classes"]]:
        """Join the instance features of each bag, and split the logits by instance.

        Returns:
            The logits, and the evidence of each instance, which sums to the logits exactly: what
            belongs to no single instance, the biases and what motion says, is divided evenly.
        """
        related = self.aggregation.relate(features)
        logits = self._classify(self.aggregation.pooling(related), features)
        alone = self.aggregation.pooling.contributions(related) @ self.classifier.weight.T
        rest = logits - alone.sum(1)
        return logits, alone + rest.unsqueeze(1) / self.bag_size

    def _classify(
        self, bags: Float[Tensor, "B C"], features: Float[Tensor, "B N F"]
    ) -> Float[Tensor, "B classes"]:
        """Return the logits of joined bags, with what their motion says."""
        logits: Tensor = self.classifier(bags)
        if self.motion is not None:
            logits = logits + self.motion(change(features))
        if self.movement_classifier is not None:
            statistics = self.movement_statistics(features)
            changes = statistics[:, -len(self.movements) :].mean(1, keepdim=True)
            moving = (changes / _MOVING).clamp(max=1)
            logits = logits + moving * self.movement_classifier(statistics)
        return logits

    def _save_pretrained(self, save_directory: Path) -> None:
        if not self._parts_have_names:
            raise InputError(
                "a model built from a ready backbone or aggregation cannot be saved, since nobody "
                "could build it again: register the class (`BACKBONES.register(name)`) and give "
                "M3DFEL its name"
            )
        config: Any = self._hub_mixin_config
        config["min_confidence"] = self.min_confidence  # may have changed since the model was built
        super()._save_pretrained(save_directory)

    @classmethod
    def _from_pretrained(  # type: ignore[override]
        cls, *, model_id: str, map_location: str = "cpu", **options: Any
    ) -> M3DFEL:
        # Unlike the mixin's own it prints nothing, and never loads weights as a pickle.
        download = {name: options.pop(name) for name in _DOWNLOAD if name in options}
        file = Path(model_id, WEIGHTS)
        if not Path(model_id).is_dir():
            file = Path(hf_hub_download(model_id, WEIGHTS, **download))
        with _no_larger_than(file):
            model = cls(**options)
        try:
            load_model(model, file, device=map_location)
        except RuntimeError as error:
            raise _other_weights(file) from error
        return model.eval()


def change(features: Float[Tensor, "B N F"]) -> Float[Tensor, "B F"]:
    """Return how much features change from each instance to the second next, on average.

    The second next, since with `mirror` the next one shows the other side of the face. Their root
    is taken, for a little motion says much. All are 0 for a face that stands still, and in bags of
    one or two.
    """
    if features.shape[1] < 3:
        return torch.zeros_like(features[:, 0])
    change = (features[:, 2:] - features[:, :-2]).abs().mean(1)
    return (change + _LITTLE).sqrt() - torch.full_like(change, _LITTLE).sqrt()  # exactly 0 for 0


@contextmanager
def _no_larger_than(file: Path) -> Iterator[None]:
    """Refuse to build a model that the weights in a file cannot fill, before it takes memory."""
    with safe_open(file, framework="pt") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
    # Networks may create parts, such as a classifier, that are replaced before they are complete.
    left = 2 * sum(map(math.prod, shapes)) + 2**24
    thread = get_ident()

    def count(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal left
        if get_ident() == thread:
            left -= parameter.numel()
            if left < 0:
                raise _other_weights(file)

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _other_weights(file: Path) -> InputError:
    return InputError(f"{file.name} has the weights of another model than it describes")


_STATISTICS = 3  # of each movement, see `movement_statistics`
_MOVING = 0.05  # the change of movements from which a face counts as moving
_LITTLE = 1e-3  # keeps the slope of the root finite
_MAX_PIXELS = 2**28  # of a clip; 3 GB as the input of a backbone
WEIGHTS = "model.safetensors"
# Options of the hub's library, also of its older versions; all others are arguments of the model.
_DOWNLOAD = (
    *("revision", "cache_dir", "force_download", "local_files_only", "token"),
    *("proxies", "resume_download"),
)
