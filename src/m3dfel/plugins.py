"""Plugins: modules of your own with backbones, aggregations or data layouts."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from m3dfel.errors import InputError

PLUGINS: list[str] = []
"""Names of the plugins that are loaded, for processes that have to load them, too."""


def load_plugin(name: str) -> None:
    """Import a module of your own, so that the parts it defines enter their tables; only once.

    Args:
        name: a Python file, or the dotted name of an installed module.

    Raises:
        InputError: there is no such file or module, or importing it fails.
    """
    if name in PLUGINS:
        return
    file = Path(name)
    if file.suffix == ".py" and not file.is_file():
        raise InputError(f"there is no plugin {name}: check the path")
    try:
        if file.suffix != ".py":
            import_module(name)
            PLUGINS.append(name)
            return
        # Under a name of its own, so that `timm.py` does not replace timm.
        spec = spec_from_file_location(f"m3dfel_plugin_{file.stem}", file)
        assert spec
        assert spec.loader
        module = module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[spec.name]
            raise
        PLUGINS.append(name)
    except Exception as error:  # the module is not ours and can fail in any way
        raise InputError(
            f"cannot import the plugin {name}: {type(error).__name__}: {error}"
        ) from error
