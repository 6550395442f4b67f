"""The datasheet's front matter is checked, and what a machine writes into it leaves the rest."""

import pytest
from dslp.core.errors import DslpError
from dslp.data import datasheet
from hypothesis import given
from hypothesis import strategies as st

from tests.library.data.suites import fails
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


@pytest.mark.rule("D9")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1.2.0", "version: 1.0", "version is 1.0; write three numbers, such as 1.0.0"),
        ("version: 1.2.0", "version: 01.2.0", "version is '01.2.0'; write three numbers"),
        ("issue: 3", "issue: '3'", "issue is '3'; write the number of the version's issue"),
        ("owner: nobody\n", "", "owner is missing; write who answers for the dataset"),
        ("licence:", "license:", "license is no field of a datasheet; "),
        ("personal_data: no", "personal_data: 0", "personal_data is 0; write yes or no"),
        ('"made up: all of it"', "made up: all of it", 'in "quotes" where they hold a colon'),
        ("parents:", "ci: sometimes\nparents:", "ci is 'sometimes'; write how the data comes to"),
        ("issue: 3", "version: 1.3.0", "'version' is written twice; leave one"),
        ("---\n# what", "# what", "states no version; begin it with the lines ---"),
    ],
)
def test_a_mistake_is_named_and_what_to_write(toy: Toy, old: str, new: str, message: str) -> None:
    path = toy.dataset / "datasheet.md"
    path.write_text(SHEET.replace(old, new), encoding="utf-8")
    error = fails(toy, "data", "version", "visits")
    assert (f"{path}" in error, message in error) == (True, True), error


@pytest.mark.rule("D8")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_another_version_changes_its_lines_and_nothing_else(end: str) -> None:
    edited = datasheet.with_version(SHEET.replace("\n", end), "1.3.0", 12, "new column kind")
    expected = (
        SHEET.replace("version: 1.2.0  #", "version: 1.3.0  #")
        .replace("issue: 3 #", "issue: 12 #")
        .replace("made up |\n", "made up |\n| 1.3.0 | 12 | new column kind |\n")
    )
    assert edited == expected.replace("\n", end)
    assert datasheet.with_version(edited, "1.3.0", 12, "again") == edited
    without = datasheet.with_version(edited, "1.4.0", None, "rerun")
    assert "issue: 12" not in without
    added = datasheet.with_version(without, "1.5.0", 15, "rerun").replace(end, "\n")
    assert "version: 1.5.0  # as it was agreed\nissue: 15\nowner" in added


def test_a_history_is_begun_and_no_line_of_it_is_passed_over() -> None:
    begun = datasheet.with_version(SHEET[: SHEET.index("| version")], "1.3.0", 4, "rerun")
    assert "\n\n**History.**\n\n| version | issue | change |\n| --- | --- | --- |\n" in begun
    assert begun.endswith("|\n| 1.3.0 | 4 | rerun |\n")
    titled = SHEET.replace("| version |", "| Version |")
    assert datasheet.with_version(titled, "1.2.0", 3, "again") == titled
    for odd in ("| 1.2.0 | 3 | made up | by me |", "| 1.2.0 | 3 |"):
        mangled = SHEET.replace("| 1.2.0 | 3 | made up |", odd)
        with pytest.raises(DslpError, match=r"history has the line '\| 1\.2\.0 \| 3"):
            datasheet.with_version(mangled, "1.3.0", 12, "rerun")
    folded = SHEET.replace("version: 1.2.0  # as it was agreed", "version: >-\n  1.2.0")
    with pytest.raises(DslpError, match="version"):
        datasheet.with_version(folded, "1.3.0", 3, "rerun")


@given(st.text(), st.text())
def test_any_text_is_one_cell_of_one_line_and_one_block(change: str, block: str) -> None:
    edited = datasheet.with_version(SHEET, "1.3.0", 12, change)
    assert len(edited.split("\n")) == len(SHEET.split("\n")) + 1
    (first, last) = datasheet.history(edited)
    assert (first, last[:2]) == (("1.2.0", "3", "made up"), ("1.3.0", "12"))
    assert "<" not in last[2]
    begun = datasheet.replace_block(SHEET, block)
    assert begun.startswith(SHEET)
    replaced = datasheet.replace_block(begun + "Prose.\n", change)
    assert replaced == datasheet.replace_block(SHEET, change) + "Prose.\n"


def test_markers_that_do_not_pair_are_refused() -> None:
    begin, end = datasheet.BEGIN, datasheet.END
    for markers in (begin, end, end + begin, begin + begin):
        with pytest.raises(DslpError, match="once each"):
            datasheet.replace_block(SHEET + markers, "figures")
