"""Numbers with a range, as types of settings, and what is wrong with a value in plain words.

The command line and recipes check the range when they read a value, `config.check` checks it in
configurations made in Python. To type checkers they are plain numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from jsonargparse import ArgumentError
from jsonargparse.typing import restricted_number_type

if TYPE_CHECKING:
    PositiveInt: TypeAlias = int
    NonNegativeInt: TypeAlias = int
    FoldCount: TypeAlias = int
    FrameSize: TypeAlias = int
    PositiveFloat: TypeAlias = float
    NonNegativeFloat: TypeAlias = float
    UnitInterval: TypeAlias = float
    BelowOne: TypeAlias = float
    Share: TypeAlias = float
    Zoom: TypeAlias = float
else:
    PositiveInt = restricted_number_type("PositiveInt", int, (">", 0))
    NonNegativeInt = restricted_number_type("NonNegativeInt", int, (">=", 0))
    FoldCount = restricted_number_type("FoldCount", int, [("==", 0), (">=", 2)], join="or")
    FrameSize = restricted_number_type("FrameSize", int, (">=", 16))
    PositiveFloat = restricted_number_type("PositiveFloat", float, (">", 0))
    NonNegativeFloat = restricted_number_type("NonNegativeFloat", float, (">=", 0))
    UnitInterval = restricted_number_type("ClosedUnitInterval", float, [(">=", 0), ("<=", 1)])
    BelowOne = restricted_number_type("BelowOne", float, [(">=", 0), ("<", 1)])
    Share = restricted_number_type("Share", float, [(">", 0), ("<=", 1)])
    Zoom = restricted_number_type("Zoom", float, [(">=", 1), ("<=", 4)])

REQUIREMENTS: dict[object, str] = {
    PositiveInt: "1 or more",
    NonNegativeInt: "0 or more",
    FoldCount: "0, or 2 or more",
    FrameSize: "16 or more",
    PositiveFloat: "above 0",
    NonNegativeFloat: "0 or more",
    UnitInterval: "from 0 to 1",
    BelowOne: "from 0 to below 1",
    Share: "above 0 and at most 1",
    Zoom: "from 1 to 4",
}
"""What each type requires, in words that complete "must be …"."""


def explain(error: ArgumentError) -> str:
    """Return what jsonargparse found wrong with a setting, as a sentence of our own."""
    text = " ".join(str(error).split())
    located = re.match(r'Parser key "([^"]+)": (.+)', text)
    if not located:
        return text
    name, reason = located.groups()
    restricted = re.match(r"Not of type (\w+): (.+) does not conform to restriction", reason)
    if restricted:
        return f"{name} is {restricted[2]} but must be {_REQUIREMENT_OF[restricted[1]]}"
    number = re.match(r"Not of type (\w+): .*: ('.*')$", reason)
    if number:
        return f"{name} is {number[2]} but must be a number, {_REQUIREMENT_OF[number[1]]}"
    expected = re.match(r"Expected an? (.+)\. Got value: (.+)$", reason) or re.match(
        r"Does not .+ Union subtypes Subtypes: \[(.+)\] Errors: .+ Given value: (.+)$", reason
    )
    if expected:
        return f"{name} is {expected[2]} but must be {_in_words(expected[1])}"
    return f"{name}: {reason}"


def _in_words(types: str) -> str:
    """Return the name of a type, or of several, as people say it."""
    types = re.sub(r"<class '(\w+)'>", r"\1", types.replace("typing.", ""))
    types = re.sub(r"list\[Literal\[([^\]]+)\]\]", r"a list of \1", types)
    types = re.sub(r"list\[(\w+)\]", r"a list of \1", types)
    return re.sub(r"Literal\[([^\]]+)\]", r"one of \1", types).replace("NoneType", "null")


_REQUIREMENT_OF = {getattr(kind, "__name__", ""): words for kind, words in REQUIREMENTS.items()}
