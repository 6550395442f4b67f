"""`dslp new report`: what the Communicate issue says, as the head of a report."""

from datetime import date
from pathlib import Path

import pytest
import yaml

from tests.github.scene import Scene, make
from tests.github.standin.server import Standin


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    return make(tmp_path / "project", github)


def head(scene: Scene, name: str) -> dict[str, object]:
    text = (scene.folder / "reports" / f"{name}.md").read_text(encoding="utf-8")
    assert all(line == line.rstrip() for line in text.split("\n"))
    head: dict[str, object] = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(head.pop("date"), date)
    return head


@pytest.mark.rule("I10")
def test_a_report_has_the_audience_the_decision_and_the_ask_of_its_issue(scene: Scene) -> None:
    scene.issue("Ask")
    hostile = 'Which "plans": #1?\r\n---\n$title {ask:1} \u202e'
    body = f"### Decision\n\n{hostile}\n\n### Audience\n\nyes\n\n### Ask\n\n#1\n"
    scene.issue("Communicate", body).title = "October: contracts"
    ended = scene.run("new", "report", "october-contracts", "--issue", "2")
    assert (ended.code, ended.err) == (0, "")
    decision = 'Which "plans": #1? --- $title {ask:1} \\u202e'
    expected = {"title": "October: contracts", "audience": "yes", "decision": decision}
    assert head(scene, "october_contracts") == {**expected, "issue": 2, "ask": 1}


def test_a_report_is_written_also_where_its_issue_cannot_be_read(
    scene: Scene, github: Standin
) -> None:
    for name, number in (("a", 7), ("b", 8)):
        scene.token = scene.token if name == "a" else "wrong"
        ended = scene.run("new", "report", name, "--issue", str(number), "--ask", "3")
        assert ended.code == 0
        assert "so audience and decision are to be written" in ended.err
        unwritten = dict.fromkeys(("audience", "decision"), "to be written")
        assert head(scene, name) == {"title": name.upper(), **unwritten, "issue": number, "ask": 3}
