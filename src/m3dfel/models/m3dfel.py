"""M3DFEL: a clip as a bag of 3D instances under one weak label (Wang et al., CVPR 2023).

The way is clip → instances → backbone → aggregation → classifier; in M3DFEL itself the backbone is
R3D and the aggregation DLIAM, and with other choices the same way leads to the methods it is
compared with. Since pooling and classifier are linear, the logits split exactly into what each
instance says: the evidence.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from m3dfel.emotions import EMOTIONS, parse_label_set
from m3dfel.errors import InputError
from m3dfel.models.aggregations.aggregation import Aggregation
from m3dfel.models.aggregations.dliam import DLIAM
from m3dfel.models.aggregations.lstm import LSTMAggregation
from m3dfel.models.aggregations.transformer import TransformerAggregation
from m3dfel.models.backbones.video_resnet import Backbone, normalization

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
        backbone: what reads an instance: `r3d`, `r2plus1d`, `mc3`, or `resnet`, frame by frame.
        aggregation: what joins a bag's instances: `dliam`, `lstm`, `transformer`, or a pooling of
            their features alone: `mean`, `max`, `attention`.
        bilstm: of DLIAM; these four are for ablations.
        mhsa: of DLIAM.
        norm: of DLIAM.
        pooling: of DLIAM.
        mean: of the frames on which the backbone was trained, for each of RGB, in 0 to 1; None for
            those that the backbone's pretrained weights expect.
        std: their standard deviation.
        zoom: how much closer than an aligned crop of a face the model looks. Whoever makes its
            clips gives it the middle 1/zoom of the crop's width and height, S pixels a side.
        grayscale: replace colour by luminance before the backbone.
        unbiased: DMIN's variances as in the published code, not as in the paper.

    Raises:
        InputError: labels, bag size, or parts that cannot be.
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
        backbone: str = "r3d",
        aggregation: str = "dliam",
        bilstm: bool = True,
        mhsa: bool = True,
        norm: str = "dmin",
        pooling: str = "conv1d",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
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
        self.backbone = Backbone(backbone, width, depth)
        features = self.backbone.out_features
        self.aggregation: Aggregation
        if aggregation == "dliam":
            self.aggregation = DLIAM(features, bag_size, bilstm, mhsa, norm, pooling, unbiased)
        elif aggregation == "lstm":
            self.aggregation = LSTMAggregation(features, bag_size)
        elif aggregation == "transformer":
            self.aggregation = TransformerAggregation(features, bag_size)
        elif aggregation in ("mean", "max", "attention"):
            self.aggregation = Aggregation(features, bag_size, aggregation)
        else:
            raise InputError(
                f"the aggregation is {aggregation!r} but must be dliam, lstm, transformer, mean, "
                "max or attention"
            )
        self.classifier = nn.Linear(self.aggregation.out_features, len(self.labels))
        usual = normalization(backbone)
        mean, std = mean or usual[0], std or usual[1]
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
        """Return the logits and the evidence of each instance, as `fuse_explained` does.

        Args:
            clips: (B, T, 3, H, W), normalized.
        """
        return self.fuse_explained(self.instance_features(clips))

    def fuse_explained(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Join a bag's instance features (B, N, F), and tell what each instance adds.

        Returns:
            The logits (B, classes), and the evidence of each instance (B, N, classes), which sums
            to the logits exactly: what belongs to no instance, the biases, is shared out evenly.
        """
        related = self.aggregation.relate(features)
        logits = self.classifier(self.aggregation.pooling(related))
        alone = self.aggregation.pooling.contributions(related) @ self.classifier.weight.T
        rest = logits - alone.sum(1)
        return logits, alone + rest.unsqueeze(1) / self.bag_size
