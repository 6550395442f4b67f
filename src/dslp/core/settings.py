"""The repository around the command: where it is, and what its settings say.

Settings stand in `dslp.toml`, or in the table `[tool.dslp]` of `pyproject.toml`. A git repository
with neither has the defaults, so the process runs in any repository of any language.
"""

import importlib
import os
import re
import sys
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

from dotenv import load_dotenv
from dslp.core.errors import DslpError, nearest
from dslp.core.files import read_text
from dslp.core.text import error_line

CHOICES = {
    "tracking": ("local", "server", "azureml", "databricks"),
    "engine": ("embedded", "sql", "spark"),
}
BRANCH = r"\w[\w.-]*(/\w[\w.-]*)*"  # names that git, patterns and workflows read alike
PATTERN = r"[\w.*?/-]+|[\w.*?/-]*(\[\w+(-\w)?\][\w.*?/-]*)+"  # of a branch, as GitHub reads it
SETTINGS = ("package", "code", "branch", "exempt_branches", *CHOICES)


@dataclass(frozen=True)
class Project:
    """One repository that follows the process.

    Attributes:
        root: the folder of the settings, or of the git repository where there are none.
        package: import name of the project's own package; empty where no setting says it.
        code: path of the folder that holds the package, such as `src`, or `.` for the root.
        branch: the collaboration branch that work is merged into (B8).
        exempt_branches: patterns of branches that need no issue, besides the usual ones (B1).
        tracking: where runs and models are recorded (G3).
        engine: what the data suites run on (G3).
        data: the folder with raw/, interim/ and processed/ (D7: a parameter).
        usual: whether that is the configured one; another one is for a trial or a test.
        settings: where the settings stand, or would stand, as an error names it.
    """

    root: Path
    package: str
    data: Path
    code: str = "src"
    branch: str = "main"
    exempt_branches: tuple[str, ...] = ()
    tracking: str = "local"
    engine: str = "embedded"
    usual: bool = True
    settings: str = "[tool.dslp]"

    @classmethod
    def find(
        cls, start: Path | None = None, data: Path | None = None, dotenv: bool = True
    ) -> "Project":
        """Read the project that `start` (by default the working directory) lies in.

        The data folder is `data`, else what DSLP_DATA_DIR says (from the root), else `data/`;
        the engine is what DSLP_ENGINE says, else the setting.

        Args:
            start: a folder of the project.
            data: another data folder than the configured one.
            dotenv: make the variables in the project's `.env` environment variables, unless they
                are set. Commands that never run code of the repository leave it unread: a file in
                a repository that is only looked at must not say where a token is sent.

        Raises:
            DslpError: there is no repository, or a setting has a wrong name or value.
        """
        root, table, where = _find_settings((start or Path.cwd()).resolve())
        settings = _check_settings(table, where)
        if dotenv and (root / ".env").is_file():
            load_dotenv(stream=StringIO(read_text(root / ".env")))
        folder = Path(os.environ.get("DSLP_DATA_DIR") or "data").expanduser()
        if engine := os.environ.get("DSLP_ENGINE"):
            settings |= _check_settings({"engine": engine}, "DSLP_ENGINE")
        data, usual = (data or root / folder).resolve(), data is None
        return cls(root, **{"package": "", **settings}, data=data, usual=usual, settings=where)

    @property
    def github(self) -> Path:
        """The folder `.github` that GitHub reads: at the top of the repository."""
        folders = (self.root, *self.root.parents)
        return next((one for one in folders if (one / ".git").exists()), self.root) / ".github"

    @property
    def source(self) -> Path:
        """The folder of the project's own package.

        Raises:
            DslpError: no setting says the package; the process runs without one, data do not.
        """
        if not self.package:
            todo = 'write package = "NAME" there, for the folder of datasets and models'
            raise DslpError(f"{self.settings}: package is missing; {todo}")
        return self.code_root / self.package

    @property
    def code_root(self) -> Path:
        """The folder that holds the project's own package, from which it is imported."""
        return self.root / self.code

    @property
    def tool(self) -> Path:
        """The folder of the small project that runs the process in a repository that adopted it."""
        return self.github / "dslp"

    @property
    def is_adopted(self) -> bool:
        """Whether the process runs from a small project of its own, beside the team's."""
        return (self.tool / "pyproject.toml").is_file()

    @property
    def environment(self) -> Path:
        """The folder with the `pyproject.toml` and the `uv.lock` that the library runs from."""
        return self.tool if self.is_adopted else self.root

    def test_file(self, kind: str, name: str) -> str:
        """Where the test of a dataset or model goes; the tests of a team stay the team's."""
        if not self.is_adopted:
            return f"tests/{kind}/test_{name}.py"
        # By this name, the team's own `pytest` does not collect it; the gates name the file.
        return f"{self.source.relative_to(self.root).as_posix()}/tests/{kind}_{name}.py"

    @property
    def labels_file(self) -> Path:
        """Where the labels are defined (L3)."""
        return (self.tool if self.is_adopted else self.github) / "labels.yml"

    @property
    def answers_file(self) -> Path:
        """What copier recorded; in a repository of another template, beside that one's answers."""
        own = self.root / ".copier-answers.dslp.yml"
        return own if own.is_file() else self.root / ".copier-answers.yml"

    def choose_engine(self, name: str | None = None) -> str:
        """The engine of that name, or the project's.

        In another data folder than the usual one, files are read, never a database's table (D7).

        Raises:
            DslpError: there is no engine of that name.
        """
        name, names = name or self.engine, CHOICES["engine"]
        if name not in names:
            raise DslpError(f"{name!r} is no engine{nearest(name, names)}")
        return name if name != "sql" or self.usual else "embedded"

    def module(self, name: str) -> ModuleType:
        """Import a module of the project's own package, such as `datasets.claims.pipeline`.

        Raises:
            DslpError: the module is missing or fails while it is imported.
        """
        source = str(self.code_root)
        if source not in sys.path:
            sys.path.insert(0, source)
        with self.running(f"import {self.package}.{name}"):
            return importlib.import_module(f"{self.package}.{name}")

    @contextmanager
    def running(self, what: str) -> Iterator[None]:
        """Turn an exception of the project's own code into one line with its place in that code.

        Raises:
            DslpError: in place of whatever the project's code raised.
        """
        try:
            yield
        except DslpError:
            raise
        except Exception as error:
            where = ""
            for frame in traceback.extract_tb(error.__traceback__):
                if Path(frame.filename).is_relative_to(self.code_root):
                    where = f" ({Path(frame.filename).relative_to(self.root)}:{frame.lineno})"
            reason = f"{type(error).__name__}: {error_line(error)}{where}"
            raise DslpError(f"{what}: {reason}") from error


def _find_settings(start: Path) -> tuple[Path, object, str]:
    """The folder of the settings, the settings, and their place, up to the repository's root."""
    for folder in (start, *start.parents):
        own, shared = folder / "dslp.toml", folder / "pyproject.toml"
        tables: dict[str, object] = {str(own): _toml(own)} if own.is_file() else {}
        tools = _toml(shared).get("tool") if shared.is_file() else None
        if isinstance(tools, dict) and "dslp" in tools:
            tables[f"{shared}, [tool.dslp]"] = tools["dslp"]
        if len(tables) > 1:
            raise DslpError(f"there are settings in {' and in '.join(tables)}; keep one of the two")
        for where, settings in tables.items():
            return folder, settings, where
        if (folder / ".git").exists():
            return folder, {}, str(own)
    missing = "no git repository and no settings (dslp.toml, or [tool.dslp] in pyproject.toml)"
    raise DslpError(f"{missing} in {start} or above; go to your repository, or make one: git init")


def _toml(file: Path) -> dict[str, object]:
    text = read_text(file)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if "\n<<<<<<< " in f"\n{text}":
            raise DslpError(f"{file} has conflict markers: resolve them") from None
        raise DslpError(f"{file} is not valid TOML: {error}") from None


def _check_settings(settings: object, where: str) -> dict[str, Any]:
    """The settings, each one that the library knows, with an allowed value."""
    if not isinstance(settings, dict):
        raise DslpError(f"{where} must be a table of settings, not {settings!r:.40}")
    for key, value in settings.items():
        if key not in SETTINGS:
            raise DslpError(f"{where}: {key} is not a setting{nearest(key, SETTINGS)}")
        if problem := _problem(key, value):
            raise DslpError(f"{where}: {key} = {value!r:.40} {problem}")
    lists = {key: tuple(value) for key, value in settings.items() if isinstance(value, list)}
    return {**settings, **lists}


def _problem(key: str, value: object) -> str:
    """What is wrong with the value of a setting, if anything is."""
    if key == "exempt_branches":
        names = value if isinstance(value, list) else [None]
        fits = all(isinstance(one, str) and re.fullmatch(PATTERN, one) for one in names)
        return "" if fits else 'is no list of names or patterns, such as ["infra/*"]'
    text = value if isinstance(value, str) else ""
    if key == "package":
        return "" if text.isidentifier() else "cannot be imported by that name"
    if key == "code":
        inside = text and not Path(text).is_absolute() and ".." not in Path(text).parts
        return "" if inside else 'is no folder of the repository, such as "src" or "."'
    if key == "branch":
        return "" if re.fullmatch(BRANCH, text) else "is no name of a branch"
    return "" if value in CHOICES[key] else f"is not one of {', '.join(CHOICES[key])}"
