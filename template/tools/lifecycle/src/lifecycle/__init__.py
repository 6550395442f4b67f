"""The Data Science Life Cycle Process, as commands for the repository around it.

What a data scientist edits is in `src/`; what the process does is here. The package moves with
`copier update`, so nothing in it is meant to be edited by hand.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load"]


def load(
    name: str, version: str | None = None, columns: Sequence[str] | None = None
) -> "pd.DataFrame":
    """A dataset of this project as a data frame: `load("claims", version="1.2.0")`.

    Args:
        name: the dataset's.
        version: the one to load; without it, what is built here now.
        columns: the ones to read; all without it.

    Raises:
        LifecycleError: it is not here (and this is how to get it), or cannot be read.
    """
    from lifecycle.data.kept import load

    return load(name, version, columns)
