"""What a generated project is before anybody touches it: clean. One function for each promise."""

import ast
import functools
import json
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

import yaml

from tests import form_lint

# What Jinja would have replaced; the braces of Python and its f-strings have no space after them.
LEFTOVER = re.compile(r"\{\{-?\s|\{%|\{#|\{\{-?_?(project|package|copier)_")
EXPRESSION = re.compile(r"\$\{\{.*?\}\}")  # GitHub's own, in workflows

FRAMEWORKS = {"great_expectations", "dslp", "mlflow"}

# What every component brings; none of it is in a project without the component.
BROUGHT_BY = {
    "process": [
        *(".pre-commit-config.yaml", ".github/ISSUE_TEMPLATE", ".github/labels.yml"),
        *(".github/pull_request_template.md", ".github/workflows/issues.yml"),
        *(".github/workflows/labels.yml", ".github/workflows/policy.yml"),
    ],
    "data": [
        *(".github/workflows/data.yml", ".github/workflows/run.yml"),
        *("docs/data", "src/*/datasets", "tests/data"),
    ],
    "experiments": ["src/*/models", "docs/models", "tests/model"],
    "models": [".github/workflows/monitor.yml", ".github/workflows/release.yml", "Dockerfile"],
    "site": ["mkdocs.yml"],
}


def faults(project: Path, components: list[str]) -> list[str]:
    """Everything that is not clean in a project, one line each."""
    return [
        *text_faults(project),
        *linter_faults(project),
        *github_faults(project),
        *leftover_components(project, components),
        *framework_imports(project),
    ]


def text_faults(project: Path) -> Iterator[str]:
    """Line ends, white space, leftover braces, links; and what does not parse."""
    for path in sorted(project.rglob("*")):
        name = path.relative_to(project).as_posix()
        if path.is_symlink():
            yield f"{name}: a symbolic link"
        if not path.is_file() or not path.stat().st_size:
            continue
        text = path.read_bytes().decode()
        if "\r" in text:
            yield f"{name}: a carriage return"
        if not text.endswith("\n") or text.endswith("\n\n"):
            yield f"{name}: does not end in one line feed"
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                yield f"{name}:{number}: trailing white space"
            if LEFTOVER.search(EXPRESSION.sub("", line)):
                yield f"{name}:{number}: leftover braces: {line.strip()}"
        try:
            READERS.get(path.suffix, str)(text)
        except (ValueError, SyntaxError, yaml.YAMLError) as error:
            yield f"{name}: does not parse: {error}"


class LenientLoader(yaml.SafeLoader):
    """Also takes tags that only their reader knows, such as mkdocs' `!!python/name:`."""


LenientLoader.add_multi_constructor("", lambda _loader, _tag, _node: None)
READERS: dict[str, Callable[[str], object]] = {  # of a text, by the end of its file's name
    **dict.fromkeys((".json", ".ipynb"), json.loads),
    **{".toml": tomllib.loads, ".py": ast.parse},
    ".yml": lambda text: list(yaml.load_all(text, LenientLoader)),
}


def linter_faults(project: Path) -> Iterator[str]:
    """What the project's own formatter and linter say, in the project's own settings."""
    for command in (["format", "--check"], ["check", "--output-format", "concise"]):
        yield from run(["ruff", *command, "--no-cache", "."], project)


def github_faults(project: Path) -> Iterator[str]:
    """What GitHub's schemas, zizmor and our own linter of forms say of everything in .github."""
    github = project / ".github"
    for path in sorted(github.rglob("*.yml")):
        name = path.relative_to(project).as_posix()
        for fault in github_file_faults(name, path.read_text(encoding="utf-8")):
            yield f"{name}: {fault}"
    yield from (f".github: {fault}" for fault in form_lint.faults(github))


# The schema of a file, by the end of its name; the first that fits.
SCHEMAS = {
    ".github/dependabot.yml": "dependabot",
    "ISSUE_TEMPLATE/config.yml": "github-issue-config",
    "ISSUE_TEMPLATE/*.yml": "github-issue-forms",
    "workflows/*.yml": "github-workflows",
    "actions/*/action.yml": "github-actions",
}


@functools.cache  # few texts among many projects
def github_file_faults(name: str, text: str) -> list[str]:
    """What the schema and zizmor say of one file for GitHub; it is judged by its path as well."""
    schema = next((s for pattern, s in SCHEMAS.items() if PurePath(name).match(pattern)), None)
    if schema is None:  # labels, which are ours
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        faults = run(["check-jsonschema", "--builtin-schema", f"vendor.{schema}", name], folder)
        if "issue" not in schema:
            faults += run(["zizmor", "--offline", "--no-progress", "--color=never", name], folder)
        return faults


def leftover_components(project: Path, components: list[str]) -> Iterator[str]:
    """Files of a component that was left out."""
    for component, patterns in BROUGHT_BY.items():
        for pattern in patterns:
            for path in project.glob(pattern) if component not in components else ():
                yield f"{path.relative_to(project)}: belongs to {component}, which was left out"


def framework_imports(project: Path) -> Iterator[str]:
    """Imports in src/ of what only the tool may know."""
    for path in sorted(project.glob("src/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            for module in modules:
                if module.split(".")[0] in FRAMEWORKS:
                    yield f"{path.relative_to(project)}: imports {module}"


def run(command: list[str], folder: Path | str) -> list[str]:
    """What a linter prints when it is not content."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return [f"{command[0]}: {done.stdout}{done.stderr}"] if done.returncode else []
