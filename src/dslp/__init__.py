"""The Data Science Life Cycle Process, as commands for the repository around it.

What a data scientist edits is in a project's `src/`; what the process does is here. A project is
pinned to the commit of the template that it was rendered from.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """`load`, a dataset as a data frame (`dslp.data.loading.load`), once it is asked for."""
    if name == "load":
        return import_module("dslp.data.loading").load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
