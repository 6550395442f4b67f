"""What the hook before a commit lets through, and what it stops."""

import os
from pathlib import Path

import pytest
from dslp.core.file_rules import LARGE, SAMPLE, file_problems

from tests.library.toy import Toy

DATA = (
    *("data/raw/people.txt", "data/interim/deep/.hidden", "data/processed/visits.parquet"),
    *("people.csv", "src/PEOPLE.CSV", "docs/people.csv.gz", "warehouse.db", "runs.sqlite3"),
    *("model.skops", "model.pkl", "archive.tar.gz", "sheet.xlsx", "./data/raw/people.txt"),
    *("data/raw/samples/a.csv",),
)
SPRAWL = (
    *("notebooks/Untitled.ipynb", "notebooks/Untitled3.ipynb", "notebooks/visits-Copy1.ipynb"),
    *("notebooks/visits-V2.ipynb", "notebooks/visits-final-V2.ipynb", "notebooks/visits_v2.py"),
    *("src/model_final.py", "src/model_final_2.py", "docs/report-old.md", "docs/report_backup.md"),
)
WELCOME = (
    *("src/template_copy.py", "data/raw/.gitkeep", "src/pkg/datasets/claims/pipeline.py"),
    *("docs/data/index.md", "notebooks/14-visits-by-plan.ipynb", "src/pkg/finalise.py"),
    *("src/pkg/api-v2.py", "docs/threshold.md", "tests/test_copying.py", "Makefile"),
    *(".gitignore",),
)


@pytest.mark.rule("D1", "X2")
@pytest.mark.parametrize(
    ("name", "size", "problem"),
    [
        *((name, 10, "(D1)") for name in DATA),
        *((name, 10, "(X2)") for name in (*SPRAWL, "src/model (1).py")),
        *((name, 10, "") for name in WELCOME),
        ("notes.md", LARGE, ""),
        ("notes.md", LARGE + 1, "500,001 bytes is large (D1)"),
        ("uv.lock", 2 * LARGE, ""),
        ("tests/a.csv", SAMPLE, ""),
        ("docs/samples/a.zip", SAMPLE + 1, "no small sample (D1)"),
    ],
)
def test_data_large_files_and_sprawl_are_stopped_and_nothing_else(
    tmp_path: Path, name: str, size: int, problem: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    lines = file_problems([name], tmp_path)
    assert len(lines) == bool(problem)
    assert problem in "".join(lines)


def test_a_hostile_name_stays_in_one_printable_line(tmp_path: Path) -> None:
    for name in ("two\nlines.csv", os.fsdecode(b"bytes\xff.csv"), "esc\x1b[31m.csv"):
        (tmp_path / name).write_text("1\n")
        (line,) = file_problems([name], tmp_path)
        assert line.isprintable()
        assert line.endswith("or a small sample in tests/")


def test_each_file_is_named_with_what_to_do_and_good_ones_are_not(toy: Toy) -> None:
    names = ("good.py", "bad.csv", "Untitled.ipynb", "--traceback", "größe.csv", "[red]a.csv")
    for name in names:
        (toy.root / name).write_text("1\n")
    outcome = toy.run("check-files", "--", *names, "data/raw/deleted.csv")
    assert outcome.code == 1
    bad, untitled, letters, markup = outcome.out.splitlines()
    assert bad.startswith("bad.csv: data is not committed (D1); put it in data/")
    assert "name it for what it asks" in untitled
    assert letters.startswith("größe.csv: ")
    assert markup.startswith("[red]a.csv: ")
    outcome = toy.run("check-files", "uv.lock", "pyproject.toml")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
