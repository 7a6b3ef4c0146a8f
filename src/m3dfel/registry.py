"""Tables of parts that are chosen by name, such as `m3dfel.models.backbones.BACKBONES`.

A class enters a table with a decorator in its own file, so adding a part means adding one file. The
parts that ship with the package are imported when a table is first read; your own are entered by
importing the module that defines them (`m3dfel --plugin FILE` on the command line).
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from m3dfel.errors import InputError, wrong_value

T = TypeVar("T")


class Registry(Generic[T]):
    """A table from names to classes of one kind.

    Args:
        kind: what the classes are, for messages.
        package: the package whose modules enter the parts that ship with m3dfel.

    Example:
        >>> from m3dfel.models.aggregations import AGGREGATIONS
        >>> "dliam" in AGGREGATIONS.names()
        True
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._classes: dict[str, type[T]] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Return a decorator that enters a class under a name, replacing an earlier entry."""

        def enter(part: type[T]) -> type[T]:
            self._classes[name] = part
            return part

        return enter

    def names(self) -> list[str]:
        """Return all names, sorted."""
        self._load()
        return sorted(self._classes)

    def get(self, name: str) -> type[T]:
        """Return the class of a name; what follows a slash (`timm/resnet18`) is not looked up.

        Raises:
            InputError: no class has this name.
        """
        self._load()
        part = self._classes.get(name.partition("/")[0])
        if part is None:
            raise InputError(
                f"unknown {self.kind} {name!r}: choose one of {', '.join(self.names())}; if it is "
                "one of your own, import the module that defines it first (m3dfel --plugin FILE)"
            )
        return part

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """Return the options of a class: the keyword-only parameters of its constructor."""
        parameters = inspect.signature(self.get(name)).parameters.values()
        return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}

    def create(self, name: str, options: Mapping[str, Any], *arguments: Any) -> T:
        """Build the part of a name.

        Args:
            name: the name, with a variant after a slash for parts that have variants; the variant
                becomes the last positional argument.
            options: the part's options; their names and types are checked first.
            arguments: the positional arguments of every part of this kind.

        Raises:
            InputError: an unknown name, an unknown option, or a value an option cannot take.
        """
        variant = name.partition("/")[2]
        checked = self.check(name, options)
        return self.get(name)(*arguments, *([variant] if variant else []), **checked)

    def check(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options with their types checked.

        Raises:
            InputError: an unknown name, an unknown option, or a value an option cannot take.
        """
        known = self.options(name)
        unknown = [option for option in options if option not in known]
        if unknown:
            raise InputError(
                f"the {self.kind} {name} has no option {', '.join(unknown)}: "
                + (f"its options are {', '.join(known)}" if known else "it has no options")
            )
        types = get_type_hints(self.get(name).__init__)
        checked = {}
        for option, value in options.items():
            try:
                checked[option] = TypeAdapter(types.get(option, Any)).validate_python(value)
            except ValidationError as error:
                raise InputError(
                    f"wrong option of the {self.kind} {name}: "
                    f"{wrong_value(option, error.errors()[0])}"
                ) from error
        return checked

    def _load(self) -> None:
        if not self._loaded:
            self._loaded = True
            own = dict(self._classes)  # entered before the table was first read
            for module in pkgutil.iter_modules(import_module(self._package).__path__):
                import_module(f"{self._package}.{module.name}")
            self._classes |= own
