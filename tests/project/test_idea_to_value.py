"""A project lives by the commands of its pages: the example, then a CSV file of one's own."""

import re
import shlex
import signal
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.github.standin.server import Standin
from tests.github.standin.web import serve
from tests.project.test_whole_projects import run_checks
from tests.project.whole import WHOLE, Done, Project, commands
from tests.template_copy import ROOT, Template

pytestmark = [pytest.mark.slow, pytest.mark.only("defaults")]

HEADING = "From your CSV to a served model"
NEXT = "=== next line ==="
# Each line is run as it stands, but in one process: what takes its time is importing.
IN_ONE_PROCESS = f"""
import importlib, sys
from dslp.cli import main
for line in sys.argv[1:]:
    print("{NEXT}", flush=True)
    sys.argv = line.removeprefix("uv run ").split()
    importlib.invalidate_caches()
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""
PLACEHOLDER = re.compile(r"\b(NAME|COLUMN|NUMBER|PACKAGE|TITLE|TEXT)\b")


def write_rides(file: Path) -> None:
    """Rides of bicycles by day and station, with gaps, a date, and names that no code can use."""
    draw, rows = np.random.default_rng(3), 400
    frame = pd.DataFrame({"Rental ID": range(1, rows + 1)})
    frame["Day"] = pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d")
    frame["station"] = draw.choice(["north", "süd"], rows)
    frame["temperature"] = draw.normal(15, 8, rows).round(1)
    frame["rides"] = (60 + 2 * frame["temperature"] + 20 * (frame["station"] == "süd")).astype(int)
    frame.loc[::9, "temperature"] = None
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(file, index=False)


@pytest.fixture(scope="session")
def hour(project: Project) -> Project:
    """The project in which the lines of AGENTS.md and of the docs were run, until the server."""
    write_rides(project.path / "data" / "raw" / "rides.csv")
    example = commands(project.path / "AGENTS.md", "From data to a model")
    lines = [*example, *commands(ROOT / "docs" / "start.md", HEADING)[:8]]
    printed = project.succeed("uv run python -W ignore -c", IN_ONE_PROCESS, *lines)
    for line, text in zip(lines, printed.split(NEXT)[1:], strict=True):
        project.done[line] = Done(0, text)
    return project


@pytest.mark.rule("G4", "G1")
def test_idea_to_value(hour: Project) -> None:
    steps = commands(hour.path / "AGENTS.md", "From data to a model")
    build, validate, experiment, train, register, promote = (hour.done[s].text for s in steps)
    assert re.search(r"claims\s+20,190\s+10\b", build)
    assert re.search(r"claims holds: \d\d checks, 0 findings", validate)
    assert experiment.index("baseline ") < experiment.index("boosted ")
    assert re.search(r"boosted: .* is (probably )?reached", experiment), experiment
    assert "on the holdout" in train
    assert "claim_frequency 1.0.0 (version 1) is registered, as the challenger" in register
    assert "claim_frequency 1.0.0 (version 1) is the champion" in promote
    changes = hour.succeed("git status --porcelain").splitlines()
    assert [line for line in changes if not line[3:].startswith(("src/", "tests/"))] == []


def test_the_lines_of_the_docs_go_from_a_csv_file_to_a_champion(hour: Project) -> None:
    lines = commands(ROOT / "docs" / "start.md", HEADING)
    assert lines[:9] == commands(ROOT / "README.md", HEADING)
    printed = [hour.done[line].text for line in lines[:8]]
    assert "proposed key: rental_id" in printed[0]
    assert "rides holds: 10 checks, 3 findings" in printed[2]
    assert "inputs: station, temperature" in printed[3]
    assert re.search(r"better: .* is (probably )?reached", printed[4]), printed[4]
    assert "demand 1.0.0 (version 1) is the champion" in printed[7]
    schema = next(hour.path.glob("src/*/datasets/rides/schema.yml")).read_text(encoding="utf-8")
    assert "key: [rental_id]" in schema
    assert "categories: [north, süd]" in schema


def test_the_champion_answers_the_line_with_curl(hour: Project) -> None:
    start, ask = commands(ROOT / "docs" / "start.md", HEADING)[8:]
    with subprocess.Popen(
        [*shlex.split(start), "--port", "0"], cwd=hour.path, env=hour.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as server:  # fmt: skip
        try:
            addresses = (
                re.search(r"at (http://127\.0\.0\.1:\d+)", line) for line in server.stdout or ()
            )
            address = next(match[1] for match in addresses if match)
            request = shlex.split(ask.replace("http://127.0.0.1:8000", address))
            answer = subprocess.run(
                [*request, "--silent", "--retry", "9", "--retry-connrefused"],
                env=hour.environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
        finally:
            server.send_signal(signal.SIGINT)
    assert re.fullmatch(r'\{"rides":\s?\d+(\.\d+)?\}', answer.stdout), answer.stdout


@pytest.mark.rule("D3")
def test_the_projects_own_checks_pass_and_the_suite_is_one_of_them(hour: Project) -> None:
    hour.commit("Rides and their demand")
    run_checks(hour)
    (pipeline,) = hour.path.glob("src/*/datasets/claims/pipeline.py")
    text = pipeline.read_text(encoding="utf-8")
    pipeline.write_text(text.replace('raw["mdvis"]', '-raw["mdvis"]'), encoding="utf-8")
    done = hour.run("uv run pytest tests/data/test_suites.py")
    pipeline.write_text(text, encoding="utf-8")
    assert done.code == 1, done.text
    assert "visits: expect_column_values_to_be_between" in done.text


def test_agents_md_names_no_command_that_was_not_run(hour: Project) -> None:
    """Those in blocks are run as they stand; of those in a line, the placeholders are filled in."""
    standin = Standin()
    web = serve(standin)
    github = standin.add_repository("ada/claims")
    github.commit("main", {"README.md": ""})
    github.add_issue("Data: better rides", "", ["Data"])
    hour.succeed("git remote add origin https://github.com/ada/claims.git")
    reached = {"GITHUB_API_URL": standin.url, "GH_TOKEN": standin.add_token()}
    hour.succeed("uv run dslp --help")
    hour.succeed("uv run dslp data schema rides --write")
    hour.succeed("uv run dslp new issue task --title Tidy --set what=Columns", **reached)
    hour.succeed("uv run dslp start 1", **reached)
    hour.run("uv run dslp check", **reached)
    hour.succeed("uv run dslp data version rides --write")
    hour.succeed("uv add numpy")
    hour.succeed("uv add --dev mypy")
    web.shutdown()
    web.server_close()
    hour.succeed("git reset --quiet --hard")
    hour.succeed("git switch --quiet main")
    page = hour.path / "AGENTS.md"
    blocks = commands(page)
    named = re.findall(r"`(uv (?:run|add) [^`]+)`", page.read_text(encoding="utf-8"))
    assert len(named) >= 8
    for command in named:
        pattern = PLACEHOLDER.sub(r"\\S+", command)
        assert command in blocks or any(re.fullmatch(pattern, done) for done in hour.done), command
    assert hour.done["uv run dslp check"].code in (0, 1), hour.done["uv run dslp check"].text


def test_agents_md_is_short_whatever_the_answers(files: Template, tmp_path: Path) -> None:
    for name, answers in WHOLE.items():
        project = files.copy(tmp_path / name, answers)
        text = (project / "AGENTS.md").read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 60
        assert ("dslp start" in text) == (project / ".github" / "ISSUE_TEMPLATE").is_dir()
        assert ("dslp model train" in text) == (project / "tests" / "model").is_dir()
        assert (project / "CLAUDE.md").read_text(encoding="utf-8") == "@AGENTS.md\n"
