"""Whatever the answers, the project that is rendered is clean."""

import datetime
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from allpairspy import AllPairs

from tests import clean
from tests.template_copy import Answers, Template, tree

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
    "collaboration_branch": ["main", "development"],
    "example": [True, False],
}

ALONE: list[Answers] = [
    {"project_name": "Claims.pricing_2026"},
    {"project_name": "ab"},
    {"project_name": "a" * 50},
    {"package_name": "a1"},
    {"package_name": "zz_claims"},
    {"package_name": "claim_pricing_for_outpatient_visits_2026"},
    {"description": "Ein Modell für Schäden: 'wie viele?', \"warum?\" & <wieso> # 100 %"},
    {"description": "预测投保人一年内的就诊次数"},
    {"description": 'Ends in a "quote"'},
    {"description": "Ends in a backslash \\"},
    {"description": "[brackets], *stars*, `ticks`, - dashes: colons | pipes $HOME ${HOME}"},
    {"description": "d" * 200},
    {"owner": "octo-org"},
    {"licence": "MIT"},
    {"licence": "BSD-3-Clause"},
    {"licence": "Apache-2.0"},
    {"licence": "MIT", "owner": "octo-org"},
    {"customise": True},
    {"python_versions": ["3.11"]},
    {"python_versions": ["3.14"]},
    {"python_versions": ["3.12", "3.13", "3.14"]},
    {"collaboration_branch": "development"},
    {"library": "git+https://git.example.org/mirrors/template.git"},
    {"tracking": "server"},
    {"tracking": "azureml"},
    {"tracking": "databricks"},
    {"engine": "sql"},
    {"engine": "spark"},
    {"example": False},
    {"components": ["data", "experiments", "models", "site"]},
    {"components": ["process", "data", "experiments", "models"]},
    {"components": ["process", "data", "experiments", "site"]},
    {"components": ["process", "data", "site"]},
    {"components": ["process", "site"]},
]


def pairwise() -> Iterator[Answers]:
    """A few projects in which every two answers about technology meet; no example without data."""
    for row in AllPairs(list(TECHNOLOGY.values())):
        answers = dict(zip(TECHNOLOGY, row, strict=True))
        yield answers | {"example": answers["example"] and "data" in answers["components"]}


def title(answers: Answers) -> str:
    """The answers as the name of a test."""
    return " ".join(str(value)[:60] for value in answers.values()) or "defaults"


@pytest.mark.parametrize("answers", [{}, *ALONE], ids=title)
def test_clean(files: Template, tmp_path: Path, answers: Answers) -> None:
    project = files.copy(tmp_path / "claims-pricing", answers)
    faults = clean.faults(project, answers.get("components", ALL))
    assert not faults, "\n".join(faults)


@pytest.mark.slow
@pytest.mark.parametrize("answers", list(pairwise()), ids=title)
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


def test_what_a_component_brings_is_there(template: Template, tmp_path: Path) -> None:
    project = template.copy(tmp_path / "project")
    for patterns in clean.BROUGHT_BY.values():
        for pattern in patterns:
            assert list(project.glob(pattern)), pattern


@pytest.mark.rule("D2")
def test_a_dataset_is_one_folder(template: Template, tmp_path: Path) -> None:
    project = template.copy(tmp_path / "claims")
    for folder in (project / "src" / "claims" / "datasets").glob("*/"):
        files = {path.name for path in folder.iterdir()}
        assert files >= {"pipeline.py", "schema.yml", "suite.yml", "datasheet.md"}, folder
    suite = (project / "src/claims/datasets/claims/suite.yml").read_text(encoding="utf-8")
    assert len(yaml.safe_load(suite)["expectations"]) >= 20


def test_twice_gives_the_same_bytes(template: Template, tmp_path: Path) -> None:
    answers = {"licence": "MIT", "owner": "octo-org"}
    first = template.copy(tmp_path / "first" / "project", answers)
    second = template.copy(tmp_path / "second" / "project", answers)
    assert tree(first) == tree(second)


def test_nothing_tells_the_day_it_was_made(template: Template, tmp_path: Path) -> None:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    days = [today + datetime.timedelta(days=shift) for shift in (-1, 0, 1)]
    told = [day.strftime(form) for day in days for form in ("%Y-%m-%d", "%d %B %Y", "%B %d, %Y")]
    files = tree(template.copy(tmp_path / "project", {"licence": "MIT"}))
    assert [
        name for name, content in files.items() for day in told if day.encode() in content
    ] == []
    assert str(today.year).encode() not in files["LICENSE"]
