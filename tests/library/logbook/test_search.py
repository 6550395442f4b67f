"""Earlier attempts are found by their words, those that failed as those that succeeded (E5)."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from dslp.github.entities import Issue
from dslp.logbook.events import Work
from dslp.logbook.search import LEAST, find_attempts, show_attempts, show_similar

from tests.library.logbook.scene import REPOSITORY, claims, day

FORM = """### Ask\n\n#1\n\n### Goal and approach\n\n{}\n\n### Metric\n
Poisson deviance, mean over records, lower is better\n\n### Assumptions\n\n_No response_\n"""


def experiment(number: int, title: str, approach: str, *labels: str) -> Issue:
    body = FORM.format(approach)
    return Issue(number, title, body, "open", ("Experiment", *labels), "", is_pull_request=False)


@pytest.mark.rule("E5", "X3")
def test_a_failed_attempt_is_found_by_its_words_and_its_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logbook = claims().logbook
    expected = {"NEURAL networks": [17], "too few rows": [17], "boosted": [16]}
    expected |= {"predicting visits": [18, 14], "nobody visits": [18, 14], "#18": [14, 16]}
    for text, numbers in expected.items():
        show_attempts(logbook, text, json=True)
        (result,) = json.loads(capsys.readouterr().out)["results"]
        attempts = result["details"]["attempts"]
        assert [one["number"] for one in attempts] == numbers, text
    assert (attempts[1]["asks"], attempts[1]["url"]) == ([11], f"{REPOSITORY}/issues/16")
    show_attempts(logbook, "network")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:5] == ["17", "Experiment", "failed", "2026-01-30", "Neural"]
    show_attempts(logbook, "alert script")
    printed = capsys.readouterr().out
    assert all(line.isprintable() and len(line) <= 80 for line in printed.splitlines())
    show_attempts(logbook, "zebra")
    assert capsys.readouterr().out == "no attempt has these words\n"


@pytest.mark.parametrize("word", ["v2", "ML", "2024", "顧客", "è"])
def test_short_words_digits_and_letters_without_spaces_are_found(word: str) -> None:
    others = [experiment(1, "Trees for visits in V1", "Of 2023."), experiment(2, "線形", "x")]
    query = Issue(0, word, "", "open", (), "", is_pull_request=False)
    attempts = [*others, experiment(3, f"Trees ({word}離脱予測)", "Gradient boosting.")]
    assert [one.number for one, _ in find_attempts(query, attempts)] == [3] * (word != "è")


def test_what_forms_share_is_not_similar() -> None:
    earlier = [
        experiment(1, "Trees for visits", "Gradient boosting with Poisson loss.", "failed"),
        experiment(5, "Recognition of invoices", "Tune a vision transformer on scans."),
    ]
    new = experiment(20, "Sentiment of letters", "Classify complaints by their tone.")
    assert find_attempts(new, earlier, LEAST) == find_attempts(new, [], LEAST) == []
    many = [experiment(n, "Trees for visits", "word " * n + "boosting") for n in range(1, 10)]
    many += [experiment(n, f"Other {n}", f"nothing{n} of the kind") for n in range(10, 40)]
    similar = find_attempts(experiment(50, "Trees", "boosting"), many, LEAST)
    shares = [share for _, share in similar]
    assert (len(shares), shares) == (9, sorted(shares, reverse=True))
    assert 0 < shares[-1] <= shares[0] <= 1.000001


@pytest.mark.rule("E5")
def test_start_shows_the_first_of_what_the_search_lists_with_the_outcomes_of_the_pages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene, new = claims(), experiment(60, "Network, forest or survival", "")
    scene.issue(61, "Experiment, on hold", "Survival network", end=9, reason="not_planned")
    logbook = scene.logbook
    works = (*logbook.works, Work(new, day(150), day(150)))
    show_attempts(replace(logbook, works=works), "#60", json=True)
    (result,) = json.loads(capsys.readouterr().out)["results"]
    rows = [one for one in result["details"]["attempts"] if one["share"] > LEAST]
    native = {work.issue.number: {"state_reason": work.reason or None} for work in works}
    issues = [replace(work.issue, native=native[work.issue.number]) for work in works]
    github: Any = SimpleNamespace(issues=lambda labels: [i for i in issues if i.kind in labels])
    show_similar(github, new)
    lines = re.findall(r"^  #(\d+) \w+, ([\w -]+), \d", capsys.readouterr().out, re.MULTILINE)
    assert lines == [(str(row["number"]), row["outcome"]) for row in rows]
    assert dict(lines)["61"] == "not planned", "it does not wait any more"
    assert {"61", "32", "17"} <= dict(lines).keys()


def test_each_command_imports_little_of_the_logbook() -> None:
    code = "import sys, dslp.cli; print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    modules = set(answer.stdout.split())
    parts = {name for name in modules if name.startswith("dslp.logbook.")}
    assert parts == {"dslp.logbook.commands", "dslp.logbook.search"}
    assert not modules & {"pydantic", "dslp.tracking.connection", "dslp.experiments.gains"}
