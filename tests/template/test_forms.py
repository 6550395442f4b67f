"""The issue forms and labels of a project: what they ask for, and that GitHub takes them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dslp.github.entities import TYPES
from dslp.github.forms import LINKS, read_form

from tests.template_copy import ROOT, issue_form

GITHUB = ROOT / "template" / ".github"
Form = dict[str, Any]
FORMS = {f"{kind.lower()}.yml": kind for kind in (*TYPES, "Task")}


def load(name: str) -> Form:
    return dict(yaml.safe_load(issue_form(name).read_text(encoding="utf-8")))


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


def test_the_page_counts_what_one_ask_takes_from_a_person() -> None:
    page = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    walk = page.split("From an Ask to value")[1].split("```")[1].splitlines()[1:]
    forms = [load(f"{line.split()[-1]}.yml") for line in walk if "new issue" in line]
    count = [sum(len(part(form)) for form in forms) for part in (fields, required)]
    branches = sum("dslp start" in line for line in walk) - 1  # the model's is made by the machine
    texts = sum(bool(re.fullmatch(r"gh issue edit \d+", line)) for line in walk)
    table = re.findall(r"^\| .+? \| \d+ \| (\d+) \|$", page, re.MULTILINE)
    assert list(map(int, table)) == [len(forms), *count, branches, 0, texts, len(walk)]


# --- What the forms ask for


@pytest.mark.rule("I2")
def test_the_chooser_offers_the_types_of_work_and_a_form_says_when_to_choose_another() -> None:
    forms = {
        path.name.removeprefix("{{ prefix }}") for path in (GITHUB / "ISSUE_TEMPLATE").iterdir()
    } - {"config.yml"}
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
def test_the_fields_that_name_issues_are_those_of_the_library(name: str) -> None:
    form = read_form(issue_form(name)).fields
    numbers = [one for one in form if form[one].get("placeholder", "").startswith("#")]
    links = {one: one in required(load(name)) for one in numbers if one != "Pull request"}
    assert links == {link.field: link.required for link in LINKS.get(FORMS[name], ())}
