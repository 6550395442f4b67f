"""Every fault that GitHub refuses, or drops without a word, is found in forms and labels."""

from pathlib import Path

import pytest

from tests import form_lint

FORM = """\
name: Good
description: A form that GitHub takes.
labels: [Ask]
body:
  - type: input
    id: first
    attributes:
      label: First
  - type: textarea
    attributes:
      label: Second
  - type: dropdown
    attributes:
      label: Third
      options: [one day, two days]
      default: 1
  - type: checkboxes
    attributes:
      label: Fourth
      options:
        - label: tests
"""

# What is put in the place of what, and the words of the fault that must be found.
BROKEN = {
    "a label that does not exist": ("[Ask]", "[ask]", "'ask' is not in labels.yml"),
    "no name": ("name: Good\n", "", "name: None is not text"),
    "a name that YAML reads": ("name: Good", "name: Yes", "name: True is not text"),
    "a blank name": ("name: Good", 'name: "  "', "name: '  ' is not text"),
    "no description": ("description: A form that GitHub takes.\n", "", "description: None"),
    "a long description": ("A form", "A" * 200, "GitHub takes 3 to 200"),
    "a short description": ("A form that GitHub takes.", "No", "description: False is not text"),
    "two letters of description": ("A form that GitHub takes.", "Hm", "2 characters"),
    "an empty title": ("labels:", 'title: ""\nlabels:', "title: '' is not text"),
    "the same id": ("  - type: textarea\n", "  - type: textarea\n    id: first\n", "id 'first'"),
    "the same label": ("label: Second", "label: First", "label 'First' is there twice"),
    "labels too similar": ("label: Second", "label: third??", "is called 'third'"),
    "a label like an id": ("label: Second", "label: FIRST!", "is called 'first'"),
    "a box like a field": ("label: tests", "label: Second", "is called 'second'"),
    "a forbidden word": ("label: First", "label: Your password", "contains a forbidden word"),
    "another forbidden word": ("label: Second", "label: API key", "contains a forbidden word"),
    "a number as label": ("label: First", "label: 1.3", "label: 1.3 is not text"),
    "a field without label": ("      label: First", "      placeholder: a", "label: None"),
    "a blank placeholder": ("label: First", "label: First\n      placeholder: ' '", "placeholder"),
    "the option None": ("[one day, two days]", "[one day, None]", "option 'None' is reserved"),
    "the option none": ("[one day, two days]", "[one day, none]", "option 'none' is reserved"),
    "the option Yes": ("[one day, two days]", "[Yes, maybe]", "option True is not text"),
    "the option No": ("[one day, two days]", "[maybe, No]", "option False is not text"),
    "a number as option": ("[one day, two days]", "[1, two]", "option 1 is not text"),
    "an option twice": ("[one day, two days]", "[one, one]", "option 'one' is there twice"),
    "a default that is no option": ("default: 1", "default: 2", "there is no option 2"),
    "a box twice": ("- label: tests", "- label: tests\n        - label: tests", "'tests' is"),
    "a key that YAML reads": ("labels:", "on: a\nlabels:", "key True is not text"),
    "two documents": ("body:", "---\nbody:", "not one YAML document"),
    "no body": (FORM[FORM.index("body:") :], "body: []\n", "asks for nothing"),
    "nothing but text": (
        FORM[FORM.index("  - type: input") :],
        "  - type: markdown\n    attributes:\n      value: Read this.\n",
        "asks for nothing",
    ),
    "empty text": ("body:\n", "body:\n  - type: markdown\n    attributes: {}\n", "value: None"),
}


def test_a_good_form_has_no_faults() -> None:
    assert list(form_lint.form_faults(FORM, ["Ask"])) == []


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_fault_in_a_form_is_found(change: tuple[str, str, str]) -> None:
    old, new, words = change
    assert FORM.count(old) == 1
    found = list(form_lint.form_faults(FORM.replace(old, new), ["Ask"]))
    assert any(words in fault for fault in found), found


def test_two_forms_of_one_name_are_found(tmp_path: Path) -> None:
    forms = tmp_path / "ISSUE_TEMPLATE"
    forms.mkdir()
    for name in ("one.yml", "two.yaml"):
        (forms / name).write_text(FORM)
    (tmp_path / "labels.yml").write_text(LABELS)
    assert form_lint.faults(tmp_path) == ["name 'Good': used by more than one form"]


LABELS = """\
- name: Ask
  color: "c9ecff"
  description: A question
- name: on hold
  color: '123456'
  description: Nobody works on it
  aliases: [paused]
"""

BROKEN_LABELS = {
    "a colour without quotes": ('"c9ecff"', "c9ecff", "Ask: colour 'c9ecff'"),
    "a colour that is a comment": ('"c9ecff"', "#c9ecff", "Ask: colour None"),
    "a colour that is a number": ("'123456'", "123456", "on hold: colour 123456"),
    "a colour with its mark": ('"c9ecff"', '"#c9ecff"', "colour '#c9ecff'"),
    "a colour in capitals": ('"c9ecff"', '"C9ECFF"', "colour 'C9ECFF'"),
    "half a colour": ('"c9ecff"', '"c9e"', "colour 'c9e'"),
    "no description": ("  description: A question\n", "", "a description has 1 to 100"),
    "a long description": ("A question", "A" * 101, "a description has 1 to 100"),
    "a name twice": ("on hold", "ASK", "ask: is there twice"),
    "an old name in use": ("[paused]", "[ask]", "ask: is there twice"),
    "a name that YAML reads": ("name: on hold", "name: on", "name: True is not text"),
    "a long name": ("on hold", "h" * 51, "longer than 50"),
    "a key that nobody reads": ("  aliases", "  from_name", "from_name is not known"),
    "no list": (LABELS, "Ask: c9ecff\n", "is not a list of labels"),
}


def test_good_labels_have_no_faults() -> None:
    assert list(form_lint.label_faults(LABELS)) == []


@pytest.mark.parametrize("change", BROKEN_LABELS.values(), ids=BROKEN_LABELS)
def test_a_fault_in_the_labels_is_found(change: tuple[str, str, str]) -> None:
    old, new, words = change
    assert LABELS.count(old) == 1
    found = list(form_lint.label_faults(LABELS.replace(old, new)))
    assert any(words in fault for fault in found), found
