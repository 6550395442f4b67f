"""A new exploration: a notebook with the issue, the questions and the insights (X1)."""

import json
import subprocess
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dslp.core.branch_names import slug
from dslp.core.errors import DslpError
from dslp.core.file_rules import SPRAWL
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.scaffold.place import name_words, place_files

FORM = "**Issue:** #"  # what every notebook of the form has in its first cell
KEPT = ("kernelspec", "language_info", "tags")  # of metadata


def new_exploration(
    project: Project, name: str, issue: int | None, title: str, source: Path | None, kind: str
) -> str:
    """Write the notebook; returns its path in the project.

    Args:
        project: gets the notebook; its own `notebooks/template.ipynb` is copied, if it has one.
        name: of the file, without its ending; by default the issue and the name of `source`.
        issue: number of the Explore issue, if there is one.
        title: the question that is explored; if empty, the words of the name.
        source: a notebook whose cells follow the form's, without outputs; it is left as it is.
        kind: `jupyter`, or `marimo` for a Python file, which marimo itself converts.

    Raises:
        Refused: the commit hook would refuse a notebook of that name.
        DslpError: the name cannot be used, or is in use; the template or `source` is no notebook;
            marimo is not installed, or cannot convert it.
    """
    name = name or (_default_name(source, issue) if source else "")
    words = " ".join(name_words(name))
    words = " ".join(title.split()) or words.lstrip("0123456789 ")
    own = project.root / "notebooks" / "template.ipynb"
    template = own if own.is_file() else files("dslp.scaffold") / "skeletons" / "exploration.ipynb"
    notebook = _read_notebook(template)
    if not notebook["cells"]:
        raise DslpError(f"{template} has no cells; the first one must hold the title")
    lines = [f"# {words or name}\n", *notebook["cells"][0]["source"][1:]]
    notebook["cells"][0]["source"] = [each.replace(FORM, f"{FORM}{issue or ''}") for each in lines]
    if source:
        notebook = _continue_with(notebook, source)
    path, text = f"notebooks/{name}.ipynb", json.dumps(notebook, indent=1, ensure_ascii=False)
    if kind == "marimo":
        if notebook["metadata"].get("kernelspec", {}).get("language", "python") != "python":
            raise DslpError(f"{source} is not in Python, as notebooks of marimo are")
        path, text = f"notebooks/{name}.py", _convert(text)
    place_files(project.root, {path: text.rstrip() + "\n"})
    return path


def _default_name(source: Path, issue: int | None) -> str:
    """The number of the issue and the words in the name of a notebook."""
    words = slug(source.stem)
    if issue and not words.startswith(f"{issue}-"):
        words = f"{issue}-{words}"
    return source.stem if SPRAWL.search(source.stem) else words  # such a name is refused


def _continue_with(form: dict[str, Any], source: Path) -> dict[str, Any]:
    """The form's cells, then those of the notebook `source` without what running them has left.

    A notebook that has the form already keeps its own.
    """
    notebook = _read_notebook(source)
    for cell in notebook["cells"]:
        if cell.get("cell_type") == "code":
            cell |= {"outputs": [], "execution_count": None}
    has_form = any(FORM in "".join(cell["source"]) for cell in notebook["cells"][:1])
    cells = [*([] if has_form else form["cells"]), *notebook["cells"]]
    for number, cell in enumerate(cells):  # which format 4.5 asks for, and others do not allow
        cell.pop("id", None)
        if notebook.get("nbformat_minor", 0) >= 5:
            cell["id"] = f"cell-{number}"
    return {**notebook, "cells": cells}


def _read_notebook(file: Path | Traversable) -> dict[str, Any]:
    """A notebook in format 4, without metadata of a run or a machine.

    Raises:
        DslpError: it is none, or in another format.
    """
    try:
        notebook: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        version = notebook["nbformat"]
        for cell in (cells := notebook.setdefault("cells", [])):
            cell["source"] = "".join(cell["source"]).splitlines(keepends=True)
        for part in (notebook, *cells):
            kept = (part.get("metadata") or {}).items()
            part["metadata"] = {key: value for key, value in kept if key in KEPT}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DslpError(f"{file} is not a notebook: {error_line(error)}") from None
    if version != 4:
        todo = f"jupyter nbconvert --to notebook --nbformat 4 {file.name}"
        raise DslpError(f"{file} has format {version}; convert it: {todo}")
    return notebook


def _convert(text: str) -> str:
    """A Jupyter notebook as marimo's own converter writes it.

    Raises:
        DslpError: marimo is not installed, or fails.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder, "notebook.ipynb")
        file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "marimo", "convert", str(file)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        reason = error_line(done.stderr.strip().rpartition("\n")[2])
        raise DslpError(f"marimo failed ({reason}); if it is missing: uv add --dev marimo")
    return done.stdout
