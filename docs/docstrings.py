"""Shows the examples of docstrings as code: mkdocstrings knows `Examples:`, ours say `Example:`."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Rename the section before docstrings are parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rename the section of one object."""
        if obj.docstring:
            obj.docstring.value = re.sub(
                r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE
            )
