"""The commands of the logbook, as a person or a program uses them."""

import json
import re
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dslp.logbook.export import TABLES, export, read_export
from dslp.logbook.story import build_stories

from tests.library.logbook.scene import HOSTILE, claims
from tests.library.toy import Toy
from tests.template_copy import ROOT


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The scene's logbook in a folder, whose name has a space."""
    export(claims().logbook, tmp_path / "the history")
    return tmp_path / "the history"


@pytest.mark.rule("C1")
def test_what_is_exported_is_all_there_is_in_files_that_any_tool_reads(exported: Path) -> None:
    logbook = claims().logbook
    assert read_export(exported) == logbook
    tables = {name: pq.read_table(exported / f"{name}.parquet") for name in TABLES}
    assert {name: table.column_names for name, table in tables.items()} == {
        name: columns.split() for name, columns in TABLES.items()
    }
    issues = {row["number"]: row for row in tables["issues"].to_pylist()}
    assert issues[16]["type"] == "Experiment"
    assert issues[16]["labels"] == ["Experiment", "succeeded"]
    assert issues[51]["title"] == HOSTILE
    rows = {row["name"]: row["value"] for row in tables["metrics"].to_pylist()}
    assert (
        rows["deviance"]
        == [run for run in logbook.runs if "deviance" in run.metrics][-1].metrics["deviance"]
    )
    assert len(tables["runs"]) == len(logbook.runs)
    stories = json.loads((exported / "stories.json").read_text(encoding="utf-8"))
    assert {story["ask"]["issue"]["number"] for story in stories} >= {11, 31, 34}
    measures = json.loads((exported / "measures.json").read_text(encoding="utf-8"))
    assert measures["outcomes"]["failed"] == 1
    assert len(tables["events"]) == sum(len(work.events) for work in logbook.works)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "the file: Invalid JSON"),
        ("[]", "the file: "),
        ('{"name": 1}', "name: "),
        ("nothing\x00", "the file: Invalid JSON"),
        (None, "logbook.json is missing"),
    ],
)
def test_a_folder_that_is_none_of_ours_is_refused_in_one_line(
    toy: Toy, exported: Path, text: str | None, problem: str
) -> None:
    file = exported / "logbook.json"
    file.unlink() if text is None else file.write_text(text)
    outcome = toy.run("logbook", "build", "--from", str(exported))
    assert outcome.code == 2
    assert problem in outcome.error
    assert not (toy.root / ".dslp").exists()


def test_a_time_without_its_zone_is_refused(toy: Toy, exported: Path) -> None:
    file = exported / "logbook.json"
    file.write_text(re.sub(r'("read": "[^"]+)Z"', r'\1"', file.read_text()))
    assert "a time without a zone" in toy.run("logbook", "build", "--from", str(exported)).error


@pytest.mark.slow
@pytest.mark.rule("C1", "C4")
def test_a_repository_without_a_site_has_its_logbook_in_one_and_git_keeps_nothing_of_it(
    toy: Toy, exported: Path
) -> None:
    (toy.root / "mkdocs.yml").unlink(missing_ok=True)
    subprocess.run(["git", "init", "--quiet", str(toy.root)], check=True)
    for fresh in ([], ["--fresh"]):
        outcome = toy.done("logbook", "build", "--from", str(exported), *fresh)
        page = Path(re.findall(r"open (.*)", outcome.out)[0])
        assert "Boosted trees" in (page.parent / "asks" / "11.html").read_text(encoding="utf-8")
    status = subprocess.run(
        ["git", "-C", str(toy.root), "status", "--porcelain", "--ignored=no", "-uall"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ".dslp" not in status.stdout


@pytest.mark.slow
def test_pages_go_where_the_site_has_its_sources(toy: Toy, exported: Path) -> None:
    config = (
        "site_name: x\n'docs_dir' : 'pages' # here\nsite_dir: \"out\"\nextra:\n  x: !ENV [A, b]\n"
    )
    (toy.root / "mkdocs.yml").write_text(config.replace("'pages'", "!ENV [DOCS, pages]"))
    refused = toy.run("logbook", "build", "--from", str(exported)).error
    assert "docs_dir must be a path in plain text" in refused
    (toy.root / "pages").mkdir()
    (toy.root / "pages" / "index.md").write_text("# Start\n")
    (toy.root / "mkdocs.yml").write_text(config)
    outcome = toy.done("logbook", "build", "--from", str(exported))
    assert str(toy.root / "out" / "logbook" / "index.html") in outcome.out
    assert (toy.root / "pages" / "logbook" / "asks" / "11.md").is_file()
    page = toy.root / "out" / "logbook" / "index.html"
    before = page.stat().st_mtime_ns
    toy.done("logbook", "build", "--from", str(exported))
    assert page.stat().st_mtime_ns == before  # nothing has changed
    (toy.root / "pages" / "index.md").write_text("# Start here\n")
    toy.done("logbook", "build", "--from", str(exported))
    assert "Start here" in (toy.root / "out" / "index.html").read_text(encoding="utf-8")


@pytest.mark.rule("C1", "E5")
def test_a_program_asks_what_was_tried_for_an_ask_or_an_issue_of_it(
    toy: Toy, exported: Path
) -> None:
    for number in ("11", "16"):
        shown = toy.done("logbook", "show", number, "--json", "--from", str(exported))
        (story,) = json.loads(shown.out)
        assert story["state"] == "in use"
        tried = {step["key"]: step["state"] for step in story["steps"]}
        assert tried["issue-17"] == "failed"
        assert tried["issue-16"] == "succeeded"
    terminal = toy.done("logbook", "show", "11", "--from", str(exported))
    assert "Neural network" in terminal.out
    assert all(len(line) <= 80 for line in terminal.out.splitlines() if "Experiment" in line)
    assert toy.run("logbook", "show", "999", "--from", str(exported)).error.startswith(
        "error: no Ask has #999 on its way"
    )
    assert len(build_stories(read_export(exported))) == 8


@pytest.mark.rule("C1", "G1")
def test_a_repository_without_github_is_read_from_git_and_mlflow(trained: Toy) -> None:
    folder = trained.root / "out"
    outcome = trained.done("logbook", "export", str(folder))
    assert "GitHub" not in outcome.err.replace("reading GitHub, git and MLflow", "")
    logbook = read_export(folder)
    assert [run.kind for run in logbook.runs].count("training") == 1
    assert {work.issue.kind for work in logbook.works} >= {"Ask"}


@pytest.mark.parametrize("name", ["site.css", "site.js"])
def test_the_site_of_a_repository_without_one_has_what_a_projects_has(name: str) -> None:
    own = ROOT / "src" / "dslp" / "logbook" / "assets" / name
    assert own.read_bytes() == (ROOT / "template" / "docs" / "assets" / name).read_bytes()
