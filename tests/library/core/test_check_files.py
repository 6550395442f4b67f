"""What the hook before a commit lets through, and what it stops."""

import os
from pathlib import Path

import pytest
from dslp.core.file_rules import LARGE, SAMPLE, file_problems

from tests.library.toy import Toy


def found(root: Path, name: str, size: int = 10) -> str:
    """What is said about a file of that name and size; empty if nothing is."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return "\n".join(file_problems([name], root))


@pytest.mark.rule("D1")
@pytest.mark.parametrize(
    "name",
    [
        "data/raw/people.txt",
        "data/interim/deep/.hidden",
        "data/processed/visits.parquet",
        "people.csv",
        "src/PEOPLE.CSV",
        "docs/people.csv.gz",
        "warehouse.db",
        "runs.sqlite3",
        "model.skops",
        "model.pkl",
        "archive.tar.gz",
        "sheet.xlsx",
        "./data/raw/people.txt",
    ],
)
def test_data_is_stopped_wherever_it_lies(tmp_path: Path, name: str) -> None:
    assert "(D1)" in found(tmp_path, name)


@pytest.mark.rule("D1")
def test_a_large_file_is_stopped_whatever_it_is(tmp_path: Path) -> None:
    assert found(tmp_path, "notes.md", LARGE) == ""
    assert "500,001 bytes is large (D1)" in found(tmp_path, "notes.md", LARGE + 1)


@pytest.mark.parametrize("name", ["tests/a.csv", "src/fixtures/a.parquet", "docs/samples/a.zip"])
def test_a_small_sample_is_welcome_and_a_big_one_is_not(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, name, SAMPLE) == ""
    assert "no small sample (D1)" in found(tmp_path, name, SAMPLE + 1)


def test_a_sample_is_no_way_into_the_data_folder(tmp_path: Path) -> None:
    assert "contents of data/" in found(tmp_path, "data/raw/samples/a.csv")


@pytest.mark.parametrize(
    "name",
    [
        "src/template_copy.py",
        "data/raw/.gitkeep",
        "src/pkg/datasets/claims/pipeline.py",
        "docs/data/index.md",
        "notebooks/14-visits-by-plan.ipynb",
        "src/pkg/finalise.py",
        "src/pkg/api-v2.py",
        "docs/threshold.md",
        "tests/test_copying.py",
        "Makefile",
        ".gitignore",
    ],
)
def test_what_belongs_into_the_repository_passes(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, name) == ""


def test_a_lock_file_may_be_large(tmp_path: Path) -> None:
    assert found(tmp_path, "uv.lock", 2 * LARGE) == ""


@pytest.mark.parametrize(
    "name",
    [
        "notebooks/Untitled.ipynb",
        "notebooks/Untitled3.ipynb",
        "notebooks/visits-Copy1.ipynb",
        "notebooks/visits-V2.ipynb",
        "notebooks/visits-final-V2.ipynb",
        "src/model_final.py",
        "src/model_final_2.py",
        "src/model (1).py",
        "docs/report-old.md",
        "docs/report_backup.md",
    ],
)
def test_sprawl_is_stopped_by_its_name(tmp_path: Path, name: str) -> None:
    assert "(X2)" in found(tmp_path, name)


def test_windows_separators_are_separators(tmp_path: Path) -> None:
    (tmp_path / "data\\raw\\a.txt").write_text("a file with this very name, where that is allowed")
    assert "contents of data/" in file_problems(["data\\raw\\a.txt"], tmp_path)[0]


@pytest.mark.parametrize(
    "name", ["two\nlines.csv", "tab\t.csv", os.fsdecode(b"bytes\xff.csv"), "esc\x1b[31m.csv"]
)
def test_a_hostile_name_stays_in_one_printable_line(toy: Toy, name: str) -> None:
    (toy.root / name).write_text("1\n")
    outcome = toy.shell("check-files", name)
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    (line,) = outcome.out.splitlines()
    assert line.isprintable()
    assert line.endswith("or a small sample in tests/")


@pytest.mark.parametrize("name", ["--help", "-x.csv", "--traceback", "größe.csv", "[red]a.csv"])
def test_a_name_is_never_an_option_or_markup(toy: Toy, name: str) -> None:
    (toy.root / name).write_text("1\n")
    outcome = toy.run("check-files", "--", name, "uv.lock")
    assert outcome.code == (1 if name.endswith(".csv") else 0)
    assert name.endswith(".csv") == (name in outcome.out)


def test_a_file_that_was_deleted_is_nothing_to_commit(tmp_path: Path) -> None:
    assert file_problems(["data/raw/gone.csv"], tmp_path) == []


def test_each_file_is_judged_and_named_with_what_to_do(toy: Toy) -> None:
    for name in ("good.py", "bad.csv", "Untitled.ipynb"):
        (toy.root / name).write_text("1\n")
    outcome = toy.run("check-files", "good.py", "bad.csv", "Untitled.ipynb")
    assert outcome.code == 1
    bad, untitled = outcome.out.splitlines()
    assert bad.startswith("bad.csv: data is not committed (D1); put it in data/")
    assert untitled.startswith("Untitled.ipynb: ")
    assert "name it for what it asks" in untitled


def test_good_files_pass_in_silence(toy: Toy) -> None:
    outcome = toy.run("check-files", "uv.lock", "pyproject.toml")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
