"""M3DFEL: a clip as a bag of 3D instances under one weak label (Wang et al., CVPR 2023).

The way is clip → instances → R3D → DLIAM → classifier. Since the aggregation and the classifier
are linear, the logits split exactly into what each instance says: the evidence.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from m3dfel.emotions import EMOTIONS, parse_label_set
from m3dfel.errors import InputError
from m3dfel.models.backbone import R3D
from m3dfel.models.dliam import DLIAM, MeanAggregation

KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


class M3DFEL(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="m3dfel",
    license="mit",
    tags=["facial-expression-recognition", "video-classification"],
):
    """Recognise the emotion of a clip: float (B, T, 3, S, S) → logits (B, classes).

    `save_pretrained` writes the weights and a `config.json` with every argument below;
    `from_pretrained` reads them back.

    Args:
        labels: the label set, in the order of the logits.
        frames: T, frames a clip.
        size: S, height and width of a frame in pixels.
        bag_size: N, instances a clip; must divide `frames`.
        width: channels of the backbone's first stage.
        depth: of the backbone, 18 or 10.
        aggregation: what joins a bag's instances: `dliam`, or `mean`, the mean of their features.
        mean: of the frames on which the backbone was trained, for each of RGB, in 0 to 1.
        std: their standard deviation.
        zoom: how much closer than an aligned crop of a face the model looks. Whoever makes its
            clips gives it the middle 1/zoom of the crop's width and height, S pixels a side.
        grayscale: replace colour by luminance before the backbone.
        unbiased: DMIN's variances as in the published code, not as in the paper.

    Raises:
        InputError: labels, bag size, depth or aggregation that cannot be.
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
        width: int = 64,
        depth: int = 18,
        aggregation: str = "dliam",
        mean: Sequence[float] = KINETICS_MEAN,
        std: Sequence[float] = KINETICS_STD,
        zoom: float = 1.0,
        grayscale: bool = False,
        unbiased: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= bag_size <= frames or frames % bag_size:
            raise InputError(
                f"the bag size is {bag_size} but must divide the clip's {frames} frames"
            )
        self.labels = parse_label_set(labels)
        self.frames = frames
        self.size = size
        self.zoom = zoom
        self.bag_size = bag_size
        self.instance_length = frames // bag_size
        self.grayscale = grayscale
        self.backbone = R3D(width, depth)
        self.aggregation: DLIAM | MeanAggregation
        if aggregation == "dliam":
            self.aggregation = DLIAM(self.backbone.out_features, bag_size, unbiased=unbiased)
        elif aggregation == "mean":
            self.aggregation = MeanAggregation(self.backbone.out_features)
        else:
            raise InputError(f"the aggregation is {aggregation!r} but must be dliam or mean")
        self.classifier = nn.Linear(self.aggregation.out_features, len(self.labels))
        for name, values in ("mean", mean), ("std", std), ("luminance", LUMINANCE):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, clips: Tensor) -> Tensor:
        return self.fuse(self.instance_features(clips))

    def normalize(self, frames: Tensor) -> Tensor:
        """Turn pixels into the network's input: uint8 (…, 3, H, W) → float32 of that shape."""
        x = frames.to(self.mean) / 255
        if self.grayscale:
            x = (x * self.luminance).sum(-3, keepdim=True).expand(x.shape)
        return (x - self.mean) / self.std

    def cut(self, clips: Tensor) -> Tensor:
        """Cut clips along time into instances: (B, T, 3, H, W) → (B·N, 3, T/N, H, W)."""
        bags = torch.unflatten(clips, 1, (self.bag_size, self.instance_length))
        return bags.flatten(0, 1).transpose(1, 2)

    def instance_features(self, clips: Tensor) -> Tensor:
        """Read every instance by itself: (B, T, 3, H, W) → (B, N, F)."""
        return torch.unflatten(self.backbone(self.cut(clips)), 0, (-1, self.bag_size))

    def fuse(self, features: Tensor) -> Tensor:
        """Join a bag's instance features: (B, N, F) → logits (B, classes)."""
        logits: Tensor = self.classifier(self.aggregation(features))
        return logits

    def explain(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and the evidence of each instance.

        Args:
            clips: (B, T, 3, H, W), normalized.

        Returns:
            The logits (B, classes), and what each instance adds to them (B, N, classes). Over the
            instances the evidence sums to the logits less a constant of the model.
        """
        features = self.instance_features(clips)
        evidence = self.aggregation.contributions(features) @ self.classifier.weight.T
        return self.fuse(features), evidence
