"""Assumptions are checks: a run whose assumptions fail says so wherever it is shown (E4)."""

import pytest

from tests.library.toy import Toy

HOLDS = "- {type: expect_column_values_to_be_between, kwargs: {column: visits, min_value: 0}}\n"
FAILS = """\
- type: expect_column_values_to_be_in_set
  kwargs: {column: kind, value_set: [home]}
  description: Everybody is visited at home, so the way there is not a feature.
"""


def assume(toy: Toy, *items: str) -> None:
    text = "name: frequency\nexpectations:\n" + "".join(items)
    (toy.model_folder / "assumptions.yml").write_text(text, encoding="utf-8")


def tags(toy: Toy) -> set[str]:
    """What the recorded runs say of their assumptions."""
    experiment = toy.client.get_experiment_by_name("frequency")
    assert experiment is not None
    runs = toy.client.search_runs([experiment.experiment_id])
    assert runs
    return {run.data.tags["dslp.assumptions"] for run in runs}


@pytest.mark.rule("E4")
def test_a_run_whose_assumptions_fail_says_so(tracked: Toy) -> None:
    assume(tracked, HOLDS, FAILS)
    outcome = tracked.done("experiment", "run")
    assert tags(tracked) == {"fail: 1 of 2"}
    assert "ASSUMPTIONS FAIL: 1 OF 2" in outcome.out
    assert "Everybody is visited at home" in outcome.out


@pytest.mark.rule("E4")
def test_assumptions_that_hold_are_recorded_as_that(tracked: Toy) -> None:
    assume(tracked, HOLDS)
    outcome = tracked.done("experiment", "run")
    assert tags(tracked) == {"hold (1)"}
    assert "assumptions hold (1)" in outcome.out


def test_a_doubt_is_shown_and_recorded_though_nothing_fails(tracked: Toy) -> None:
    assume(tracked, HOLDS, FAILS + "  severity: warning\n")
    outcome = tracked.done("experiment", "run")
    assert tags(tracked) == {"hold (2, 1 in doubt)"}
    assert "Everybody is visited at home" in outcome.out


def test_a_training_carries_its_assumptions_too(tracked: Toy) -> None:
    assume(tracked, FAILS)
    tracked.done("model", "train", "--candidate", "linear")
    assert tags(tracked) == {"fail: 1 of 1"}


def test_without_assumptions_a_run_says_that_there_are_none(tracked: Toy) -> None:
    tracked.done("experiment", "run")
    assert tags(tracked) == {"none"}


def test_assumptions_that_cannot_be_read_stop_the_run_in_a_line(tracked: Toy) -> None:
    assume(tracked, "- {type: expect_nothing_that_there_is}\n")
    outcome = tracked.run("experiment", "run")
    assert outcome.code == 2
    assert "assumptions.yml" in outcome.error
