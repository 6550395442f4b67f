"""The next version follows from what changed: alone, together, and in git."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from dslp.core.semver import parse_version
from dslp.data.versioning import Proposal, Snapshot, propose_version

from tests.library.toy import Toy

Content = dict[str, Any]
Edit = Callable[[Content], object]

PIPELINE = '"""How."""\n\ndef build(raw):\n    """Made."""\n    return raw  # as it is\n'
SCHEMA = """
population: one visit of one person
key: [id, person]
columns:
  id: {type: int64, description: Number of the visit.}
  person: {type: int64}
  amount: {type: double, unit: EUR}
  kind: {type: string, categories: [home, office]}
  note: {type: string, nullable: true, categories: [a]}
  mood: {type: string}
"""
SUITE = """
- {type: expect_table_row_count_to_be_between, kwargs: {min_value: 10}}
- {type: expect_column_values_to_not_be_null, kwargs: {column: id}}
- {type: expect_column_values_to_not_be_null, kwargs: {column: mood, mostly: 0.5}, severity: info}
- {type: expect_column_values_to_be_between, kwargs: {column: amount, min_value: 0, max_value: 9}}
- {type: expect_column_values_to_be_in_set, kwargs: {column: kind, value_set: [home, office]}}
- {type: expect_column_values_to_not_be_in_set, kwargs: {column: mood, value_set: [x, y]}}
- {type: expect_column_values_to_match_regex, kwargs: {column: mood, regex: a}}
"""


def content() -> Content:
    """What the files of a version hold."""
    return {**yaml.safe_load(SCHEMA), "suite": yaml.safe_load(SUITE), "pipeline": PIPELINE}


def snapshot(held: Content, version: str = "1.4.2", **layout: Any) -> Snapshot:
    """A version whose files hold this, in whatever layout."""
    held = dict(held)
    suite, pipeline, digest = held.pop("suite"), held.pop("pipeline"), held.pop("digest", None)
    schema, suite = (yaml.safe_dump(x, **layout) for x in (held, {"expectations": suite}))
    return Snapshot(version, schema, suite, pipeline, digest)


def change(column: str, **values: Any) -> Edit:
    return lambda held: held["columns"][column].update(values)


def expect(number: int, **values: Any) -> Edit:
    return lambda held: held["suite"][number]["kwargs"].update(values)


CHANGES: list[tuple[str, Edit, str]] = [
    ("major", lambda c: c["columns"].pop("person"), "incompatible schema: column person is gone"),
    ("major", change("kind", nullable=True), "incompatible schema: column kind may be null now"),
    ("major", lambda c: c["key"].pop(), "incompatible schema: the key is ['id'], was ['id', 'per"),
    ("major", change("amount", unit="USD"), "changed meaning: unit of column amount is 'USD', was"),
    ("major", lambda c: c.update(population="one day"), "new population: population is 'one day'"),
    ("minor", lambda c: c["columns"].update(new={"type": "bool"}), "new column new"),
    ("minor", change("kind", categories=["office", "car", "home"]), "value of column kind: 'car'"),
    ("minor", lambda c: c["suite"][3]["kwargs"].pop("max_value"), "max_value is None, was 9"),
    ("minor", expect(4, value_set=["home", "office", "car"]), "new allowed value: expect_column_v"),
    ("minor", lambda c: c["suite"][1].update(severity="warning"), "severity is 'warning', was 'c"),
    ("minor", lambda c: c["suite"].pop(), "of mood was removed"),
    ("minor", lambda c: c.update(pipeline=PIPELINE.replace("raw ", "raw[:9] ")), "changed calcula"),
    ("patch", change("note", nullable=False), "column note is never null now"),
    ("patch", change("id", description="Its number."), "reworded description of column id (a chan"),
    ("patch", expect(2, mostly=0.6), "tightened suite: expect_column_values_to_not_be_null of mo"),
    ("patch", expect(3, min_value=1), "tightened suite: expect_column_values_to_be_between of am"),
    ("none", change("mood", description="to be written"), ""),
    ("none", lambda c: c["suite"][0].update(description="Enough.", meta={"by": "me"}), ""),
    ("none", lambda c: c["suite"].insert(0, c["suite"].pop(4)), ""),
    ("none", expect(3, strict_max=False, mostly=1.0), ""),
]


@pytest.mark.rule("D8")
@pytest.mark.parametrize(("level", "edit", "reason"), CHANGES)
def test_a_change_has_its_level_and_its_reason(level: str, edit: Edit, reason: str) -> None:
    old, new = content(), content()
    edit(new)
    proposal = propose_version(snapshot(old), snapshot(new))
    assert proposal.level == level, proposal.reasons
    assert [reason in each.text for each in proposal.reasons] == [True] * (level != "none")
    after = {"major": "2.0.0", "minor": "1.5.0", "patch": "1.4.3", "none": "1.4.2"}[level]
    assert proposal.proposed == after
    before = propose_version(snapshot(old, "0.4.2"), snapshot(new, "0.4.2"))
    lower = {"major": "minor", "minor": "patch" if "calcula" in reason else "minor"}
    assert before.level == lower.get(level, level), "before 1.0.0"
    assert parse_version(before.proposed) < (1, 0, 0)


@pytest.mark.rule("D8")
def test_another_layout_and_what_is_stated_for_the_first_time_change_nothing() -> None:
    old, new = content(), content()
    new["columns"] = dict(reversed(new["columns"].items()))
    new["suite"].reverse()
    new["key"].reverse()
    new["pipeline"] = "# Otherwise.\ndef build(raw): return (raw)\n"
    styled = snapshot(new, default_flow_style=True, sort_keys=False, width=20)
    assert propose_version(snapshot(old), styled) == Proposal("none", [], "1.4.2")
    for part in ("key", "population"):
        del old[part]
    assert propose_version(snapshot(old), styled).level == "patch"


@pytest.mark.rule("D8")
def test_a_pipeline_counts_by_what_it_does_and_by_its_result() -> None:
    copied = PIPELINE.replace("return raw", "return raw.copy()")
    for pipeline, before, after, level in (
        (copied, "a", None, "minor"),
        (copied, "a", "b", "minor"),
        (copied, "a", "a", "patch"),
        (PIPELINE, "a", "b", "patch"),
        (PIPELINE, None, "b", "none"),
    ):
        old, new = content() | {"digest": before}, content() | {"digest": after}
        new["pipeline"] = pipeline
        assert propose_version(snapshot(old), snapshot(new)).level == level


VERSION = ("data", "version", "visits")


@pytest.mark.rule("D8")
def test_a_version_that_is_too_small_is_refused_and_the_proposed_one_written_once(toy: Toy) -> None:
    toy.commit()
    toy.git("switch", "--quiet", "--create", "data/14-more-visits")
    assert toy.done(*VERSION).out.splitlines() == [
        "visits",
        "last version: 1.2.0 (in git, where this branch left main)",
        "proposed: 1.2.0 (none)",
        "stated in datasheet.md: 1.2.0",
    ]
    toy.edit(toy.dataset / "suite.yml", "max_value: 100", "max_value: 200")
    outcome, sheet = toy.run(*VERSION), toy.dataset / "datasheet.md"
    assert outcome.code == 1
    small = "too small after 1.2.0: it takes 1.3.0 (minor: new allowed value"
    assert f"states 1.2.0, {small}" in outcome.error
    assert "max_value is 200, was 100" in " ".join(outcome.out.split())
    as_json = toy.run(*VERSION, "--json")
    (result,) = json.loads(as_json.out)["results"]
    assert (as_json.code, result["ok"]) == (1, False)
    assert small in result["findings"][0]["problem"]
    details = {"stated": "1.2.0", "last": "1.2.0", "proposed": "1.3.0", "level": "minor"}
    assert details.items() <= result["details"].items()
    assert result["details"]["reasons"][0]["level"] == "minor"
    toy.edit(sheet, "version: 1.2.0", "version: 1.2.9")
    assert "states 1.2.9, too small after 1.2.0" in toy.run(*VERSION).error
    toy.edit(sheet, "version: 1.2.9", "version: 1.2.0")
    assert "written: 1.3.0" in toy.done(*VERSION, "--write").out
    text = sheet.read_text()
    assert "version: 1.3.0\nissue: 14\nowner: nobody\n" in text
    assert "| 1.2.0 | 3 | made up |\n| 1.3.0 | 14 | new allowed value: expect_column_val" in text
    assert "nothing to write" in toy.done(*VERSION, "--write", "--change", "other words").out
    assert sheet.read_text() == text
    toy.done(*VERSION)
    toy.edit(sheet, "version: 1.3.0", "version: 2.0.0")  # a larger one is kept
    assert "no line for 2.0.0 in its history" in toy.run(*VERSION).error
    toy.done(*VERSION, "--write", "--issue", "15", "--change", "new | wards")
    assert "version: 2.0.0\nissue: 15\n" in sheet.read_text()
    assert sheet.read_text().endswith("| 2.0.0 | 15 | new \\| wards |\n")


@pytest.mark.rule("D8")
def test_the_datasets_that_changed_since_a_branch_are_all_compared(toy: Toy) -> None:
    for name in ("first", "second", "third"):
        toy.pipeline("def build(raw):\n    return raw", name)
    first = toy.done(*VERSION, "--write").out
    assert "last version: none, this is the first (none is known)" in first
    assert "nothing to write" in first
    toy.commit()
    toy.git("switch", "--quiet", "--create", "data/14-more")
    since = ("data", "version", "--since", "main")
    assert "no dataset has changed since main" in toy.done(*since).err
    for name in ("first", "third"):
        toy.edit(toy.dataset.with_name(name) / "schema.yml", "amount:", "price:")
    (toy.dataset.with_name("second") / "schema.yml").unlink()
    toy.commit()
    outcome = toy.run(*since)
    assert outcome.code == 2, "one is not complete"
    assert "second has no schema.yml" in outcome.error
    assert outcome.out.count("it takes 2.0.0") == 2
    assert toy.run(*since, "first").code == 1
    assert "visits" not in outcome.out
    assert "every dataset counts as changed" in toy.run("data", "version", "--since", "gone").err
