"""Writing new files into a project: all of them or none, and never over existing ones."""

import json
import keyword
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from dslp.core.errors import DslpError, Refused
from dslp.core.file_rules import file_problems
from dslp.core.files import write_text
from dslp.core.settings import Project

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def check_name(name: str, project: Project) -> None:
    """Require that a dataset or a model can have the name.

    Raises:
        DslpError: it cannot be the name of a module, or is no plain word in YAML.
    """
    longest = min(40, 69 - len(project.source.name))  # so that an import of it fits into a line
    reserved = keyword.iskeyword(name) or keyword.issoftkeyword(name) or name == "raw"
    if not NAME.fullmatch(name) or len(name) > longest or reserved or not plain_word(name):
        rule = (
            f"lower-case words joined by _, at most {longest} characters, no word of Python or YAML"
        )
        raise DslpError(f"{name!r:.60} cannot be a name: {rule}, such as visits_by_plan")


def name_words(name: str) -> list[str]:
    """The words in the name of a notebook or a report.

    Raises:
        DslpError: it has other characters than such a file's name may have.
    """
    if not re.fullmatch("[A-Za-z0-9]+([-_][A-Za-z0-9]+)*", name) or len(name) > 100:
        rule = "letters and digits, words joined by - or _, such as 14-visits-by-plan"
        raise DslpError(f"{name!r:.60} cannot be a name: {rule}")
    return re.split("[-_]", name)


def plain_word(word: str) -> bool:
    """Whether YAML reads the word as itself; it reads `on` as true."""
    return bool(yaml.safe_load(word) == word)


def yaml_word(text: str) -> str:
    """Text as a value in YAML, in quotes where it needs them."""
    plain = re.fullmatch(r"\w[\w .?-]*", text) and plain_word(text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def quoted(value: object) -> str:
    """A value as the formatter writes it in Python."""
    single = not isinstance(value, str) or ('"' in value and "'" not in value)
    return repr(value) if single else json.dumps(value, ensure_ascii=False)


def place_skeleton(
    project: Project, kinds: Sequence[str], folder: str, test: str, **values: object
) -> list[str]:
    """Write the files of skeletons, rendered with these values; returns `folder` and `test`.

    A Python file that has no text then is left out, and so is the test.

    Args:
        project: where they are written.
        kinds: the skeletons; where two have a file of one name, the first counts.
        folder: gets all files but `test.py`.
        test: the path of `test.py`.
        values: what the skeletons fill in.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(__package__, f"skeletons/{kind}") for kind in kinds]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"word": yaml_word, "quoted": quoted}
    files = {}
    for name in environment.list_templates():
        path = test if name == "test.py.txt" else f"{folder}/{name.removesuffix('.txt')}"
        text = environment.get_template(name).render(values, test=test)
        if text or not path.endswith(".py"):
            files[path] = text
    place_files(project.root, files)
    return [folder, *([test] if test in files else [])]


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
        with TemporaryDirectory(prefix=".new-", dir=root) as folder, ExitStack() as undo:
            for name, text in files.items():
                write_text(Path(folder) / name, text)
            if problems := file_problems(files, Path(folder)):
                raise Refused("; ".join(problems))
            for name in files:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                undo.callback(Path(folder, name).rename(root / name).unlink)
            undo.pop_all()
    except OSError as error:
        raise DslpError(f"nothing was written: {error}") from None
