"""Candidates are compared on the Ask's terms, with the uncertainty that few folds leave."""

import json
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from dslp.experiments.gains import Gain, describe_gain, gain
from scipy import stats

from tests.library.experiments.conftest import runs
from tests.library.toy import Toy


@pytest.mark.rule("E2", "E3")
def test_candidates_are_compared_baseline_first_with_the_criterion(experimented: Toy) -> None:
    out = experimented.done("experiment", "compare", "--page", "docs/media/lines.md").out
    assert "Ask #7: How many visits?" in out
    table = [line.split()[0] for line in out.splitlines() if line.startswith(("base", "linear"))]
    assert table[:2] == ["baseline", "linear"]
    assert re.search(r"linear: [\d.]+ % better than the baseline \(95 % sure: between", out)
    assert "; the goal of 10.0 % is reached\n" in out
    assert "page: docs/media/lines.md" in out
    text = (experimented.root / "docs" / "media" / "lines" / "gains.svg").read_text()
    picture = ET.fromstring(text)
    assert picture.get("role") == "img"
    assert "% better than the baseline (" in picture.get("aria-label", "")
    letters = {node.text for node in picture.findall(".//{*}text")}
    assert {"linear", "baseline", "criterion +10.0 %"} <= letters
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http://www.w3.org/", "")


def test_the_comparison_as_json_says_the_same(experimented: Toy) -> None:
    outcome = experimented.done("experiment", "compare", "--json")
    result = json.loads(outcome.out)
    (report,) = result["results"]
    assert (result["ok"], report["subject"], report["ok"]) == (True, "frequency", True)
    details = report["details"]
    assert (details["issue"], details["metric"]) == (14, "absolute_error")
    assert details["direction"] == "lower"
    for run, candidate in zip(runs(experimented), details["candidates"], strict=True):
        assert candidate["run"] == run.info.run_id
        assert run.data.tags["dslp.issue"] == "14"
        assert candidate["mean"] == pytest.approx(run.data.metrics["absolute_error"])
        deviation = run.data.metrics["absolute_error_deviation"]
        assert candidate["deviation"] == pytest.approx(deviation)
        assert len(candidate["folds"]) == 3
    baseline, linear = details["candidates"]
    assert (baseline["candidate"], baseline["gain"]) == ("baseline", None)
    assert linear["interval"][0] < linear["gain"] < linear["interval"][1]
    assert linear["best_of_trials"] is None
    shown = [f"{100 * value:+.1f} %" for value in (linear["gain"], *linear["interval"])]
    text = f"{shown[0]} {shown[1][:-2]} to {shown[2]}"
    out = experimented.done("experiment", "run").out
    assert text in " ".join(out.split()), "folds and interval are the same in each command"
    assert all(
        len(line) <= 80 for line in out.splitlines() if line.startswith(("base", "linear  "))
    )
    assert linear["verdict"] in out
    assert linear["verdict"] in experimented.done("experiment", "compare").out
    assert experimented.git("status", "--porcelain") == "", "a plot by default changes no file"


@pytest.mark.rule("E3")
def test_the_gain_is_that_of_the_folds_and_its_interval_covers_the_truth() -> None:
    better = gain([2.0, 4.0], [1.5, 2.5], "lower", 1.0)
    assert better.estimate == pytest.approx(1 / 3)
    # 0.5 and 1.5 less a third of 2 and 4: -1/6, 1/6; s² = 1/18, times 1/2 + 1; t(0.975, 1) = 12.706
    assert better.high - better.estimate == pytest.approx(12.706 * np.sqrt(1.5 / 18) / 3, rel=1e-3)
    assert better.estimate - better.low == pytest.approx(better.high - better.estimate)
    assert gain([2.0, 4.0], [1.5, 2.5], "higher", 1.0).estimate == pytest.approx(-1 / 3)
    draw, covered = np.random.default_rng(0), 0
    for _ in range(400):  # independent folds: the interval is then wider than it has to be
        baseline = draw.normal(10, 0.1, 5)
        mine = gain(baseline.tolist(), (baseline - draw.normal(1, 0.5, 5)).tolist(), "lower", 0.25)
        covered += mine.low <= 0.1 <= mine.high
    assert covered / 400 > 0.94


INFINITE = (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("gain", "sentence"),
    [
        (
            Gain(0.105, 0.09, 0.12),
            "10.5 % better than the baseline (95 % sure: between 9.0 and 12.0 % better)",
        ),
        (Gain(0.07, 0.02, 0.12), "; the goal of 5.0 % is probably reached"),
        (Gain(0.04, 0.02, 0.06), "; the goal of 5.0 % is probably not reached"),
        (
            Gain(-0.03, -0.2, 0.14),
            "3.0 % worse than the baseline (95 % sure: between 20.0 % worse and 14",
        ),
        (
            Gain(0.5, *INFINITE),
            "(95 % sure: not known); the goal of 5.0 % is probably reached",
        ),
        (
            Gain(math.inf, *INFINITE),
            "above 1000 % better than the baseline (95 % sure: not known); ",
        ),
        (
            Gain(-0.2, -0.3, -0.1),
            "(95 % sure: between 10.0 and 30.0 % worse); the goal of 5.0 % is not",
        ),
        (
            Gain(0.0, -0.1, 0.1),
            "no better than the baseline (95 % sure: between 10.0 % worse and 10.0 % b",
        ),
    ],
)
def test_the_sentence_says_how_sure_it_is(gain: Gain, sentence: str) -> None:
    assert sentence in describe_gain(gain, 0.05)


def test_a_baseline_at_0_is_compared_by_difference() -> None:
    infinite = gain([0.0, 0.0], [0.5, 0.6], "higher", 1.0)
    assert (infinite.estimate, infinite.interval) == (np.inf, "not known")
    assert gain([0.0, 0.0], [-0.5, -0.6], "higher", 1.0).estimate == -np.inf
    by_difference = gain([-0.1, 0.1, 0.0], [0.4, 0.6, 0.51], "higher", 0.5, "difference")
    free = gain([-0.1, 0.1, 0.0], [0.4, 0.6, 0.51], "higher", 0.0, "difference")
    expected = stats.ttest_1samp([0.5, 0.5, 0.51], 0).confidence_interval()
    assert (free.low, free.high) == pytest.approx(tuple(expected), rel=1e-12)
    assert by_difference.estimate == pytest.approx(0.50333, rel=1e-3)
    words = "0.503 better than the baseline in the area (95 % sure: between 0.4"
    assert describe_gain(by_difference, 0.2, unit="the_area").startswith(words)


@pytest.mark.rule("E3")
def test_runs_of_other_data_or_evaluation_are_counted_apart(experimented: Toy) -> None:
    rows = experimented.rows()
    experimented.with_rows(rows.iloc[:-1])
    outcome = experimented.run("experiment", "compare")
    assert outcome.code == 2
    assert "issue #14 has no run of baseline, the baseline, on this data, split" in outcome.error
    assert "2 not compared: made on other data (visits 1.2.0, another digest)" in outcome.error
    experimented.with_rows(rows)
    evaluate = experimented.model_folder / "evaluate.py"
    experimented.edit(evaluate, ".abs().mean()", ".abs().median()")
    assert (
        "2 not compared: evaluated by another evaluate.py"
        in experimented.run("experiment", "compare").error
    )
    experimented.done("experiment", "run")
    experimented.done("experiment", "run")
    out = experimented.done("experiment", "compare").out
    assert "2 not compared: evaluated by another evaluate.py" in out
    *_, newest = runs(experimented)
    (line,) = [line for line in out.splitlines() if line.startswith("linear  ")]
    assert newest.info.run_id[:8] in line


@pytest.mark.rule("E3")
def test_a_candidate_with_other_code_stays_in_sight(experimented: Toy) -> None:
    first = experimented.git("rev-parse", "HEAD")[:7]
    train = experimented.model_folder / "train.py"
    experimented.edit(train, ".fit(inputs, target)", ".fit(inputs[:9], target[:9])")
    experimented.done("experiment", "run")
    experimented.commit()
    experimented.edit(train, "[:9]", "[:8]")
    experimented.done("experiment", "run")
    out = experimented.done("experiment", "compare").out
    for name in ("linear", f"linear at {first}", f"linear at {first} with changes"):
        assert f"\n{name}: " in out
    assert "2 not compared: the baseline at another code or with other parameters" in out


@pytest.mark.rule("E2")
def test_runs_without_an_issue_are_named_and_compared_by_model(experimented: Toy) -> None:
    experimented.git("switch", "--quiet", "--create", "main-line")
    assert "no issue is recorded" in experimented.done("experiment", "run").out
    out = experimented.done("experiment", "compare").out
    assert runs(experimented)[-1].info.run_id[:8] in out
