"""The issue forms and labels of a project: what they ask for, and that GitHub takes them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dslp.github.entities import TYPES
from dslp.github.forms import LINKS, form_links

from tests import clean, form_lint
from tests.template_copy import Template

FORMS = {
    "ask.yml": "Ask",
    "communicate.yml": "Communicate",
    "data-acquisition.yml": "Data (acquisition)",
    "data-creation.yml": "Data (creation)",
    "experiment.yml": "Experiment",
    "explore.yml": "Explore",
    "model.yml": "Model",
    "task.yml": "Task",
}


@pytest.fixture(scope="module")
def github(files: Template, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What GitHub reads of a project with the defaults."""
    return files.copy(tmp_path_factory.mktemp("forms") / "claims") / ".github"


def load(github: Path, name: str) -> dict[str, Any]:
    """One form."""
    text = (github / "ISSUE_TEMPLATE" / name).read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def asked(form: dict[str, Any]) -> dict[str, str]:
    """All that a form asks for: the label of a field, and everything that is said with it."""
    return {
        item["attributes"]["label"]: yaml.safe_dump(item["attributes"], width=10_000).lower()
        for item in form["body"]
        if item["type"] != "markdown"
    }


def required(form: dict[str, Any]) -> set[str]:
    """The labels of the fields that cannot be left empty."""
    return {
        item["attributes"]["label"]
        for item in form["body"]
        if item.get("validations", {}).get("required")
    }


# --- what GitHub takes


def test_github_takes_forms_and_labels(github: Path) -> None:
    assert form_lint.faults(github) == []
    for path in sorted((github / "ISSUE_TEMPLATE").iterdir()):
        name = f".github/ISSUE_TEMPLATE/{path.name}"
        assert clean.github_file_faults(name, path.read_text(encoding="utf-8")) == []


# --- what the forms ask for


@pytest.mark.rule("I2")
def test_the_chooser_offers_the_types_of_work(github: Path) -> None:
    forms = {p.name for p in (github / "ISSUE_TEMPLATE").iterdir()} - {"config.yml"}
    assert {name: load(github, name)["name"] for name in forms} == FORMS
    assert load(github, "config.yml") == {"blank_issues_enabled": False}


@pytest.mark.rule("I2")
@pytest.mark.parametrize("name", FORMS)
def test_a_form_says_when_to_choose_another(github: Path, name: str) -> None:
    said = load(github, name)["description"]
    choices = re.findall(r"(?:[Cc]hoose|or) ([A-Z]\w+(?: \(\w+\))?)", said)
    assert choices, said
    others = [title for form, title in FORMS.items() if form != name]
    for choice in choices:
        assert any(other == choice or other.startswith(f"{choice} (") for other in others), choice


@pytest.mark.parametrize("name", FORMS)
def test_a_form_applies_the_label_of_its_type(github: Path, name: str) -> None:
    kind = FORMS[name].split(" (")[0]
    assert load(github, name).get("labels", []) == ([] if kind == "Task" else [kind])


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_short(github: Path, name: str) -> None:
    assert len(asked(load(github, name))) <= 12
    assert len(required(load(github, name))) <= 8


# The fields of a form, by rule, and words without which it would not ask for what the rule says.
DATA = {
    "Dataset": ["name"],
    "Version": ["version it will become"],
    "What it represents": ["one row", "population", "useful"],
    "Reference": ["dictionary", "catalogue"],
    "Known issues": ["users"],
    "Acceptance criteria": ["good enough", "suite"],
}
CAPTURED = [
    pytest.param(
        "ask.yml",
        {
            "Problem": ["wrong"],
            "Desired outcome": ["differently from today", "how"],
            "Current state": ["today", "fall short"],
            "Impact": ["roughly", "enough to be"],
            "Metrics": ["define each", "business", "technical", "counterbalance"],
            "Constraints": ["kept to"],
            "Solution architecture": ["reach those who use it"],
            "Datasets required": ["which data"],
            "Background": ["related projects"],
        },
        marks=pytest.mark.rule("I4"),
    ),
    pytest.param(
        "data-acquisition.yml",
        DATA | {"Sources": ["where"], "Owning team": ["who"], "Review": ["who has to agree"]},
        marks=pytest.mark.rule("I5"),
    ),
    pytest.param(
        "data-creation.yml",
        DATA | {"Parent datasets": ["version"], "How it is built": ["from its parents"]},
        marks=pytest.mark.rule("I5"),
    ),
    pytest.param(
        "explore.yml",
        {
            "Overview": ["datasets"],
            "Goals": ["questions", "- [ ]"],
            "Time box": ["one day", "stop"],
            "Insights": ["each with a link"],
            "Next steps": ["what follows"],
        },
        marks=pytest.mark.rule("I7"),
    ),
    pytest.param(
        "experiment.yml",
        {
            "Ask": ["number"],
            "Goal": ["compared with what"],
            "Approach": ["how"],
            "Metric": ["definition"],
            "Assumptions": ["breaks if it is wrong"],
            "Runs": ["link"],
            "Pull request": ["number"],
            "Summary": ["what came out"],
        },
        marks=pytest.mark.rule("I8"),
    ),
    pytest.param(
        "model.yml",
        {
            "Ask": ["number"],
            "Experiment": ["number"],
            "What it does": ["what goes in", "what comes out"],
            "Deployment": ["deployed"],
            "Production checklist": [
                *("inputs are parameters", "api schema", "performance profile", "tests"),
                *("logging", "monitoring", "registration", "release plan", "rollback"),
                "retraining plan",
            ],
        },
        marks=pytest.mark.rule("I9"),
    ),
    pytest.param(
        "communicate.yml",
        {
            "Audience": ["who reads it"],
            "Decision": ["decide"],
            "Report or dashboard": ["to be made"],
        },
        marks=pytest.mark.rule("I10"),
    ),
    pytest.param("task.yml", {"What and why": ["missing or wrong"], "Done when": ["reviewer"]}),
]


@pytest.mark.parametrize(("name", "captured"), CAPTURED)
def test_what_a_form_captures(github: Path, name: str, captured: dict[str, list[str]]) -> None:
    fields = asked(load(github, name))
    for label, words in captured.items():
        missing = [word for word in words if word not in fields.get(label, "")]
        assert label in fields, label
        assert not missing, f"{label}: {missing}"


@pytest.mark.rule("I9")
def test_the_production_checklist_is_ticked_off(github: Path) -> None:
    items = [item for item in load(github, "model.yml")["body"] if item["type"] == "checkboxes"]
    assert [len(item["attributes"]["options"]) for item in items] == [10]


@pytest.mark.rule("I8", "I9")
def test_what_a_piece_of_work_serves_is_required(github: Path) -> None:
    assert "Ask" in required(load(github, "experiment.yml"))
    assert {"Ask", "Experiment"} <= required(load(github, "model.yml"))


@pytest.mark.parametrize("name", ["data-acquisition.yml", "data-creation.yml"])
def test_a_data_issue_is_of_one_version(github: Path, name: str) -> None:
    """The half of I6 that a form can do: it says so, and asks which version that is."""
    form = load(github, name)
    assert {"Dataset", "Version"} <= required(form)
    assert "One issue for each version" in form["body"][0]["attributes"]["value"]


def test_results_can_come_later(github: Path) -> None:
    after = {"Insights", "Next steps", "Runs", "Pull request", "Summary"}
    for name in ("explore.yml", "experiment.yml"):
        assert not after & required(load(github, name))


def test_an_ask_needs_no_knowledge_of_data_science(github: Path) -> None:
    assert required(load(github, "ask.yml")) == {"Problem", "Desired outcome", "Impact"}


# --- links: the forms, and the tool that reads them


@pytest.mark.parametrize("name", FORMS)
def test_link_fields_are_what_the_tool_reads(github: Path, name: str) -> None:
    form = load(github, name)
    numbers = {
        item["attributes"]["label"]: item.get("validations", {}).get("required", False)
        for item in form["body"]
        if item["type"] == "input" and item["attributes"].get("placeholder", "").startswith("#")
    }
    numbers.pop("Pull request", None)
    known = LINKS.get(FORMS[name].split(" (")[0], ())
    assert numbers == {field: needed for field, needed, _ in known}


@pytest.mark.parametrize("name", FORMS)
def test_links_are_read_from_a_form_that_was_filled_in(github: Path, name: str) -> None:
    kind = FORMS[name].split(" (")[0]
    fields = asked(load(github, name))
    filled = "\n\n".join(f"### {label}\n\n#{n}, #{n + 50}" for n, label in enumerate(fields, 1))
    empty = "\r\n\r\n".join(f"### {label}\r\n\r\n_No response_" for label in fields)
    place = {label: n for n, label in enumerate(fields, 1)}
    for link in form_links(kind, filled):
        assert link.numbers == (place[link.field], place[link.field] + 50)
    for link in form_links(kind, empty):
        assert link.numbers == ()


# --- labels

TYPE_COLOURS = {
    "Ask": "c9ecff",
    "Data": "1c587c",
    "Explore": "f0f29b",
    "Experiment": "8569c6",
    "Model": "0b4e82",
    "Deploy": "f79499",
    "Communicate": "f9f345",
}
STATUS_COLOURS = {
    "succeeded": "67d157",
    "failed": "c2021c",
    "on hold": "ffd04f",
    "blocked - need access": "ed9a53",
}


def described(github: Path) -> dict[str, str]:
    """Name and colour of the labels that have a description."""
    labels = yaml.safe_load((github / "labels.yml").read_text(encoding="utf-8"))
    return {label["name"]: label["color"] for label in labels if label["description"]}


@pytest.mark.rule("L1")
def test_there_is_a_label_for_each_type_of_work(github: Path) -> None:
    assert described(github).items() >= TYPE_COLOURS.items()
    assert set(TYPES) == TYPE_COLOURS.keys() - {"Deploy"}


@pytest.mark.rule("L2")
def test_there_are_labels_for_how_work_stands(github: Path) -> None:
    assert described(github).items() >= STATUS_COLOURS.items()
    assert described(github) == TYPE_COLOURS | STATUS_COLOURS
