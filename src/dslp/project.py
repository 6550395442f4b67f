"""The project around the tool: where it is, and what its `[tool.dslp]` table says."""

import importlib
import os
import re
import subprocess
import sys
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from dotenv import load_dotenv
from dslp.errors import DslpError

CHOICES = {
    "branch": ("main", "development"),
    "tracking": ("local", "server", "azureml", "databricks"),
    "engine": ("embedded", "pandas", "sql", "spark"),
}


@dataclass(frozen=True)
class Project:
    """One repository that follows the process.

    Attributes:
        root: the folder that holds `pyproject.toml`.
        package: import name of the project's own package in `src/`.
        branch: the collaboration branch that work is merged into (B8).
        tracking: where runs and models are recorded (G3).
        engine: what the data suites run on (G3).
        data: the folder with raw/, interim/ and processed/ (D7: a parameter).
        usual: whether that is the configured one; another one is somebody's trial.
    """

    root: Path
    package: str
    data: Path
    branch: str = "main"
    tracking: str = "local"
    engine: str = "embedded"
    usual: bool = True

    @classmethod
    def find(cls, start: Path | None = None, data: Path | None = None) -> "Project":
        """Read the project that `start` (by default the working directory) lies in.

        Variables in the project's `.env` become environment variables, unless they are set.
        The data folder is `data`, else what DSLP_DATA_DIR says (from the root), else `data/`;
        the engine is what DSLP_ENGINE says, else the setting.

        Raises:
            DslpError: there is none, or its settings are not what they should be.
        """
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            file = folder / "pyproject.toml"
            if not file.is_file():
                continue
            try:
                content = tomllib.loads(file.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise DslpError(f"{file} is not valid TOML: {error}") from None
            tools = content.get("tool")
            settings = tools.get("dslp") if isinstance(tools, dict) else None
            if settings is not None:
                try:
                    load_dotenv(folder / ".env")
                except UnicodeDecodeError as error:
                    raise DslpError(f"{folder / '.env'} is not UTF-8 text: {error}") from None
                stated = Path(os.environ.get("DSLP_DATA_DIR") or "data").expanduser()
                place = (data or folder / stated).resolve()
                settings = _checked(settings, file)
                engine = os.environ.get("DSLP_ENGINE") or settings.get("engine", "embedded")
                if engine not in CHOICES["engine"]:
                    known = ", ".join(CHOICES["engine"])
                    raise DslpError(f"DSLP_ENGINE = {engine!r} is not one of {known}")
                settings["engine"] = engine
                return cls(root=folder, data=place, usual=data is None, **settings)
        raise DslpError(
            f"no project in {start}: no pyproject.toml with a [tool.dslp] table here or above"
        )

    @property
    def source(self) -> Path:
        """The folder of the project's own package."""
        return self.root / "src" / self.package

    def module(self, name: str) -> ModuleType:
        """Import a module of the project's own package, such as `datasets.claims.pipeline`.

        Raises:
            DslpError: the module is missing or fails while it is imported.
        """
        source = str(self.root / "src")
        if source not in sys.path:
            sys.path.insert(0, source)
        with self.running(f"import {self.package}.{name}"):
            return importlib.import_module(f"{self.package}.{name}")

    @contextmanager
    def running(self, what: str) -> Iterator[None]:
        """Turn an exception of the project's own code into one line that says where it arose.

        Raises:
            DslpError: in place of whatever the code in `src/` raised.
        """
        try:
            yield
        except DslpError:
            raise
        except Exception as error:
            own = [
                frame
                for frame in traceback.extract_tb(error.__traceback__)
                if Path(frame.filename).is_relative_to(self.root / "src")
            ]
            where = ""
            if own:
                where = f" ({Path(own[-1].filename).relative_to(self.root)}:{own[-1].lineno})"
            reason = " ".join(str(error).split())
            raise DslpError(f"{what}: {type(error).__name__}: {reason}{where}") from error


def read_yaml(path: Path) -> dict[str, object]:
    """Read a YAML file that holds a mapping.

    Raises:
        DslpError: the file is missing, is not YAML, or holds something else.
    """
    try:
        content = parsed(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        raise DslpError(f"{path} is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DslpError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise DslpError(f"{path} must hold a mapping (name: value), not {content!r:.40}")
    return content


class _Loader(yaml.SafeLoader):
    """YAML, but of two entries of one name the first is not dropped in silence."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        names = [(key.tag, key.value) for key, _ in node.value if isinstance(key.value, str)]
        for _, name in (each for each in names if names.count(each) > 1):
            raise yaml.MarkedYAMLError(
                problem=f"{name!r:.60} is there twice; leave one", problem_mark=node.start_mark
            )
        return node


def parsed(text: str, where: object) -> object:
    """What a text of YAML holds; `where` is what an error calls it.

    Raises:
        DslpError: it is not YAML, has two entries of one name, or a date that there is not.
    """
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DslpError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from None


def redacted(address: str) -> str:
    """An address without the user and password, and without the query, that it may hold."""
    # A password may hold anything: better too much of a line is left out than its end shown.
    address = re.sub(r"//([^\s/@:]*:.*|\S*)@", "//", address)
    return re.sub(r"(?<=\?)[^\s?]*=\S*[^\s.:;,]", "...", address)


def git(project: Project, *arguments: str) -> str | None:
    """What git answers in the project's folder; nothing where it has no answer."""
    command = ["git", "-C", str(project.root), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def changed_paths(project: Project, commit: str | None) -> list[str] | None:
    """Paths in `src/`, from the project's root, that differ from what a commit held.

    Nothing is known (None) where the commit is not here: where there was none before, or where a
    push has replaced the history that it was in.
    """
    asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"]
    found = git(project, *asked)
    options = ("--name-only", "-z", "--no-renames", "--relative")
    said = git(project, "diff", *options, found, "--", "src") if found else None
    return None if said is None else said.split("\0")[:-1]


def _checked(settings: object, file: Path) -> dict[str, str]:
    """The settings, once each is known to be one that the tool understands."""
    where = f"{file}, [tool.dslp]"
    if not isinstance(settings, dict) or not isinstance(settings.get("package"), str):
        raise DslpError(f'{where}: package is missing; write package = "name_of_src_folder"')
    checked: dict[str, str] = {}
    for key, value in settings.items():
        choices = CHOICES.get(key)
        if key != "package" and choices is None:
            known = ", ".join(("package", *CHOICES))
            raise DslpError(f"{where}: {key} is not a setting; known are {known}")
        if choices is not None and value not in choices:
            raise DslpError(f"{where}: {key} = {value!r} is not one of {', '.join(choices)}")
        checked[key] = str(value)
    return checked
