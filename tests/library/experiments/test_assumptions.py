"""Assumptions are checks: a run whose assumptions fail says so wherever it is shown (E4)."""

import pytest
from dslp.core.errors import DslpError
from dslp.experiments.runs import check_assumptions

from tests.library.experiments.conftest import runs
from tests.library.toy import Toy

pytestmark = pytest.mark.rule("E4")

HOLDS = "- {type: expect_column_values_to_be_between, kwargs: {column: visits, min_value: 0}}\n"
FAILS = """\
- type: expect_column_values_to_be_in_set
  kwargs: {column: kind, value_set: [home]}
  description: Everybody is visited at home, so the way there is not a feature.
"""


def assume(toy: Toy, *items: str) -> None:
    text = "name: frequency\nexpectations:\n" + "".join(items)
    (toy.model_folder / "assumptions.yml").write_text(text, encoding="utf-8")


def test_a_run_whose_assumptions_fail_says_so(tracked: Toy) -> None:
    assume(tracked, HOLDS, FAILS)
    outcome = tracked.done("experiment", "run", "--candidate", "baseline")
    tracked.done("model", "train", "--candidate", "linear")
    for kind in ("experiment", "training"):
        (run,) = runs(tracked, kind)
        assert run.data.tags["dslp.assumptions"] == "fail: 1 of 2"
    assert "ASSUMPTIONS FAIL: 1 OF 2" in outcome.out
    assert "Everybody is visited at home" in outcome.out


@pytest.mark.parametrize(
    ("items", "tag", "words"),
    [
        ([HOLDS], "hold (1)", "assumptions hold (1)"),
        ([HOLDS, FAILS + "  severity: warning\n"], "hold (2, 1 in doubt)", "visited at home"),
        ([], "none", "no assumptions"),
    ],
)
def test_assumptions_are_recorded_as_they_are(
    built: Toy, items: list[str], tag: str, words: str
) -> None:
    if items:
        assume(built, *items)
    outcome = check_assumptions(built.model)
    assert outcome.tag == tag
    assert words in str(outcome)
    assume(built, "- {type: expect_nothing_that_there_is}\n")
    with pytest.raises(DslpError, match=r"assumptions\.yml"):
        check_assumptions(built.model)
