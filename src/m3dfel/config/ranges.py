"""Numbers with a range, as types of settings and options.

To Python they are plain numbers. The command line checks the ranges of options that have such a
type, `out_of_range` those of a dataclass of settings.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import TypeAdapter, ValidationError

from m3dfel.errors import wrong_value

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PositiveInt: TypeAlias = Annotated[int, Gt(0)]
NonNegativeInt: TypeAlias = Annotated[int, Ge(0)]
FrameSize: TypeAlias = Annotated[int, Ge(16)]
PositiveFloat: TypeAlias = Annotated[float, Gt(0), Lt(math.inf)]
NonNegativeFloat: TypeAlias = Annotated[float, Ge(0), Lt(math.inf)]
UnitInterval: TypeAlias = Annotated[float, Ge(0), Le(1)]
BelowOne: TypeAlias = Annotated[float, Ge(0), Lt(1)]
Fraction: TypeAlias = Annotated[float, Gt(0), Le(1)]
JPEGQuality: TypeAlias = Annotated[int, Ge(1), Le(100)]
Zoom: TypeAlias = Annotated[float, Ge(1), Le(4)]


def out_of_range(settings: DataclassInstance) -> list[str]:
    """Return a sentence for each setting that its type does not allow."""
    types = _types(type(settings))
    sentences = []
    for name, value in asdict(settings).items():
        try:
            types[name].validate_python(value)
        except ValidationError as error:
            for problem in error.errors():
                sentences.append(wrong_value(".".join(map(str, (name, *problem["loc"]))), problem))
    return sentences


@cache
def _types(settings: type[DataclassInstance]) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(settings, include_extras=True)
    return {name: TypeAdapter(hint) for name, hint in hints.items()}
