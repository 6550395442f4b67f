"""Whatever the answers, the project that is rendered is clean."""

import datetime
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from allpairspy import AllPairs

from tests import clean
from tests.template_copy import Answers, Template, tree

pytestmark = pytest.mark.slow

ALL = ["process", "data", "experiments", "models", "site"]
NEEDS = {"models": "experiments", "experiments": "data"}

# The components that go together: nothing without what it needs.
VALID = [
    list(chosen)
    for size in range(1, len(ALL) + 1)
    for chosen in combinations(ALL, size)
    if all(NEEDS.get(component, component) in chosen for component in chosen)
]

TECHNOLOGY = {
    "components": VALID,
    "tracking": ["local", "server", "azureml", "databricks"],
    "engine": ["embedded", "sql", "spark"],
    "collaboration_branch": ["main", "development", "1.0"],
    "example": [True, False],
}

TEXTS: list[Answers] = [
    {
        **{"project_name": "Claims.pricing_2026", "owner": "octo-org", "licence": "MIT"},
        "codeowners": "@ada @octo-org/data",
        "description": "Ein Modell für Schäden: 'wie viele?', \"warum?\" & <wieso> # 100 %",
    },
    {
        **{"project_name": "a" * 50, "package_name": "claim_pricing_for_outpatient_visits_2026"},
        **{"description": "预测投保人一年内的就诊次数" * 15, "licence": "Apache-2.0"},
    },
    {
        "description": "[brackets], *stars*, `ticks`, - dashes: | pipes $HOME ${HOME} \\",
        **{"library": "git+https://git.example.org/mirrors/template.git", "package_name": "a1"},
        **{"python_versions": ["3.11", "3.14"], "licence": "BSD-3-Clause"},
    },
]


def pairwise() -> Iterator[Answers]:
    """A few projects in which every two answers about technology meet; no example without data."""
    for row in AllPairs(list(TECHNOLOGY.values())):
        answers = dict(zip(TECHNOLOGY, row, strict=True))
        yield answers | {"example": answers["example"] and "data" in answers["components"]}


@pytest.mark.parametrize("answers", [{}, *TEXTS], ids=range(1 + len(TEXTS)))
def test_clean(files: Template, tmp_path: Path, answers: Answers) -> None:
    project = files.copy(tmp_path / "claims-pricing", answers)
    owners = tree(project).get(".github/CODEOWNERS", b"").decode().split("\n* ")[1:]
    assert owners == [f"{one}\n" for one in [answers.get("codeowners")] if one]
    faults = clean.faults(project, ALL)
    assert not faults, "\n".join(faults)


IN_EACH_RUN = {" ".join(ALL), "process", "data experiments"}


def rows() -> Iterator[Any]:
    """The projects; one with each of three choices of components is in each run."""
    chosen: set[str] = set()
    for answers in pairwise():
        components = " ".join(answers["components"])
        marks = [] if components in IN_EACH_RUN - chosen else [pytest.mark.campaign]
        chosen.add(components)
        name = " ".join(str(value) for value in answers.values())
        yield pytest.param(answers, id=name, marks=[pytest.mark.slow, *marks])


@pytest.mark.parametrize("answers", list(rows()))
def test_clean_and_typed(
    files: Template, tmp_path: Path, typing_cache: Path, answers: Answers
) -> None:
    project = files.copy(tmp_path / "claims-pricing", answers)
    faults = clean.faults(project, answers["components"])
    faults += clean.run(["mypy", "--cache-dir", str(typing_cache)], project)
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="session")
def typing_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy knows of the libraries, once for all projects of a worker."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.rule("D2")
def test_what_a_component_brings_exists_and_twice_gives_the_same_bytes(
    template: Template, tmp_path: Path
) -> None:
    answers = {"licence": "MIT", "owner": "octo-org"}
    project = template.copy(tmp_path / "first" / "claims", answers)
    for patterns in clean.BROUGHT_BY.values():
        for pattern in patterns:
            assert list(project.glob(pattern)), pattern
    dataset = project / "src" / "claims" / "datasets" / "claims"
    for name in ("pipeline.py", "schema.yml", "suite.yml", "datasheet.md"):
        assert (dataset / name).is_file()
    suite = yaml.safe_load((dataset / "suite.yml").read_text(encoding="utf-8"))
    assert len(suite["expectations"]) >= 20
    files = tree(project)
    assert files == tree(template.copy(tmp_path / "second" / "claims", answers))
    today = datetime.datetime.now(tz=datetime.UTC)
    dates = [today.strftime(form).encode() for form in ("%Y-%m-%d", "%d %B %Y", "%B %d, %Y")]
    assert [name for name, text in files.items() if any(date in text for date in dates)] == []
    assert str(today.year).encode() not in files["LICENSE"]
