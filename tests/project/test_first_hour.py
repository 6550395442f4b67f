"""The first hour: from a CSV file to a served model by the commands of the docs, as they stand."""

import re
import shlex
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.github.standin.server import Standin
from tests.github.standin.web import serve
from tests.project.test_whole_projects import run_checks
from tests.project.whole import WHOLE, Project, commands
from tests.services import free_port
from tests.template_copy import ROOT, Template

pytestmark = [pytest.mark.slow, pytest.mark.only("no-example")]

HEADING = "From your CSV to a served model"
PLACEHOLDER = re.compile(r"\b(NAME|COLUMN|NUMBER|PACKAGE)\b")


def write_rides(file: Path) -> None:
    """Rides of bicycles by day and station, with gaps, a date, and names that no code can use."""
    draw, rows = np.random.default_rng(3), 400
    frame = pd.DataFrame({"Rental ID": range(1, rows + 1)})
    frame["Day"] = pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d")
    frame["station"] = draw.choice(["north", "süd"], rows)
    frame["temperature"] = draw.normal(15, 8, rows).round(1)
    frame["rides"] = (60 + 2 * frame["temperature"] + 20 * (frame["station"] == "süd")).astype(int)
    frame.loc[::9, "temperature"] = None
    file.parent.mkdir(parents=True)
    frame.to_csv(file, index=False)


@pytest.fixture(scope="session")
def hour(project: Project) -> Project:
    """The project in which each line of the docs was run, but for the two about the server."""
    assert len(commands(ROOT / "README.md", HEADING)) == 10
    write_rides(project.path / "data" / "raw" / "rides.csv")
    for command in commands(ROOT / "docs" / "start.md", HEADING)[:9]:
        project.succeed(command)
    return project


def test_the_lines_of_the_docs_go_from_a_csv_file_to_a_champion(hour: Project) -> None:
    lines = commands(ROOT / "docs" / "start.md", HEADING)
    assert lines[:10] == commands(ROOT / "README.md", HEADING)
    printed = [hour.done[line].text for line in lines[:9]]
    assert "rides.csv; for personal data" in printed[0]
    assert "rides holds: 2 checks, 0 findings" in printed[3]
    assert "inputs: station, temperature" in printed[4]
    assert re.search(r"better .*\bmet", printed[5]), printed[5]
    assert "demand 1.0.0 (version 1) is the champion" in printed[8]
    schema = next(hour.path.glob("src/*/datasets/rides/schema.yml")).read_text(encoding="utf-8")
    assert "key: [rental_id]" in schema
    assert "categories: [north, süd]" in schema


def test_the_champion_answers_the_line_with_curl(hour: Project) -> None:
    start, ask = commands(ROOT / "docs" / "start.md", HEADING)[9:]
    port = str(free_port())
    hour.succeed("uv sync --group serving")  # what `uv run --group` would print into the log
    with subprocess.Popen(
        [*shlex.split(start), "--port", port], cwd=hour.path, env=hour.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as server:  # fmt: skip
        try:
            for _ in range(600):
                assert server.poll() is None, server.communicate()[0]
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            asked = subprocess.run(
                ["curl", "--silent", *shlex.split(ask.replace("8000", port))[1:]],
                env=hour.environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
        finally:
            server.send_signal(signal.SIGINT)
    assert re.fullmatch(r'\{"rides":\s?\d+(\.\d+)?\}', asked.stdout), asked.stdout


def test_what_was_written_passes_the_projects_own_checks(hour: Project) -> None:
    hour.commit("Rides and their demand")
    run_checks(hour)


def test_agents_md_names_no_command_that_was_not_run(hour: Project) -> None:
    """Those in blocks are run as they stand, on the example; those in a line are run here."""
    standin = Standin()
    web = serve(standin)
    github = standin.add_repository("ada/claims")
    github.commit("main", {"README.md": ""})
    github.add_issue("Data: better rides", "", ["Data"])
    hour.succeed("git remote add origin https://github.com/ada/claims.git")
    reached = {"GITHUB_API_URL": standin.url, "GH_TOKEN": standin.add_token()}
    hour.succeed("uv run dslp --help")
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
