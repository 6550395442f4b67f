"""A new exploration: a notebook with the issue, the questions and the insights (X1)."""

import json
from importlib.resources import files

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.scaffold.place import name_words, place_files


def new_exploration(project: Project, name: str, issue: int | None, title: str) -> str:
    """Write the notebook; returns its path in the project.

    Args:
        project: gets the notebook; its own `notebooks/template.ipynb` is copied, if it has one.
        name: of the file, without its ending.
        issue: number of the Explore issue, if there is one.
        title: the question that is explored; if empty, the words of the name.

    Raises:
        Refused: the commit hook would refuse a notebook of that name.
        DslpError: the name cannot be used, or is in use; or the template is not a notebook.
    """
    words = " ".join(name_words(name))
    words = " ".join(title.split()) or words.lstrip("0123456789 ")
    own = project.root / "notebooks" / "template.ipynb"
    template = own if own.is_file() else files("dslp.scaffold") / "skeletons" / "exploration.ipynb"
    try:
        notebook = json.loads(template.read_text(encoding="utf-8"))
        lines = "".join(notebook["cells"][0]["source"]).splitlines(keepends=True)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DslpError(f"{template} is not a notebook: {error_line(error)}") from None
    text = "".join([f"# {words or name}\n", *lines[1:]])
    text = text.replace("**Issue:** #", f"**Issue:** #{issue or ''}")
    notebook["cells"][0]["source"] = text.splitlines(keepends=True)
    path = f"notebooks/{name}.ipynb"
    place_files(project.root, {path: json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"})
    return path
