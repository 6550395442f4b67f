"""Files of an older format are moved on, keep what they mean, and say what was done."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dslp.core import formats
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.data.dataset import find_dataset
from dslp.data.schema import read_schema
from dslp.experiments.params import Params, read_checked
from dslp.models.gates import Gates
from dslp.models.monitoring import MonitorSettings

from tests.library.toy import Toy

FILES = ("datasheet.md", "schema.yml", "params.yml", "gates.yml", "monitor.yml")
HIGHER = "metric: {name: accuracy, better: higher}"


@pytest.fixture
def higher(toy: Toy) -> Toy:
    """A project whose metric is to rise, in a commit."""
    toy.edit(file(toy, "params.yml"), "metric: {name: absolute_error, better: lower}", HIGHER)
    toy.edit(file(toy, "gates.yml"), "margin: 0.0", "margin: 0.1")
    toy.git("init", "--quiet")
    toy.commit()
    return toy


def file(toy: Toy, name: str) -> Path:
    return (toy.dataset if name in FILES[:2] else toy.model_folder) / name


def criterion(toy: Toy, text: str) -> bytes:
    """Write the criterion in another way, in a commit; what the file holds then."""
    toy.edit(file(toy, "params.yml"), "criterion: {improvement: 0.1}\n", text)
    toy.commit()
    return file(toy, "params.yml").read_bytes()


def test_files_that_mean_the_same_today_are_left_alone(toy: Toy) -> None:
    before = {name: file(toy, name).read_bytes() for name in FILES}
    assert "nothing to do" in toy.done("upgrade").out
    assert {name: file(toy, name).read_bytes() for name in FILES} == before


def test_what_depended_on_a_default_is_written_down_and_means_the_same(higher: Toy) -> None:
    path = file(higher, "params.yml")
    before, text = read_checked(Params, path), path.read_bytes()
    planned = higher.done("upgrade", "--dry-run").out
    assert path.read_bytes() == text
    out = higher.done("upgrade").out
    assert planned.replace("would move", "moved") == out
    assert "models/frequency/params.yml" in out
    assert "champion has by: difference" in out
    assert "by: share" in out
    assert b"criterion: {improvement: 0.1, by: difference}\n" in path.read_bytes()
    assert path.read_text().startswith("format: 2\nask:\n")
    assert read_checked(Params, path) == before
    gates = read_checked(Gates, file(higher, "gates.yml")).champion
    assert gates is not None
    assert (gates.margin, gates.by) == (0.1, "difference")
    assert "nothing to do" in higher.done("upgrade").out


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "criterion:\n    improvement: 0.1 # enough\n    # why\n",
            "criterion:\n    improvement: 0.1 # enough\n    by: difference\n    # why\n",
        ),
        ("criterion: # what\r\n  improvement: 0.1\r\n", None),
        (
            "criterion: {improvement: 0.1,} # what\n",
            "criterion: {improvement: 0.1, by: difference,} # what\n",
        ),
        (
            "criterion:\n  ? improvement\n  : 0.1\n",
            "criterion:\n  ? improvement\n  : 0.1\n  by: difference\n",
        ),
    ],
)
def test_comments_order_and_line_ends_stay(higher: Toy, old: str, new: str | None) -> None:
    path = file(higher, "params.yml")
    text = criterion(higher, old).decode()
    if new is None:  # as Windows writes it
        text, new = text.replace("\r\n", "\n").replace("\n", "\r\n"), f"{old}  by: difference\r\n"
        path.write_bytes(text.encode())
        higher.commit()
    higher.done("upgrade")
    end = "\r\n" if "\r\n" in text else "\n"
    assert path.read_bytes().decode() == f"format: 2{end}{text.replace(old, new)}"


def test_a_number_of_an_older_format_is_raised_where_it_stands(higher: Toy) -> None:
    path = file(higher, "params.yml")
    text = criterion(higher, "criterion: {improvement: 0.1}\nformat: 1 # of the file\n").decode()
    path.write_text(text.removesuffix("\n"))
    higher.commit()
    higher.done("upgrade")
    assert path.read_text() == text.replace("0.1}", "0.1, by: difference}").replace(
        ": 1 #", ": 2 #"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("criterion: &same {improvement: 0.1}\nsweep: *same\n", "write by hand: format: 2"),
        ("criterion:\n\timprovement: 0.1\n", "not valid YAML"),
        ("criterion: {improvement: 0.1}\ntarget: a\n", "'target' is written twice"),
        ("format: two\n", "format is 'two'; write a number from 1 to 2"),
        ("format: 99\n", "has format 99, and this dslp reads 2 at most"),
        ("sweep: [&a [1, 1], &b [*a, *a], &c [*b, *c]]\n", "not valid YAML"),
    ],
)
def test_what_cannot_be_moved_is_named_and_stays(higher: Toy, text: str, problem: str) -> None:
    before = criterion(higher, text)
    outcome = higher.run("upgrade")
    assert outcome.code == 1
    assert problem in outcome.error
    assert file(higher, "params.yml").read_bytes() == before


def test_what_no_commit_has_is_not_overwritten_and_others_are_moved(higher: Toy) -> None:
    higher.edit(file(higher, "params.yml"), "0.1", "0.2")
    outcome = higher.run("upgrade")
    assert outcome.code == 1
    assert "params.yml has changes that no commit has" in outcome.error
    assert "by: difference" not in file(higher, "params.yml").read_text()
    assert "by: difference" in file(higher, "gates.yml").read_text()


READERS: dict[str, Callable[[Toy], Any]] = {
    "datasheet.md": lambda toy: find_dataset(Project.find(toy.root), "visits").sheet,
    "schema.yml": lambda toy: read_schema(find_dataset(Project.find(toy.root), "visits")),
    "params.yml": lambda toy: read_checked(Params, file(toy, "params.yml")),
    "gates.yml": lambda toy: read_checked(Gates, file(toy, "gates.yml")),
    "monitor.yml": lambda toy: read_checked(MonitorSettings, file(toy, "monitor.yml")),
}


@pytest.mark.parametrize("name", FILES)
def test_another_library_is_named_where_a_file_is_read(
    toy: Toy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = file(toy, name), READERS[name]
    content, text = read(toy), path.read_text()
    first = next(line for line in text.splitlines() if line[0].isalpha())
    for number, message in (
        (1, None),
        (7, "uv sync, or else copier update"),
        (0, "write a number"),
    ):
        path.write_text(text.replace(first, f"format: {number}\n{first}", 1))
        if message is None:
            assert read(toy) == content
        else:
            with pytest.raises(DslpError, match=message):
                read(toy)
    path.write_text(text)
    monkeypatch.setattr(formats, "OLDEST", 2)
    with pytest.raises(DslpError, match="old format 1; move it on: uv run dslp upgrade"):
        read(toy)
