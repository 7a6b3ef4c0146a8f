"""Aggregations, one file each: what joins the instances of a bag into one vector.

Each is a class with a constructor `(features, bag_size, *, options…)`, entered in the table by
`@AGGREGATIONS.register(name)`; see `m3dfel.models.aggregation.Aggregation`.
"""

from __future__ import annotations

from typing import Any

from m3dfel.registry import Registry

AGGREGATIONS: Registry[Any] = Registry("aggregation", __name__)
"""The aggregations, by name."""
