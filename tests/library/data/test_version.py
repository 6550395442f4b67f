"""The next version follows from what changed: alone, together, and in git."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from dslp.core.errors import DslpError
from dslp.core.semver import LEVELS, parse_version
from dslp.data import versioning as versions
from dslp.data.dataset import Dataset
from dslp.data.versioning import Proposal, Snapshot, propose_version
from hypothesis import given, settings
from hypothesis import strategies as st

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


# Each edit touches a place of its own, so any of them can be made together.
CHANGES: list[tuple[str, Edit, str]] = [
    ("major", lambda c: c["columns"].pop("person"), "incompatible schema: column person is gone"),
    ("major", change("id", type="int32"), "incompatible schema: column id is int32, was int64"),
    ("major", change("kind", nullable=True), "incompatible schema: column kind may be null now"),
    ("major", lambda c: c["key"].pop(), "incompatible schema: the key is ['id'], was ['id', 'per"),
    ("major", change("amount", unit="USD"), "changed meaning: unit of column amount is 'USD', was"),
    ("major", lambda c: c.update(population="one day"), "new population: population is 'one day'"),
    ("minor", lambda c: c["columns"].update(new={"type": "bool"}), "new column new"),
    ("minor", change("kind", categories=["office", "car", "home"]), "value of column kind: 'car'"),
    ("minor", lambda c: c["columns"]["note"].pop("categories"), "value of column note: any"),
    ("minor", expect(0, min_value=9), "min_value is 9, was 10"),
    ("minor", expect(1, mostly=0.9), "mostly is 0.9, was 1"),
    ("minor", lambda c: c["suite"][3]["kwargs"].pop("max_value"), "max_value is None, was 9"),
    (
        "minor",
        expect(4, value_set=["home", "office", "car"]),
        "new allowed value: expect_column_va",
    ),
    ("minor", expect(5, value_set=["x"]), "new allowed value: expect_column_values_to_not_be_in"),
    (
        "minor",
        lambda c: c["suite"][1].update(severity="warning"),
        "severity is 'warning', was 'cri",
    ),
    ("minor", lambda c: c["suite"].pop(), "of mood is expected no more"),
    ("minor", lambda c: c.update(pipeline=PIPELINE.replace("raw ", "raw[:9] ")), "changed calcula"),
    ("patch", change("note", nullable=False), "column note is never null now"),
    ("patch", change("id", description="Its number."), "reworded description of column id (a chan"),
    ("patch", change("note", unit="people"), "unit of column note added (a changed meaning"),
    ("patch", change("mood", categories=["a"]), "column mood has categories now"),
    (
        "patch",
        expect(2, mostly=0.6),
        "tightened suite: expect_column_values_to_not_be_null of mood",
    ),
    ("patch", lambda c: c["suite"][2].update(severity="critical"), "severity is 'critical', was"),
    ("patch", expect(3, min_value=1), "tightened suite: expect_column_values_to_be_between of am"),
    ("patch", expect(3, strict_min=True), "strict_min is True, was False"),
    (
        "patch",
        lambda c: c["suite"].append({"type": "expect_x"}),
        "expect_x of the table is expecte",
    ),
    ("none", change("mood", description="to be written"), ""),
    ("none", lambda c: c["suite"][0].update(description="Enough.", meta={"by": "me"}), ""),
    ("none", lambda c: c["suite"].insert(0, c["suite"].pop(4)), ""),
]


@pytest.mark.rule("D8")
@pytest.mark.parametrize(("level", "edit", "reason"), CHANGES)
def test_a_change_has_its_level_and_its_reason(level: str, edit: Edit, reason: str) -> None:
    old, new = content(), content()
    edit(new)
    found = propose_version(snapshot(old), snapshot(new))
    assert found.level == level, found.reasons
    assert [reason in each.text for each in found.reasons] == [True] * (level != "none")
    after = {"major": "2.0.0", "minor": "1.5.0", "patch": "1.4.3", "none": "1.4.2"}[level]
    assert found.version == after
    before = propose_version(snapshot(old, "0.4.2"), snapshot(new, "0.4.2"))
    lower = {"major": "minor", "minor": "patch" if "calcula" in reason else "minor"}
    assert before.level == lower.get(level, level), "before 1.0.0"
    assert parse_version(before.version) < (1, 0, 0)


@pytest.mark.rule("D8")
def test_to_state_what_goes_without_saying_is_no_change() -> None:
    plain, stated = content(), content()
    expect(3, strict_min=False, strict_max=False, mostly=1.0)(stated)
    for old, new in ((plain, stated), (stated, plain)):
        assert propose_version(snapshot(old), snapshot(new)).level == "none"


@pytest.mark.rule("D8")
def test_what_is_stated_for_the_first_time_held_before() -> None:
    old, new = content(), content()
    for part in ("key", "population"):
        del old[part]
    assert propose_version(snapshot(old), snapshot(new)).level == "patch"


@pytest.mark.rule("D8")
@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, len(CHANGES) - 1)))
def test_changes_together_ask_for_what_the_largest_of_them_asks(chosen: set[int]) -> None:
    new = content()
    for each in sorted(chosen):
        CHANGES[each][1](new)
    found = propose_version(snapshot(content()), snapshot(new))
    levels = [LEVELS.index(CHANGES[each][0]) for each in chosen]
    assert LEVELS.index(found.level) == max(levels, default=0)


names = st.sampled_from(["id", "kind", "amount", "visits", "größe"])
words = st.sampled_from(["EUR", "visits a year", "of a person", "to be written"])
columns = st.fixed_dictionaries(
    {"type": st.sampled_from(["int64", "double", "string"])},
    optional={"unit": words, "description": words, "nullable": st.booleans()},
)
schemas = st.fixed_dictionaries(
    {"columns": st.dictionaries(names, columns, min_size=1)},
    optional={"population": words, "key": st.lists(names, unique=True)},
)
numbers = st.builds("{}.{}.{}".format, *[st.integers(0, 12)] * 3)


def with_schema(schema: Content) -> Content:
    return {**schema, "suite": yaml.safe_load(SUITE), "pipeline": PIPELINE}


@pytest.mark.rule("D8")
@settings(max_examples=60, deadline=None)
@given(schemas, numbers)
def test_nothing_follows_from_another_layout(schema: Content, version: str) -> None:
    old = with_schema(schema)
    new = with_schema({**schema, "columns": dict(reversed(schema["columns"].items()))})
    new["suite"].reverse()
    new["pipeline"] = "# Otherwise.\ndef build(raw): return (raw)\n"
    new["key"] = list(reversed(schema.get("key", [])))
    styled = snapshot(new, version, default_flow_style=True, sort_keys=False, width=20)
    assert propose_version(snapshot(old, version), styled) == Proposal("none", [], version)


@pytest.mark.rule("D8")
@settings(max_examples=100, deadline=None)
@given(schemas, schemas, numbers)
def test_a_proposal_is_later_than_the_last_version_and_no_smaller_than_a_reason(
    old: Content, new: Content, version: str
) -> None:
    found = propose_version(
        snapshot(with_schema(old), version), snapshot(with_schema(new), version)
    )
    levels = [LEVELS.index(reason.level) for reason in found.reasons]
    assert levels == sorted(levels, reverse=True), "what decides comes first"
    assert LEVELS.index(found.level) == max(levels, default=0)
    assert (parse_version(found.version) > parse_version(version)) == (found.level != "none")
    whole = parse_version(version) >= (1, 0, 0)
    assert whole or (found.level != "major" and parse_version(found.version) < (1, 0, 0))
    if old["columns"].keys() - new["columns"].keys():
        assert found.level == ("major" if whole else "minor")


@pytest.mark.rule("D8")
@pytest.mark.parametrize(
    ("changed", "before", "after", "level"),
    [
        (True, None, None, "minor"),
        (True, "a", None, "minor"),
        (True, "a", "b", "minor"),
        (True, "a", "a", "patch"),
        (False, "a", "b", "patch"),
        (False, "a", "a", "none"),
        (False, None, "b", "none"),
    ],
)
def test_a_pipeline_is_judged_by_what_it_does_and_what_it_made(
    changed: bool, before: str | None, after: str | None, level: str
) -> None:
    old, new = content() | {"digest": before}, content() | {"digest": after}
    new["pipeline"] = PIPELINE.replace("return raw", "return raw.copy()") if changed else PIPELINE
    assert propose_version(snapshot(old), snapshot(new)).level == level


def test_a_last_version_that_cannot_be_read_vouches_for_nothing() -> None:
    new = snapshot(content())
    assert (
        propose_version(Snapshot("1.0.0", "columns: [", new.suite, "def", None), new).level
        == "major"
    )
    assert propose_version(Snapshot("1.0.0", new.schema, "3", PIPELINE, None), new).level == "minor"
    with pytest.raises(DslpError, match=r"schema\.yml"):
        propose_version(new, Snapshot("1.0.0", "", new.suite, PIPELINE))
    with pytest.raises(DslpError, match=r"suite\.yml has no expectations"):
        propose_version(new, Snapshot("1.0.0", new.schema, "expectations: [3]", PIPELINE))


def stated(toy: Toy, version: str) -> None:
    now = Dataset(toy.project, "visits").version
    toy.edit(toy.dataset / "datasheet.md", f"version: {now}", f"version: {version}")


def looser(toy: Toy) -> None:
    toy.edit(toy.dataset / "suite.yml", "max_value: 100", "max_value: 200")


VERSION = ("data", "version", "visits")


@pytest.fixture
def branch(toy: Toy) -> Toy:
    """The branch of a Data issue, just begun."""
    toy.commit()
    toy.git("switch", "--quiet", "--create", "data/14-more-visits")
    return toy


@pytest.mark.rule("D8")
def test_a_version_that_is_too_small_is_refused(branch: Toy) -> None:
    assert branch.done("data", "version", "visits").out.splitlines() == [
        "last version: 1.2.0 (in git, where this branch left main)",
        "proposed: 1.2.0 (none)",
        "stated in datasheet.md: 1.2.0",
    ]
    looser(branch)
    outcome = branch.run("data", "version", "visits")
    assert outcome.code == 1
    assert "states 1.2.0, too small after 1.2.0: it takes 1.3.0 (minor: new allowed value" in (
        outcome.error
    )
    assert "max_value is 200, was 100" in " ".join(outcome.out.split())
    branch.commit()
    stated(branch, "1.2.9")
    assert "states 1.2.9, too small after 1.2.0" in branch.run("data", "version", "visits").error
    for larger in ("1.3.0", "1.4.2", "2.0.0"):
        stated(branch, larger)
        assert f"no line for {larger} in its history" in branch.run(*VERSION).error
        branch.done(*VERSION, "--write")
        branch.done(*VERSION)


@pytest.mark.rule("D8")
def test_the_proposed_version_is_written_once(branch: Toy) -> None:
    looser(branch)
    assert "written: 1.3.0" in branch.done("data", "version", "visits", "--write").out
    sheet = (branch.dataset / "datasheet.md").read_text()
    assert "version: 1.3.0\nissue: 14\nowner: nobody\n" in sheet
    assert "| 1.2.0 | 3 | made up |\n| 1.3.0 | 14 | new allowed value: expect_column_val" in sheet
    again = branch.done("data", "version", "visits", "--write", "--change", "other words")
    assert "nothing to write" in again.out
    assert (branch.dataset / "datasheet.md").read_text() == sheet
    branch.done("data", "version", "visits")


def test_a_larger_version_is_kept_and_told_in_the_words_given(branch: Toy) -> None:
    looser(branch)
    stated(branch, "2.0.0")
    branch.git("switch", "--quiet", "--create", "mine")
    arguments = ["data", "version", "visits", "--write", "--issue", "15", "--change", "new | wards"]
    branch.done(*arguments)
    sheet = (branch.dataset / "datasheet.md").read_text()
    assert "version: 2.0.0\nissue: 15\n" in sheet
    assert sheet.endswith("| 2.0.0 | 15 | new \\| wards |\n")


def test_the_first_version_is_what_the_datasheet_states(toy: Toy) -> None:
    said = toy.done("data", "version", "visits").out
    assert "last version: none, this is the first (none is known)" in said
    assert "proposed: 1.2.0 (none)" in said
    assert "nothing to write" in toy.done("data", "version", "visits", "--write").out


def test_a_registered_version_counts_before_what_git_knows(
    branch: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset(branch.project, "visits")
    before = Snapshot.of(dataset.folder)
    looser(branch)
    monkeypatch.setattr(versions, "_registered", lambda _: before)
    assert versions.compare_versions(dataset).origin == "registered"
    older = Snapshot("1.1.0", before.schema.replace("visits:", "others:"), before.suite, PIPELINE)
    monkeypatch.setattr(versions, "_registered", lambda _: older)
    found = versions.compare_versions(dataset)
    assert (found.last, found.proposal.version) == ("1.1.0", "2.0.0"), "the larger proposal"


def test_a_pipeline_that_makes_the_same_is_a_correction(
    built: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dslp.data.fingerprint import digest

    dataset = Dataset(built.project, "visits")
    before = Snapshot.of(dataset.folder, digest(dataset))
    monkeypatch.setattr(versions, "_registered", lambda _: before)
    built.edit(dataset.folder / "pipeline.py", "return raw", "return raw.copy()")
    assert versions.compare_versions(dataset).proposal.level == "minor", (
        "not built by this pipeline"
    )
    built.done("data", "build")
    found = versions.compare_versions(dataset).proposal
    assert found.version == "1.2.1"
    assert "correction or speed" in found.reasons[0].text


@pytest.mark.rule("D8")
def test_the_datasets_that_changed_since_a_branch_are_all_judged(toy: Toy) -> None:
    for name in ("first", "second", "third"):
        toy.pipeline("def build(raw):\n    return raw", name)
    toy.commit()
    toy.git("switch", "--quiet", "--create", "data/14-more")
    since = ("data", "version", "--since", "main")
    assert "no dataset has changed since main" in toy.done(*since).out
    for name in ("first", "third"):
        toy.edit(toy.dataset.with_name(name) / "schema.yml", "amount:", "price:")
    (toy.dataset.with_name("second") / "schema.yml").unlink()
    toy.commit()
    outcome = toy.run(*since)
    assert outcome.code == 2, "one is not complete"
    assert "second has no schema.yml" in outcome.error
    assert outcome.out.count("it takes 2.0.0") == 2
    assert toy.run("data", "version", "--since", "main", "first").code == 1
    assert "visits" not in outcome.out
    assert "every dataset counts as changed" in toy.run("data", "version", "--since", "gone").out
