"""Earlier attempts are found by their words, those that failed as those that succeeded (E5)."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dslp.core.files import write_text
from dslp.core.settings import Project
from dslp.github.entities import Issue
from dslp.logbook.events import Work
from dslp.logbook.search import LEAST, find_attempts, names_by_issue, show_attempts, show_similar
from dslp.logbook.tracking_source import FILE, Stored
from pydantic import TypeAdapter

from tests.library.logbook.scene import Scene, claims, day

FORM = """### Ask\n\n#1\n\n### Goal and approach\n\n{}\n\n### Metric\n
Poisson deviance, mean over records, lower is better\n\n### Assumptions\n\n_No response_\n"""


def experiment(number: int, title: str, approach: str, *labels: str) -> Issue:
    body = FORM.format(approach)
    return Issue(number, title, body, "open", ("Experiment", *labels), "", is_pull_request=False)


@pytest.mark.rule("E5", "X3")
def test_a_failed_attempt_is_found_by_its_words_its_summary_and_its_candidates(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logbook = claims().logbook
    expected = {"NEURAL networks": [17], "too few rows": [17], "boosted": [16, 18]}
    expected |= {"predicting visits": [14, 18], "nobody visits": [14, 18], "#17": [16, 38, 32, 18]}
    for text, numbers in expected.items():
        show_attempts(logbook, text, as_json=True)
        (result,) = json.loads(capsys.readouterr().out)["results"]
        attempts = result["details"]["attempts"]
        assert [one["number"] for one in attempts] == numbers, text
    assert attempts[0]["page"] == "docs/logbook/asks/11.md#issue-16"
    show_attempts(logbook, "network")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:5] == ["17", "Experiment", "failed", "2026-01-30", "Neural"]
    show_attempts(logbook, "alert script")
    printed = capsys.readouterr().out
    assert all(line.isprintable() and len(line) <= 80 for line in printed.splitlines())
    show_attempts(logbook, "zebra")
    assert capsys.readouterr().out == "no attempt has these words\n"


def test_what_forms_share_is_not_similar_and_candidates_count() -> None:
    earlier = [
        experiment(1, "Trees for visits", "Gradient boosting with Poisson loss.", "failed"),
        experiment(5, "Recognition of invoices", "Tune a vision transformer on scans."),
    ]
    new = experiment(20, "Sentiment of letters", "Classify complaints by their tone.")
    assert find_attempts(new, earlier, {}, LEAST) == find_attempts(new, [], {}, LEAST) == []
    scene = Scene()
    scene.candidate(1, "tone_of_complaints", [1.0], 1, issue=5)
    names = names_by_issue(scene.logbook.runs)
    assert find_attempts(new, earlier, names)[0].issue.number == 5
    many = [experiment(n, "Trees for visits", "word " * n + "boosting") for n in range(1, 10)]
    many += [experiment(n, f"Other {n}", f"nothing{n} of the kind") for n in range(10, 40)]
    similar = find_attempts(experiment(50, "Trees", "boosting"), many, {}, LEAST)
    shares = [one.share for one in similar]
    assert (len(shares), shares) == (9, sorted(shares, reverse=True))
    assert 0 < shares[-1] <= shares[0] <= 1.000001


@pytest.mark.rule("E5")
def test_start_shows_the_first_of_what_the_search_lists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its issues come from GitHub, its runs from the file that the logbook has read before."""
    logbook, new = claims().logbook, experiment(60, "Network or forest", "")
    runs = (), frozenset[str](), {run.id: run for run in logbook.runs}
    write_text(tmp_path / FILE, TypeAdapter[Stored](Stored).dump_json(runs).decode())
    works = (*logbook.works, Work(new, day(150), day(150)))
    show_attempts(replace(logbook, works=works), "#60", as_json=True)
    (result,) = json.loads(capsys.readouterr().out)["results"]
    listed = [one["number"] for one in result["details"]["attempts"] if one["share"] > LEAST]
    issues = [work.issue for work in works]
    github: Any = SimpleNamespace(issues=lambda labels: [i for i in issues if i.kind in labels])
    show_similar(Project(tmp_path, "claims", tmp_path / "data"), github, new)
    shown = re.findall(r"^  #(\d+)", capsys.readouterr().out, re.MULTILINE)
    assert [*map(int, shown)] == listed[:5] == [38, 17]
