"""Untrusted text is shown on one line and without passwords; files are written as a whole."""

import json
import os
from dataclasses import asdict
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from dslp.core.errors import DslpError
from dslp.core.files import parse_yaml, write_text, written_aside, written_together
from dslp.core.report import Finding, Report, as_json
from dslp.core.text import error_line, escape_markdown, redact, visible
from hypothesis import given
from hypothesis import strategies as st


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
    assert error_line(ValueError(f"a\n b {address}")) == f"a b {shown}"


@given(st.text())
def test_any_text_is_one_printable_line_without_markup(text: str) -> None:
    assert visible(text, 1_000).replace("\u200d", "").isprintable()
    assert not set("<>|`*[]") & set(escape_markdown(text, 1_000))


def test_the_reports_of_a_check_are_json_with_the_letters_of_the_user() -> None:
    finding = Finding("not_null", "3 größe", subject="größe", count=3, examples=["größe 東京"])
    warning = Finding("B3", "an exploration", "close it", severe=False)
    good = Report("claims", 4, [warning], details={"mean": float("nan"), "folds": (0.5, 1)})
    text = as_json([good, Report("visits", 2, [finding])])
    assert "東京" in text
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert content["ok"] is False
    first, second = content["results"]
    assert (first["subject"], first["ok"]) == ("claims", True)
    assert first["details"] == {"mean": None, "folds": [0.5, 1]}
    assert second["findings"] == [asdict(finding)]
    names = ["rule", "problem", "todo", "subject", "why", "count", "examples", "severe"]
    assert list(second["findings"][0]) == names


def test_a_file_that_cannot_be_replaced_is_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    write_text(path, "before\n")
    with pytest.raises(DslpError, match=r"page\.md cannot be written"), written_aside(path) as part:
        part.with_name("missing").joinpath("half").write_text("half")
    assert path.read_text() == "before\n"
    with pytest.raises(DslpError, match=r"page\.md.inner cannot be written"):
        write_text(path / "inner", "text")
    assert [file.name for file in tmp_path.iterdir()] == ["page.md"]
    new = tmp_path / "new"
    for paths in permutations([path, tmp_path / "folder", new]):
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / f".new.{os.getpid()}").mkdir()  # of a killed process with the same number
        with pytest.raises(DslpError, match="cannot be written"), written_together(*paths) as parts:
            [part.write_text("half") for part in parts[:2]]
        assert {file.name for file in tmp_path.iterdir()} == {"page.md", "folder"}
        assert (path.read_text(), (tmp_path / "folder").is_dir()) == ("before\n", True)


BOMB = "a: &a 1\n" + "".join(f"{b}: &{b} [{f'*{a}, ' * 10}]\n" for a, b in pairwise("abcdefgh"))
MERGED = BOMB.replace("&a 1", "&a {k: 1}").replace("[", "{<<: [").replace("]", "]}")
UNREADABLE = ["a: [", "a: 1\na: 2", "d: 2024-02-31", "[" * 100_000, BOMB, MERGED, "a: &a [*a]"]


@pytest.mark.parametrize("text", UNREADABLE)
def test_yaml_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(DslpError, match=r"^here\.yml is not valid YAML: "):
        parse_yaml(text, "here.yml")
