"""Attempts are compared on the Ask's terms, with the uncertainty that few folds leave."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from dslp.experiments.comparison import gain, verdict
from dslp.experiments.params import Metric

from tests.library.experiments.test_experiment import runs
from tests.library.toy import Toy

LOWER = Metric(name="m", better="lower")


@pytest.fixture
def compared(tracked: Toy) -> Toy:
    """A toy project with two attempts of issue 14, on its branch."""
    tracked.git("switch", "--quiet", "--create", "experiment/14-lines")
    tracked.done("experiment", "run")
    return tracked


@pytest.mark.rule("E2", "E3")
def test_attempts_are_compared_baseline_first_with_the_criterion(compared: Toy) -> None:
    out = compared.done("experiment", "compare").out
    assert "Ask #7: How many visits?" in out
    table = [line.split()[0] for line in out.splitlines() if line.startswith(("base", "linear"))]
    assert table[:2] == ["baseline", "linear"]
    assert "linear is better than the baseline by " in out
    assert "criterion 10.0%: met\n" in out
    for run in runs(compared):
        assert run.data.tags["dslp.issue"] == "14"
        assert run.info.run_id[:8] in out
    assert compared.git("status", "--porcelain") == "", "a plot by default leaves the tree clean"


@pytest.mark.rule("E3")
def test_the_gain_is_that_of_the_folds_and_its_interval_covers_the_truth() -> None:
    found = gain([2.0, 4.0], [1.5, 2.5], LOWER, 1.0)
    assert found.share == pytest.approx(1 / 3)
    # 0.5 and 1.5 less a third of 2 and 4: -1/6, 1/6; s² = 1/18, times 1/2 + 1; t(0.975, 1) = 12.706
    assert found.high - found.share == pytest.approx(12.706 * np.sqrt(1.5 / 18) / 3, rel=1e-3)
    assert found.share - found.low == pytest.approx(found.high - found.share)
    higher = Metric(name="m", better="higher")
    assert gain([2.0, 4.0], [1.5, 2.5], higher, 1.0).share == pytest.approx(-1 / 3)
    draw, covered = np.random.default_rng(0), 0
    for _ in range(400):  # independent folds: the interval is then wider than it has to be
        baseline = draw.normal(10, 0.1, 5)
        mine = gain(baseline.tolist(), (baseline - draw.normal(1, 0.5, 5)).tolist(), LOWER, 0.25)
        covered += mine.low <= 0.1 <= mine.high
    assert covered / 400 > 0.94


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        ([8.9, 9.0, 8.8, 9.1], "better than the baseline by 10.5% (95 % interval"),
        ([8.9, 9.0, 8.8, 9.1], "criterion 5.0%: met"),
        ([9.4, 9.5, 9.2, 9.6], "met, but the interval reaches below it"),
        ([9.6, 9.7, 9.4, 9.7], "not met, but the interval reaches it"),
        ([9.9, 9.9, 9.9, 9.9], "criterion 5.0%: not met"),
        ([10.9, 11.0, 10.8, 11.1], "worse than the baseline by 9.5%"),
    ],
)
def test_the_sentence_says_how_sure_it_is(folds: list[float], said: str) -> None:
    sentence = verdict("it", gain([10.0] * 4, folds, LOWER, 1 / 3), 0.05)
    assert sentence.endswith(said) or said in sentence.split(";")[0]


def test_a_baseline_at_0_is_compared_by_difference() -> None:
    higher = Metric(name="m", better="higher")
    found = gain([0.0, 0.0], [0.5, 0.6], higher, 1.0)
    assert verdict("it", found, 0.05).endswith("met, but the interval reaches below it")
    assert gain([0.0, 0.0], [-0.5, -0.6], higher, 1.0).share == -np.inf
    found = gain([-0.1, 0.1, 0.0], [0.4, 0.6, 0.51], higher, 0.5, "difference")
    assert found.share == pytest.approx(0.50333, rel=1e-3)
    assert "better than the baseline by 0.503 (95 % interval 0.4" in verdict("it", found, 0.2)


def test_what_another_evaluate_said_is_told_apart(compared: Toy) -> None:
    compared.edit(compared.model_folder / "evaluate.py", ".abs().mean()", ".abs().median()")
    outcome = compared.run("experiment", "compare")
    assert outcome.code == 2
    assert "2 not compared: judged by another evaluate.py" in outcome.error


def test_the_newest_counts_and_other_data_is_told_apart(compared: Toy) -> None:
    compared.with_rows(compared.rows().iloc[:-1])
    outcome = compared.run("experiment", "compare")
    assert outcome.code == 2
    assert "issue #14 has no run of baseline, the baseline, on this data, split" in outcome.error
    assert "2 not compared: made on other data (visits 1.2.0, another digest)" in outcome.error
    compared.done("experiment", "run")
    compared.done("experiment", "run")
    out = compared.done("experiment", "compare").out
    assert "2 not compared: made on other data" in out
    *_, newest = runs(compared)
    (line,) = [line for line in out.splitlines() if line.startswith("linear  ")]
    assert newest.info.run_id[:8] in line


@pytest.mark.rule("E3")
def test_an_attempt_with_other_code_stays_in_sight(compared: Toy) -> None:
    first = compared.git("rev-parse", "HEAD")[:7]
    train = compared.model_folder / "train.py"
    compared.edit(train, ".fit(inputs, target)", ".fit(inputs[:9], target[:9])")
    compared.done("experiment", "run")
    compared.commit()
    compared.edit(train, "[:9]", "[:8]")
    compared.done("experiment", "run")
    out = compared.done("experiment", "compare").out
    for name in ("linear", f"linear at {first}", f"linear at {first} with changes"):
        assert f"\n{name} is " in out
    assert "2 not compared: the baseline at another code or with other parameters" in out


def test_an_issue_without_runs_says_what_to_do(tracked: Toy) -> None:
    outcome = tracked.run("experiment", "compare")
    assert "say which issue: uv run dslp experiment compare --issue N" in outcome.error
    outcome = tracked.run("experiment", "compare", "--issue", "9")
    assert outcome.code == 2
    assert "first: uv run dslp experiment run frequency --issue 9" in outcome.error


def test_the_plot_can_be_read_and_heard(compared: Toy) -> None:
    out = compared.done("experiment", "compare", "--plot", "docs/media/lines.svg").out
    assert "plot: docs/media/lines.svg" in out
    text = (compared.root / "docs" / "media" / "lines.svg").read_text()
    picture = ET.fromstring(text)
    assert picture.get("role") == "img"
    assert "linear is better than the baseline by" in picture.get("aria-label", "")
    letters = {node.text for node in picture.findall(".//{*}text")}
    assert {"linear", "baseline", "criterion +10.0%"} <= letters
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http://www.w3.org/", "")
