"""`dslp new report`: what the Communicate issue says, as the head of a report."""

from datetime import date
from pathlib import Path

import pytest
import yaml

from tests.github.scene import make
from tests.github.standin.server import Standin


@pytest.mark.rule("I10")
def test_a_report_has_the_audience_the_decision_and_the_ask_of_its_issue(
    tmp_path: Path, github: Standin
) -> None:
    scene = make(tmp_path / "project", github)
    scene.issue("Ask")
    hostile = 'Which "plans": #1?\r\n---\n$title {ask:1} \u202e'
    body = f"### Decision\n\n{hostile}\n\n### Audience\n\nyes\n\n### Ask\n\n#1\n"
    scene.issue("Communicate", body).title = "October: contracts"
    ended = scene.run("new", "report", "october-contracts", "--issue", "2")
    assert (ended.code, ended.err) == (0, "")
    text = (scene.folder / "reports" / "october_contracts.md").read_text(encoding="utf-8")
    assert all(line == line.rstrip() for line in text.split("\n"))
    head = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(head.pop("date"), date)
    decision = 'Which "plans": #1? --- $title {ask:1} \\u202e'
    expected = {"title": "October: contracts", "audience": "yes", "decision": decision}
    assert head == {**expected, "issue": 2, "ask": 1}
