"""The datasheet's front matter is checked, and what a machine writes into it leaves the rest."""

import pytest
from dslp.core.errors import DslpError
from dslp.data import datasheet
from dslp.data.dataset import Dataset
from hypothesis import given
from hypothesis import strategies as st

from tests.library.toy import Toy

SHEET = """---
# what a machine checks
version: 1.2.0  # as it was agreed
owner: nobody
licence: public domain
issue: 3 # of this version
parents: [visits]
personal_data: no
known_issues:
  - "made up: all of it"
---

# visits

Prose with a | and a *star*.

| version | issue | change |
| --- | --- | --- |
| 1.2.0 | 3 | made up |

The end.
"""


def test_what_the_front_matter_says_is_read(toy: Toy) -> None:
    (toy.dataset / "datasheet.md").write_text(SHEET)
    dataset = Dataset(toy.project, "visits")
    assert dataset.version == "1.2.0"
    assert dataset.sheet.issue == 3
    assert dataset.sheet.parents == ["visits"]
    assert dataset.sheet.personal_data is False
    assert dataset.sheet.known_issues == ["made up: all of it"]
    assert dataset.sheet.ci == "build", "which is what is meant where nothing is said"


@pytest.mark.rule("D9")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("version: 1.2.0", "version: 1.0", "version is 1.0; write three numbers, such as 1.0.0"),
        ("version: 1.2.0", "version: 01.2.0", "version is '01.2.0'; write three numbers"),
        ("version: 1.2.0", "version: v1.2.0", "version is 'v1.2.0'; write three numbers"),
        ("version: 1.2.0", "version: ", "version is None; write three numbers"),
        ("version: 1.2.0", "version: ١.2.0", "; write three numbers"),
        ("issue: 3", "issue: '3'", "issue is '3'; write the number of the version's issue"),
        ("issue: 3", "issue: yes", "issue is True; write the number"),
        ("issue: 3", "issue: 0", "issue is 0; write the number"),
        ("owner: nobody\n", "", "owner is missing; write who answers for the dataset"),
        ("owner: nobody", "owner: ' '", "owner is ' '; write who"),
        ("owner: nobody", "owner: no", "owner is False; write who"),
        ("licence:", "license:", "license is no field of a datasheet; there are version, issue"),
        ("parents: [visits]", "parents: visits", "parents is 'visits'; write what it is built"),
        ("personal_data: no", "personal_data: maybe", "personal_data is 'maybe'; write yes or no"),
        ("personal_data: no", "personal_data: 0", "personal_data is 0; write yes or no"),
        ('"made up: all of it"', "made up: all of it", 'in "quotes" where they hold a colon'),
        ("parents:", "ci: sometimes\nparents:", "ci is 'sometimes'; write how the data comes to"),
        ("issue: 3", "version: 1.3.0", "'version' is there twice; leave one"),
        ("owner: nobody", "owner: [", "datasheet.md is not valid YAML"),
        ("---\n# what", "# what", "states no version; begin it with the lines ---"),
        ("---\n\n# visits", "\n# visits", "states no version; begin it with the lines ---"),
    ],
)
def test_a_mistake_is_named_with_its_file_its_field_and_what_to_write(
    built: Toy, old: str, new: str, said: str
) -> None:
    path = built.dataset / "datasheet.md"
    path.write_text(SHEET.replace(old, new), encoding="utf-8")
    outcome = built.run("data", "version", "visits")
    assert outcome.code == 2
    assert f"{path}" in outcome.error
    assert said in outcome.error


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = SHEET.replace("1.2.0 ", "1.2 ").replace("nobody", "3")
    with pytest.raises(DslpError, match=r"version is 1\.2; .*owner is 3; "):
        datasheet.parse_datasheet(wrong, "datasheet.md")


@pytest.mark.parametrize("content", [b"---\nversion: 1.0.0\nowner: Jos\xe9\n---\n", None])
def test_a_file_that_is_missing_or_no_text_is_named(toy: Toy, content: bytes | None) -> None:
    path = toy.dataset / "datasheet.md"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DslpError, match=r"datasheet\.md (is missing|cannot be read)"):
        _ = Dataset(toy.project, "visits").version


@pytest.mark.rule("D8")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_another_version_changes_its_lines_and_nothing_else(end: str) -> None:
    made = datasheet.with_version(SHEET.replace("\n", end), "1.3.0", 12, "new column kind")
    expected = (
        SHEET.replace("version: 1.2.0  #", "version: 1.3.0  #")
        .replace("issue: 3 #", "issue: 12 #")
        .replace("made up |\n", "made up |\n| 1.3.0 | 12 | new column kind |\n")
    )
    assert made == expected.replace("\n", end)
    assert datasheet.with_version(made, "1.3.0", 12, "again") == made


def test_an_issue_is_added_below_the_version_and_taken_away_with_it() -> None:
    without = datasheet.with_version(SHEET, "1.3.0", None, "rerun")
    assert "issue: 3" not in without
    assert datasheet.parse_datasheet(without, "").issue is None
    added = datasheet.with_version(without, "1.4.0", 15, "rerun")
    assert "version: 1.4.0  # as it was agreed\nissue: 15\nowner" in added


def test_a_history_is_begun_where_there_is_none() -> None:
    made = datasheet.with_version(SHEET[: SHEET.index("| version")], "1.3.0", 4, "rerun")
    assert "\n\n**History.**\n\n| version | issue | change |\n| --- | --- | --- |\n" in made
    assert made.endswith("|\n| 1.3.0 | 4 | rerun |\n")


def test_a_history_is_found_as_people_write_it_and_no_line_is_passed_over() -> None:
    sheet = SHEET.replace("| version |", "| Version |")
    assert datasheet.with_version(sheet, "1.2.0", 3, "again") == sheet
    for odd in ("| 1.2.0 | 3 | made up | by me |", "| 1.2.0 | 3 |"):
        mangled = SHEET.replace("| 1.2.0 | 3 | made up |", odd)
        with pytest.raises(DslpError, match=r"history has the line '\| 1\.2\.0 \| 3"):
            datasheet.with_version(mangled, "1.3.0", 12, "rerun")


def test_a_version_that_cannot_be_edited_is_left_to_the_person() -> None:
    folded = SHEET.replace("version: 1.2.0  # as it was agreed", "version: >-\n  1.2.0")
    assert datasheet.parse_datasheet(folded, "").version == "1.2.0"
    with pytest.raises(DslpError, match="version"):
        datasheet.with_version(folded, "1.3.0", 3, "rerun")


@given(st.text())
def test_any_text_is_one_cell_of_one_line(change: str) -> None:
    made = datasheet.with_version(SHEET, "1.3.0", 12, change)
    assert len(made.split("\n")) == len(SHEET.split("\n")) + 1
    (first, last) = datasheet.history(made)
    assert first == ("1.2.0", "3", "made up")
    assert last[:2] == ("1.3.0", "12")
    assert "<" not in last[2]


@given(st.text(), st.text())
def test_a_block_is_replaced_whatever_it_holds(block: str, other: str) -> None:
    made = datasheet.replace_block(SHEET, block)
    assert made.startswith(SHEET)
    again = datasheet.replace_block(made + "Prose.\n", other)
    assert again == datasheet.replace_block(SHEET, other) + "Prose.\n"


@pytest.mark.parametrize(
    "markers",
    [datasheet.BEGIN, datasheet.END, datasheet.END + datasheet.BEGIN, 2 * datasheet.BEGIN],
)
def test_markers_that_do_not_pair_are_refused(markers: str) -> None:
    with pytest.raises(DslpError, match="once each"):
        datasheet.replace_block(SHEET + markers, "figures")
