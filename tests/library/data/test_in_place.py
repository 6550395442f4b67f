"""A dataset that another program writes: checked where it is, and never built (D2, D3, G2)."""

from pathlib import Path

import pandas as pd
import pytest

from tests.library.toy import Toy

pytestmark = pytest.mark.rule("D2", "G2")

SHEET = """\
---
version: 1.0.0
owner: the warehouse
parents: []
licence: ours
personal_data: no
known_issues: []
ci: none
files: output/stays
---

# Stays

**History.**

| version | issue | change |
| --- | --- | --- |
| 1.0.0 |  | first |
"""
SUITE = """\
name: stays
expectations:
  - type: expect_column_values_to_be_between
    kwargs: {column: nights, min_value: 1}
    description: A stay has a night.
"""


@pytest.fixture
def stays(toy: Toy) -> Path:
    """The dataset's folder; its rows are in two files that a job of the team writes."""
    folder = toy.source / "datasets" / "stays"
    folder.mkdir()
    (folder / "datasheet.md").write_text(SHEET, encoding="utf-8")
    (folder / "suite.yml").write_text(SUITE, encoding="utf-8")
    (folder / "schema.yml").write_text("", encoding="utf-8")
    write(toy, "one", [1, 2])
    write(toy, "two", [3])
    return folder


def write(toy: Toy, name: str, nights: list[int]) -> None:
    file = toy.root / "output" / "stays" / f"{name}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"stay": [f"{name} {n}" for n in nights], "nights": nights}).to_parquet(file)


@pytest.mark.usefixtures("stays")
def test_it_is_checked_where_it_is_and_again_when_it_changes(toy: Toy) -> None:
    assert toy.run("data", "schema", "stays", "--write").code == 0
    assert "stays holds" in toy.run("data", "validate", "stays").out
    write(toy, "three", [0])
    failed = toy.run("data", "validate", "stays")
    assert failed.code == 1
    assert "A stay has a night." in failed.out
    built = toy.run("data", "build", "stays")
    assert built.code == 0
    assert "nothing to build; another program writes" in built.out


@pytest.mark.usefixtures("stays")
def test_a_version_of_it_is_registered_with_its_files_and_compared_with_the_last(toy: Toy) -> None:
    assert toy.run("data", "schema", "stays", "--write").code == 0
    registered = toy.run("data", "register", "stays")
    assert registered.code == 0, registered.err
    write(toy, "three", [4])
    version = toy.run("data", "version", "stays", "--write")
    assert version.code == 0, version.err
    assert "1.0.1" in (toy.source / "datasets/stays/datasheet.md").read_text(encoding="utf-8")


def test_what_is_missing_is_said_with_who_writes_it(toy: Toy, stays: Path) -> None:
    for file in (toy.root / "output" / "stays").iterdir():
        file.unlink()
    assert "another program writes it (files in its datasheet)" in toy.run(
        "data", "validate", "stays"
    ).error.replace("\n", " ")
    sheet = stays / "datasheet.md"
    sheet.write_text(SHEET.replace("files: output/stays\n", ""), encoding="utf-8")
    error = toy.run("data", "validate", "stays").error
    assert (
        "has no pipeline.py (D2); where another program writes the data, say so by files" in error
    )
    sheet.write_text(SHEET, encoding="utf-8")
    (stays / "pipeline.py").write_text("def build(raw): return raw\n", encoding="utf-8")
    assert "keep one" in toy.run("data", "build", "stays").error
