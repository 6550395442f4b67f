"""A new exploration: a notebook with the issue, the questions and the insights (X1)."""

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.scaffold.place import name_words, place_files

FORM = "**Issue:** #"  # what every notebook of the form has in its first cell


def new_exploration(
    project: Project, name: str, issue: int | None, title: str, source: Path | None = None
) -> str:
    """Write the notebook; returns its path in the project.

    Args:
        project: gets the notebook; its own `notebooks/template.ipynb` is copied, if it has one.
        name: of the file, without its ending.
        issue: number of the Explore issue, if there is one.
        title: the question that is explored; if empty, the words of the name.
        source: a notebook whose cells follow the form's, without outputs; it is left as it is.

    Raises:
        Refused: the commit hook would refuse a notebook of that name.
        DslpError: the name cannot be used, or is in use; the template or `source` is no notebook.
    """
    words = " ".join(name_words(name))
    words = " ".join(title.split()) or words.lstrip("0123456789 ")
    own = project.root / "notebooks" / "template.ipynb"
    template = own if own.is_file() else files("dslp.scaffold") / "skeletons" / "exploration.ipynb"
    notebook, lines = _read_notebook(template)
    text = "".join([f"# {words or name}\n", *lines[1:]])
    text = text.replace(FORM, f"{FORM}{issue or ''}")
    notebook["cells"][0]["source"] = text.splitlines(keepends=True)
    if source:
        notebook = _continue_with(notebook, source)
    path = f"notebooks/{name}.ipynb"
    place_files(project.root, {path: json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"})
    return path


def _continue_with(form: dict[str, Any], source: Path) -> dict[str, Any]:
    """The form's cells, then those of the notebook `source` without what running them has left."""
    notebook, first = _read_notebook(source)
    if notebook.get("nbformat") != 4:
        todo = f"jupyter nbconvert --to notebook --nbformat 4 {source.name}"
        raise DslpError(f"{source} is of another format than 4; convert it: {todo}")
    if any(FORM in line for line in first):
        raise DslpError(f"{source} has the form of an exploration already; copy it")
    for cell in notebook["cells"]:
        if cell.get("cell_type") == "code":
            cell |= {"outputs": [], "execution_count": None}
    cells = [*form["cells"], *notebook["cells"]]
    for number, cell in enumerate(cells):  # which format 4.5 asks for, and others do not allow
        cell.pop("id", None)
        if notebook.get("nbformat_minor", 0) >= 5:
            cell["id"] = f"cell-{number}"
    return {**notebook, "cells": cells}


def _read_notebook(file: Path | Traversable) -> tuple[dict[str, Any], list[str]]:
    """A notebook, and the lines of its first cell."""
    try:
        notebook = json.loads(file.read_text(encoding="utf-8"))
        cells = [dict(cell) for cell in notebook["cells"]]
        lines = "".join(cells[0]["source"]).splitlines(keepends=True)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DslpError(f"{file} is not a notebook: {error_line(error)}") from None
    return {**notebook, "cells": cells}, lines
