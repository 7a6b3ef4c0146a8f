"""Image networks of timm as backbones: `timm/<name>`, such as `timm/resnet18`.

timm (https://github.com/huggingface/pytorch-image-models) has about a thousand networks behind one
interface. Each reads the frames of an instance one by one; the features of the instance are their
mean, so motion is left to the aggregation.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from m3dfel.errors import InputError, needs_extra
from m3dfel.models.backbones import BACKBONES
from m3dfel.torchvision_compat import import_torchvision


@BACKBONES.register("timm")
class TimmBackbone(nn.Module):
    """Read each frame by an image network: (M, 3, t, H, W) → (M, F), the mean over t.

    The input is normalized as the network's own weights expect.

    Args:
        network: timm's name of the network.
        arguments: further arguments of `timm.create_model`, such as `{img_size: 112}` for vision
            transformers, which are built for one size of frame.

    Raises:
        InputError: timm is not installed, or knows no such network or arguments.
    """

    def __init__(self, network: str = "", *, arguments: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._create_arguments = (network, arguments or {})
        self.network: Any = self._create(pretrained=False)
        expected = self.network.pretrained_cfg
        self.mean, self.std = tuple(expected["mean"]), tuple(expected["std"])
        self.out_features = int(
            getattr(self.network, "head_hidden_size", 0) or self.network.num_features
        )

    def _create(self, pretrained: bool) -> Any:
        import_torchvision()  # timm imports it too
        with needs_extra("timm", "the backbones timm/… need timm"):
            import timm
        name, arguments = self._create_arguments
        try:
            return timm.create_model(name, pretrained=pretrained, num_classes=0, **arguments)
        except Exception as error:  # timm has no error of its own, and a download can fail any way
            action = "load timm's weights of" if pretrained else "create timm's network"
            raise InputError(
                f"cannot {action} {name!r} ({error}): write timm/<name>, with a name of "
                "timm.list_models()"
            ) from error

    def forward(self, instances: Float[Tensor, "M C t H W"]) -> Float[Tensor, "M F"]:
        frames = instances.transpose(1, 2)
        features: Tensor = self.network(frames.flatten(0, 1))
        return features.unflatten(0, frames.shape[:2]).mean(1)

    def load_pretrained(self) -> None:
        """Load timm's weights of the network, downloaded unless cached.

        Raises:
            InputError: the network has none, or they cannot be downloaded.
        """
        self.network.load_state_dict(self._create(pretrained=True).state_dict())
