"""Training configuration: settings, their checks, and the recipes that ship with the package."""

from m3dfel.config.parsing import from_settings, read_recipe, with_overrides
from m3dfel.config.recipes import find_recipe, recipes
from m3dfel.config.settings import (
    AugmentConfig,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
)

__all__ = [
    "AugmentConfig",
    "DataConfig",
    "LossConfig",
    "ModelConfig",
    "OptimConfig",
    "TrainConfig",
    "find_recipe",
    "from_settings",
    "read_recipe",
    "recipes",
    "with_overrides",
]
