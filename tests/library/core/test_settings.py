"""The project around the tool: found, read, and refused in one line that says where and why."""

import subprocess
import sys
from pathlib import Path

import pytest
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import redact

from tests.library.toy import Toy


def test_the_project_is_found_from_any_folder_below(built: Toy) -> None:
    outcome = built.run("data", "validate", cwd=built.dataset)
    assert outcome.code == 0, outcome.err


def test_outside_a_repository_the_command_says_what_is_missing(toy: Toy, tmp_path: Path) -> None:
    for command in ("data build", "check", "labels register", "doctor"):
        outcome = toy.run(*command.split(), cwd=tmp_path)
        assert outcome.code == 2
        assert "no git repository and no settings" in outcome.error
        assert str(tmp_path) in outcome.error


@pytest.mark.parametrize("file", ["dslp.toml", "pyproject.toml"])
@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ('brunch = "main"', "brunch is not a setting; do you mean branch? Known are package, "),
        ('package = "toy"\nengine = "gas"', "embedded, sql, spark"),
        ('branch = ["main"]', "main, development"),
        ("tracking = 3", "tracking = 3"),
        ("package = 3", "package = 3 cannot be imported"),
        ("package = '../toy'", "cannot be imported"),
        ('branch = "main"', 'package is missing; write package = "NAME" there'),
        ("branch", "is not valid TOML"),
        ("package = 'a'\npackage = 'b'", "is not valid TOML"),
    ],
)
def test_settings_that_are_wrong_are_named_with_their_file(
    toy: Toy, file: str, settings: str, problem: str
) -> None:
    (toy.root / "pyproject.toml").unlink()
    table = "[tool.dslp]\n" if file == "pyproject.toml" else ""
    (toy.root / file).write_text(table + settings)
    outcome = toy.run("data", "build")
    assert outcome.code == 2
    assert problem in outcome.error
    assert str(toy.root / file) in outcome.error
    assert ("[tool.dslp]" in outcome.error) == (bool(table) and "TOML" not in problem)


def test_settings_in_two_places_are_refused(toy: Toy) -> None:
    (toy.root / "dslp.toml").write_text(f'package = "{toy.package}"\n')
    error = toy.run("data", "build").error
    assert f"{toy.root / 'dslp.toml'} and in {toy.root / 'pyproject.toml'}, [tool.dslp]" in error
    assert "keep one" in error


def test_a_repository_without_settings_has_the_defaults(toy: Toy) -> None:
    (toy.root / "pyproject.toml").write_text('[project]\nname = "toy"\n[tool]\nuv = {}\n')
    toy.git("init", "--quiet")
    found = Project.find(toy.source)
    assert (found.root, found.package, found.branch) == (toy.root, "", "main")
    for command in ("data build", "experiment run", "model train", "new dataset blue"):
        error = toy.run(*command.split(), cwd=toy.source).error
        assert f'{toy.root / "dslp.toml"}: package is missing; write package = "NAME"' in error


def test_settings_beyond_the_repository_are_not_its_own(toy: Toy) -> None:
    inner = toy.root / "vendored"
    inner.mkdir()
    subprocess.run(["git", "init", "--quiet", inner], check=True)
    assert (Project.find(inner).root, Project.find(inner).package) == (inner, "")


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
    assert redact(address) == shown


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


HEAVY = {  # pydantic aside, which typer loads where it is installed
    *("duckdb", "fastapi", "fsspec", "github", "great_expectations", "matplotlib", "mlflow"),
    *("numpy", "pandas", "pyarrow", "pyspark", "requests", "scipy", "sklearn"),
    *("skops", "sqlalchemy", "rich.progress"),
}


@pytest.mark.parametrize("arguments", [["--help"], ["check-files", "pyproject.toml"]])
def test_what_must_be_quick_loads_no_heavy_library(toy: Toy, arguments: list[str]) -> None:
    code = (
        "import sys\nfrom dslp.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=toy.root, capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stderr.split()) == set()


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
