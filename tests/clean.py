"""What a generated project is before anybody touches it: clean. One function for each promise."""

import functools
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePath
from urllib.parse import unquote

from jinja2 import Template

from tests import form_lint
from tests.template_copy import ROOT

# What Jinja would have replaced; the braces of Python and its f-strings have no space after them.
LEFTOVER = re.compile(r"\{\{-?\s|\{%|\{#|\{\{-?_?(project|package|copier)_")
EXPRESSION = re.compile(r"\$\{\{.*?\}\}")  # GitHub's own, in workflows

FRAMEWORKS = re.compile(r"^\s*(?:import|from) (?:great_expectations|dslp|mlflow)\b.*$", re.M)

# What every component brings; none of it is in a project without the component.
BROUGHT_BY = {
    "process": [
        *(".pre-commit-config.yaml", ".github/ISSUE_TEMPLATE", ".github/labels.yml"),
        *(".github/pull_request_template.md", ".github/workflows/issues.yml"),
        *(".github/workflows/labels.yml", ".github/workflows/policy.yml"),
    ],
    "data": [
        *(".github/workflows/data.yml", "docs/data", "src/*/datasets", "tests/data"),
    ],
    "experiments": ["src/*/models", "docs/models", "tests/model"],
    "models": [".github/workflows/monitor.yml", ".github/workflows/release.yml", "Dockerfile"],
    "site": [".github/workflows/site.yml", "docs/assets", "mkdocs.yml"],
}


def faults(project: Path, components: list[str]) -> list[str]:
    """Everything that is not clean in a project, one line each."""
    checks = (text_faults, linter_faults, github_faults, framework_imports)
    leftover = [
        f"{path.relative_to(project)}: belongs to {component}, which was left out"
        for component, patterns in BROUGHT_BY.items()
        for pattern in patterns
        for path in (project.glob(pattern) if component not in components else ())
    ]
    return leftover + [fault for check in checks for fault in check(project)]


def text_faults(project: Path) -> Iterator[str]:
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


def linter_faults(project: Path) -> Iterator[str]:
    for command in (["format", "--check"], ["check", "--output-format", "concise"]):
        yield from run(["ruff", *command, "--no-cache", "."], project)


SCHEMAS = {  # of a file, by the end of its name; the first that fits
    ".github/dependabot.yml": "dependabot",
    "ISSUE_TEMPLATE/config.yml": "github-issue-config",
    "ISSUE_TEMPLATE/*.yml": "github-issue-forms",
    "workflows/*.yml": "github-workflows",
    "actions/*/action.yml": "github-actions",
}


def github_faults(project: Path) -> list[str]:
    """What GitHub's schemas, zizmor and our own linter of forms say of everything in .github."""
    faults = [f".github: {fault}" for fault in form_lint.faults(project / ".github")]
    groups: dict[str, dict[str, str]] = {schema: {} for schema in SCHEMAS.values()}
    for path in sorted((project / ".github").rglob("*.yml")):
        name = path.relative_to(project).as_posix()
        schemas = [one for pattern, one in SCHEMAS.items() if PurePath(name).match(pattern)]
        if schemas:  # labels are ours
            groups[schemas[0]][name] = path.read_text(encoding="utf-8")
    for schema, texts in groups.items():
        if texts:
            command = f"check-jsonschema --builtin-schema vendor.{schema}"
            faults += github_file_faults(command, tuple(texts.items()))
    judged = {
        n: t for schema, texts in groups.items() if "issue" not in schema for n, t in texts.items()
    }
    command = "zizmor --offline --no-progress --color=never"
    return faults + github_file_faults(command, tuple(judged.items()))


@functools.cache  # few texts among many projects
def github_file_faults(command: str, texts: tuple[tuple[str, str], ...]) -> list[str]:
    """What a checker says of files for GitHub, given as path and text."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return run([*command.split(), *(name for name, _ in texts)], folder)


def framework_imports(project: Path) -> Iterator[str]:
    """Imports in src/ of what only the tool may know."""
    for path in sorted(project.glob("src/**/*.py")):
        for line in FRAMEWORKS.findall(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(project)}: {line.strip()}"


def site_settings(owner: str = "ada") -> str:
    """What a project's `mkdocs.yml` says of its pages, for a site of any name."""
    text = (ROOT / "template" / "mkdocs.yml.jinja").read_text(encoding="utf-8")
    theme = Template(text[text.index("theme:") :]).render(owner=owner, project_name="claims")
    return f"site_name: claims\n{theme}\n"


def site_faults(project: Path) -> list[str]:
    """What Zensical says of a site, and what a page asks of others or does not find."""
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    built = subprocess.run(command, cwd=project, capture_output=True, text=True)
    if built.returncode:
        return [built.stdout + built.stderr]
    return [
        f"{page.name}: {fault}"
        for page in (project / "site").rglob("*.html")
        for fault in page_faults(page)
    ]


def page_faults(page: Path) -> Iterator[str]:
    """Addresses in a page: of another host, or of a file that the site does not have."""
    html = page.read_text(encoding="utf-8")
    yield from re.findall(r'(?:src|<link(?![^>]*rel="canonical")[^>]*href)="(?:https?:)?//', html)
    if page.name != "404.html":  # it is shown at any address
        for address in re.findall(r'(?:src|href)="([^":#?]+)[#?"]', html):
            target = page.parent / unquote(address)
            if not (target / "index.html" if target.is_dir() else target).is_file():
                yield address


def run(command: list[str], folder: Path | str) -> list[str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return [f"{command[0]}: {done.stdout}{done.stderr}"] if done.returncode else []
