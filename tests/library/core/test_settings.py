"""The project around the tool: found, read, and refused in one line that says where and why."""

import subprocess
import sys
from pathlib import Path

import pytest
from dslp.core.errors import DslpError
from dslp.core.settings import Project

from tests.library.toy import Toy
from tests.template_copy import git


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
        ('branch = ["main"]', "branch = ['main'] is no name of a branch"),
        ("branch = '-f'", "branch = '-f' is no name of a branch"),
        ("exempt_branches = 'infra/*'", "is no list of names or patterns, such as"),
        ('exempt_branches = ["[!a]*"]', "is no list of names or patterns"),
        ("tracking = 3", "tracking = 3"),
        ("package = 3", "package = 3 cannot be imported"),
        ("package = '../toy'", "cannot be imported"),
        ('branch = "main"', 'package is missing; write package = "NAME" there'),
        ("branch", "is not valid TOML"),
        ("<<<<<<< before updating", "has conflict markers: resolve them"),
        ("\xff", "cannot be read"),
        ("package = 'a'\npackage = 'b'", "is not valid TOML"),
    ],
)
def test_settings_that_are_wrong_are_named_with_their_file(
    toy: Toy, file: str, settings: str, problem: str
) -> None:
    (toy.root / "pyproject.toml").unlink()
    table = "[tool.dslp]\n" if file == "pyproject.toml" else ""
    (toy.root / file).write_text(table + settings, encoding="latin-1")
    outcome = toy.run("data", "build")
    assert outcome.code == 2
    assert problem in outcome.error
    assert str(toy.root / file) in outcome.error
    whole = any(word in problem for word in ("TOML", "read", "markers"))
    assert ("[tool.dslp]" in outcome.error) == (bool(table) and not whole)


def test_settings_in_two_places_are_refused(toy: Toy) -> None:
    (toy.root / "dslp.toml").write_text(f'package = "{toy.package}"\n')
    error = toy.run("data", "build").error
    assert f"{toy.root / 'dslp.toml'} and in {toy.root / 'pyproject.toml'}, [tool.dslp]" in error
    assert "keep one" in error


def test_a_repository_without_settings_has_the_defaults(toy: Toy) -> None:
    (toy.root / "pyproject.toml").write_text('[project]\nname = "toy"\n[tool]\nuv = {}\n')
    toy.git("init", "--quiet")
    project = Project.find(toy.source)
    assert (project.root, project.package, project.branch) == (toy.root, "", "main")
    for command in ("data build", "experiment run", "model train", "new dataset blue"):
        error = toy.run(*command.split(), cwd=toy.source).error
        assert f'{toy.root / "dslp.toml"}: package is missing; write package = "NAME"' in error
    (toy.root / "pyproject.toml").write_text('[tool.dslp]\npackage = "outer"\n')
    git("init", "--quiet", "vendored", cwd=toy.root)
    inner = Project.find(toy.root / "vendored")
    assert (inner.root, inner.package) == (toy.root / "vendored", "")


def test_dotenv_sets_what_the_environment_does_not(built: Toy) -> None:
    (built.root / ".env").write_text("DSLP_DATA_DIR=elsewhere\n")
    error = built.run("data", "validate", cwd=built.dataset).error
    assert f"{built.root}/elsewhere/processed/visits.parquet is missing" in error
    assert built.run("data", "validate", DSLP_DATA_DIR="data").code == 0
    (built.root / ".env").write_bytes(b"NAME=\xff\n")
    assert ".env cannot be read: 'utf-8'" in built.run("data", "validate").error


def test_a_mistake_ends_in_one_line(toy: Toy) -> None:
    outcome = toy.shell("data", "build", "nothing")
    assert outcome.code == 2
    assert "no dataset 'nothing'" in outcome.error
    assert "known are visits" in outcome.error
    with pytest.raises(DslpError, match=r"import toy_\d+\.nothing: ModuleNotFoundError"):
        toy.project.module("nothing")


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
