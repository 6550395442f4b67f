"""Writing new files into a project: all of them or none, and never over existing ones."""

import keyword
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from dslp.core.errors import DslpError, Refused
from dslp.core.file_rules import file_problems
from dslp.core.files import write_text
from dslp.core.settings import Project

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def check_name(name: str, project: Project) -> str:
    """The name, if a dataset or a model can have it.

    Raises:
        DslpError: it cannot be the name of a module, or is no plain word in YAML.
    """
    longest = min(40, 69 - len(project.source.name))  # so that an import of it fits into a line
    reserved = keyword.iskeyword(name) or keyword.issoftkeyword(name) or name == "raw"
    if not NAME.fullmatch(name) or len(name) > longest or reserved or not plain_word(name):
        raise DslpError(
            f"{name!r:.60} cannot be a name: lower-case letters and digits, words joined by _, at "
            f"most {longest} characters, no word of Python or YAML, such as visits_by_plan"
        )
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


def name_files(texts: Mapping[str, str], folder: str, test: str) -> dict[str, str]:
    """The texts of a skeleton by their paths: `test.py` is `test`, all others are in `folder`."""
    return {test if name == "test.py" else f"{folder}/{name}": t for name, t in texts.items()}


def place_files(root: Path, files: Mapping[str, str]) -> None:
    """Write new files, texts by their paths in the project, to a temporary folder; move them then.

    Raises:
        Refused: the commit hook would refuse one of them.
        DslpError: one exists already, or the disk is full or closed; nothing is written then.
    """
    existing = [name for name in files if os.path.lexists(root / name)]
    if existing:
        raise DslpError(f"{existing[0]} exists already; nothing was written")
    try:
        with TemporaryDirectory(prefix=".new-", dir=root) as folder:
            for name, text in files.items():
                write_text(Path(folder) / name, text)
            if problems := file_problems(files, Path(folder)):
                raise Refused("; ".join(problems))
            _move(Path(folder), root, files)
    except OSError as error:
        raise DslpError(f"nothing was written: {error}") from None


def _move(source: Path, root: Path, names: Iterable[str]) -> None:
    """Move files into the project, or remove those that were moved if one cannot be."""
    moved: list[Path] = []
    try:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            moved.append((source / name).rename(root / name))
    except BaseException:
        for path in moved:
            path.unlink()
        raise
