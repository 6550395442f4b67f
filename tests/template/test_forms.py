"""The issue forms and labels of a project: what they ask for, and that GitHub takes them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dslp.github.forms import LINKS, form_links

from tests import clean, form_lint
from tests.template_copy import ROOT

GITHUB = ROOT / "template" / ".github"
Form = dict[str, Any]
FORMS = {
    "ask.yml": "Ask",
    "communicate.yml": "Communicate",
    "data.yml": "Data",
    "experiment.yml": "Experiment",
    "explore.yml": "Explore",
    "model.yml": "Model",
    "task.yml": "Task",
}


def load(name: str) -> Form:
    return dict(yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / name).read_text(encoding="utf-8")))


def fields(form: Form) -> dict[str, str]:
    """The label of each field, and everything that is said with it."""
    return {
        item["attributes"]["label"]: yaml.safe_dump(item["attributes"], width=10_000).lower()
        for item in form["body"]
        if item["type"] != "markdown"
    }


def required(form: Form) -> set[str]:
    inputs = [item for item in form["body"] if item.get("validations", {}).get("required")]
    return {item["attributes"]["label"] for item in inputs}


def test_github_takes_forms_and_labels() -> None:
    assert clean.github_faults(ROOT / "template") == []


def test_a_value_that_yaml_would_cut_is_seen() -> None:
    text = (GITHUB / "ISSUE_TEMPLATE" / "task.yml").read_text(encoding="utf-8")
    old = re.sub(r'placeholder: "(.+#15.+)"', r"placeholder: \1", text)
    assert old != text
    assert len(list(form_lint.cut_faults(old, is_prose=True))) == 1
    assert list(form_lint.cut_faults("color: #c9ecff\nif: a # why\n", is_prose=False)) != []


# --- What the forms ask for


@pytest.mark.rule("I2")
def test_the_chooser_offers_the_types_of_work_and_a_form_says_when_to_choose_another() -> None:
    forms = {path.name for path in (GITHUB / "ISSUE_TEMPLATE").iterdir()} - {"config.yml"}
    assert {name: load(name)["name"] for name in forms} == FORMS
    assert load("config.yml") == {"blank_issues_enabled": False}
    for name, kind in FORMS.items():
        form = load(name)
        assert form.get("labels", []) == ([] if kind == "Task" else [kind])
        choices = re.findall(r"(?:[Cc]hoose|or) ([A-Z]\w+)", form["description"])
        assert choices, form["description"]
        assert set(choices) <= set(FORMS.values()) - {kind}


def test_the_forms_ask_for_little_and_each_takes_less_than_two_minutes() -> None:
    """Adults read 238 words a minute (Brysbaert 2019); 20 seconds are for each required answer."""
    forms = [load(name) for name in FORMS]
    assert sum(len(required(form)) for form in forms) <= 14
    for form in forms:
        words = sum(len(text.split()) for text in (form["description"], *fields(form).values()))
        assert words / 238 + len(required(form)) * 20 / 60 < 2, form["name"]


CAPTURED = yaml.safe_load(Path(__file__).with_name("forms.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.rule(CAPTURED[name]["rule"])) for name in CAPTURED],
)
def test_what_a_form_captures_and_requires(name: str) -> None:
    form, expected = load(name), CAPTURED[name]
    for label, words in expected["fields"].items():
        missing = [word for word in words if word not in fields(form).get(label, "")]
        assert not missing, f"{label}: {missing}"
    assert set(expected["required"]) == required(form)
    for label in expected["later"]:
        assert re.search("leave it empty|work is done|and what follows", fields(form)[label]), label
    if name == "data.yml":
        assert "One issue for each version" in form["body"][0]["attributes"]["value"]
    boxes = [len(i["attributes"]["options"]) for i in form["body"] if i["type"] == "checkboxes"]
    assert boxes == ([10] if name == "model.yml" else [])


@pytest.mark.parametrize("name", FORMS)
def test_links_are_read_from_a_form_that_was_filled_in(name: str) -> None:
    kind, form = FORMS[name], load(name)
    numbers = {
        item["attributes"]["label"]: item.get("validations", {}).get("required", False)
        for item in form["body"]
        if item["type"] == "input" and item["attributes"].get("placeholder", "").startswith("#")
    }
    numbers.pop("Pull request", None)
    assert numbers == {link.field: link.required for link in LINKS.get(kind, ())}
    place = {label: n for n, label in enumerate(fields(form), 1)}
    filled = "\n\n".join(f"### {label}\n\n#{n}, #{n + 50}" for label, n in place.items())
    empty = "\r\n\r\n".join(f"### {label}\r\n\r\n_No response_" for label in place)
    for link in form_links(kind, filled):
        assert link.numbers == (place[link.field], place[link.field] + 50)
    assert [number for link in form_links(kind, empty) for number in link.numbers] == []
