"""Backbones, one file each: what encodes one instance, the strong short-term motion.

Each is an `nn.Module` that maps `(M, 3, t, H, W)` to `(M, F)`, with a constructor
`(*, options…)` and the attributes `out_features` (F), `mean` and `std` (the normalization of its
input, for each of RGB in 0 to 1), entered in the table by `@BACKBONES.register(name)`. One that
has published weights fills itself with them in `load_pretrained()`.
"""

from __future__ import annotations

from typing import Any

from m3dfel.registry import Registry

BACKBONES: Registry[Any] = Registry("backbone", __name__)
"""The backbones, by name."""
