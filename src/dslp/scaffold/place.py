"""Writing new files into a project: all of them or none, and never over existing ones."""

import keyword
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from dslp.core.errors import DslpError, Refused
from dslp.core.file_rules import file_problems
from dslp.core.settings import Project

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
RESERVED = {"raw"}  # the parameter of a pipeline's `build` for its raw data

# By path in the project: the text of a file, or the texts of a folder's files by their names.
Units = Mapping[str, str | Mapping[str, str]]


def check_name(name: str, project: Project) -> str:
    """The name, if a dataset or a model can have it.

    Raises:
        DslpError: it cannot be the name of a module, or is no plain word in YAML.
    """
    longest = min(40, 69 - len(project.source.name))  # so that an import of it fits into a line
    if not NAME.fullmatch(name) or len(name) > longest:
        raise DslpError(
            f"{name!r:.60} cannot be a name: lower-case letters and digits, words joined by "
            f"_, at most {longest} characters, such as visits_by_plan"
        )
    if (
        keyword.iskeyword(name)
        or keyword.issoftkeyword(name)
        or name in RESERVED
        or not plain_word(name)
    ):
        raise DslpError(f"{name} cannot be a name: Python, YAML or dslp uses the word itself")
    return name


def plain_word(word: str) -> bool:
    """Whether YAML reads the word as itself; it reads `on` as true."""
    return bool(yaml.safe_load(word) == word)


def render_skeleton(kind: str, **values: object) -> dict[str, str]:
    """The files of a skeleton by their names, rendered with these values."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("dslp.scaffold", f"skeletons/{kind}")
    environment = Environment(
        loader=loader,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return {
        name.removesuffix(".txt"): environment.get_template(name).render(values)
        for name in environment.list_templates()
    }


def place_files(root: Path, units: Units) -> list[str]:
    """Write new files and folders to a temporary folder, and move them into a project.

    Returns:
        The paths in the project.

    Raises:
        Refused: the commit hook would refuse one of them.
        DslpError: one exists already, or the disk is full or closed; nothing is written then.
    """
    existing = [name for name in units if os.path.lexists(root / name)]
    if existing:
        raise DslpError(f"{existing[0]} exists already; nothing was written")
    try:
        with TemporaryDirectory(prefix=".new-", dir=root) as folder:
            aside = Path(folder)
            problems = file_problems([*_write(aside, units)], aside)
            if problems:
                raise Refused("; ".join(problems))
            _move(aside, root, list(units))
    except OSError as error:
        raise DslpError(f"nothing was written: {error}") from None
    return list(units)


def _write(aside: Path, units: Units) -> Iterator[str]:
    """Write the texts below `aside`; yields the path of each file."""
    for unit, content in units.items():
        if isinstance(content, str):
            texts = {unit: content}
        else:
            texts = {f"{unit}/{name}": text for name, text in content.items()}
        for name, text in texts.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (aside / name).write_text(text, encoding="utf-8", newline="\n")
            yield name


def _move(aside: Path, root: Path, names: list[str]) -> None:
    """Move files and folders into the project, or remove those that were moved if one fails."""
    moved: list[Path] = []
    try:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            moved.append((aside / name).rename(root / name))
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
