"""The project around the tool: found, read, and refused in one line that says where and why."""

import subprocess
import sys
from pathlib import Path

import pytest
from dslp.errors import DslpError
from dslp.project import Project, redacted

from tests.library.toy import Toy


def test_the_project_is_found_from_any_folder_below(built: Toy) -> None:
    outcome = built.run("data", "validate", cwd=built.dataset)
    assert outcome.code == 0, outcome.err


def test_outside_a_project_the_command_says_what_is_missing(toy: Toy, tmp_path: Path) -> None:
    outcome = toy.run("data", "build", cwd=tmp_path)
    assert outcome.code == 2
    assert "no pyproject.toml with a [tool.dslp] table" in outcome.error
    assert str(tmp_path) in outcome.error


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ('[tool.dslp]\npackage = "toy"\ncolour = "red"', "colour is not a setting"),
        ('[tool.dslp]\npackage = "toy"\nengine = "gas"', "embedded, pandas, sql, spark"),
        ('[tool.dslp]\npackage = "toy"\nbranch = ["main"]', "main, development"),
        ('[tool.dslp]\npackage = "toy"\ntracking = 3', "tracking = 3"),
        ('[tool.dslp]\nbranch = "main"', "package is missing"),
        ("[tool.dslp]\npackage = 3", "package is missing"),
        ("[tool]\ndslp = 3", "package is missing"),
        ("tool = 3", "no project"),
        ("[tool.dslp\n", "is not valid TOML"),
        ("[tool.dslp]\npackage = 'a'\npackage = 'b'", "is not valid TOML"),
    ],
)
def test_settings_that_are_wrong_are_named_with_their_file(
    toy: Toy, settings: str, problem: str
) -> None:
    (toy.root / "pyproject.toml").write_text(settings)
    outcome = toy.run("data", "build")
    assert outcome.code == 2
    assert problem in outcome.error
    assert str(toy.root) in outcome.error


def test_a_file_that_is_no_text_is_not_valid_toml(toy: Toy) -> None:
    (toy.root / "pyproject.toml").write_bytes(b"\xff\xfe\x00")
    assert "is not valid TOML" in toy.run("data", "build").error


def test_variables_of_dotenv_are_read(built: Toy) -> None:
    (built.root / ".env").write_text("DSLP_DATA_DIR=elsewhere\n")
    assert "elsewhere/processed/visits.parquet is missing" in built.run("data", "validate").error


def test_the_environment_wins_over_dotenv(built: Toy) -> None:
    (built.root / ".env").write_text("DSLP_DATA_DIR=/nonexistent\n")
    assert built.run("data", "validate", DSLP_DATA_DIR="data").code == 0


def test_a_folder_in_dotenv_is_meant_from_the_root(built: Toy) -> None:
    (built.root / ".env").write_text("DSLP_DATA_DIR=data\n")
    assert built.run("data", "validate", cwd=built.dataset).code == 0


def test_a_dotenv_that_is_no_text_is_named(toy: Toy) -> None:
    (toy.root / ".env").write_bytes(b"NAME=\xff\n")
    outcome = toy.run("data", "build")
    assert outcome.code == 2
    assert ".env is not UTF-8" in outcome.error


def test_settings_are_read_as_they_stand(toy: Toy) -> None:
    toy.edit(toy.root / "pyproject.toml", 'branch = "main"', 'branch = "development"')
    project = Project.find(toy.source)
    assert (project.root, project.package) == (toy.root, toy.package)
    assert (project.branch, project.tracking, project.engine) == (
        "development",
        "local",
        "embedded",
    )


def test_a_module_that_is_missing_is_named(toy: Toy) -> None:
    with pytest.raises(DslpError, match=r"import toy_\d+\.nothing: ModuleNotFoundError"):
        toy.project.module("nothing")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://user:secret@host:5000/x", "http://host:5000/x"),
        ("postgresql://user:s@cret@host/db", "postgresql://host/db"),
        ("http://user:sec/ret@host", "http://host"),
        ("sqlite:///mlruns/mlflow.db", "sqlite:///mlruns/mlflow.db"),
        ("http://host:5000", "http://host:5000"),
        ("postgresql://h/db?user=u&password=s3cret", "postgresql://h/db?..."),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Ds3cret", "mssql+pyodbc:///?..."),
        ("no https://h/data?sig=s3cret: why? a=b", "no https://h/data?...: why? a=b"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert redacted(address) == shown


def test_a_mistake_ends_in_a_line_and_not_in_a_traceback(toy: Toy) -> None:
    outcome = toy.shell("data", "build", "nothing")
    assert outcome.code == 2
    assert "no dataset 'nothing'" in outcome.error
    assert "there are: visits" in outcome.error


def test_the_traceback_is_shown_to_who_asks_for_it(toy: Toy) -> None:
    outcome = toy.shell("--traceback", "data", "build", "nothing")
    assert outcome.code != 0
    assert "Traceback" in outcome.err
    assert "no dataset 'nothing'" in outcome.err


@pytest.mark.parametrize("arguments", [["data", "biuld"], ["data", "build", "--fresh"], ["dat"]])
def test_a_command_that_does_not_exist_exits_with_two(toy: Toy, arguments: list[str]) -> None:
    outcome = toy.run(*arguments)
    assert outcome.code == 2
    assert "No such" in outcome.err


def test_help_loads_no_heavy_library() -> None:
    code = "import sys, dslp.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"duckdb", "great_expectations", "mlflow", "numpy", "pandas", "pydantic", "sklearn"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.slow
def test_a_person_sees_progress_and_no_chatter_of_libraries(toy: Toy) -> None:
    toy.edit(toy.root / "pyproject.toml", 'engine = "embedded"', 'engine = "sql"')
    toy.done("data", "build")
    for command in ("data validate", "model train --candidate linear"):
        outcome = toy.shell(*command.split())
        assert outcome.code == 0, outcome.err
        assert [line for line in outcome.err.splitlines() if not line.endswith(("...", " s"))] == []


@pytest.mark.slow
def test_values_that_the_terminal_cannot_show_do_not_stop_a_report(built: Toy) -> None:
    rows = built.rows()
    rows.loc[0, "kind"] = "東京"
    built.with_rows(rows)
    outcome = built.shell("data", "validate", PYTHONIOENCODING="cp1252")
    assert outcome.code == 1, outcome.err
    assert r"kind \u6771\u4eac where id 1" in outcome.out
    assert "Traceback" not in outcome.err
