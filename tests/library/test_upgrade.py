"""Files of an older format are moved on, keep what they mean, and say what was done."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dslp import upgrade
from dslp.core import formats
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.data.dataset import find_dataset
from dslp.data.schema import read_schema
from dslp.experiments.params import Params, read_checked
from dslp.models.gates import Champion, Gates
from dslp.models.monitoring import MonitorSettings

from tests.library.toy import Toy
from tests.template_copy import commit, publish

READERS: dict[str, Callable[[Toy], Any]] = {
    "datasheet.md": lambda toy: find_dataset(Project.find(toy.root), "visits").sheet,
    "schema.yml": lambda toy: read_schema(find_dataset(Project.find(toy.root), "visits")),
    "params.yml": lambda toy: read_checked(Params, file(toy, "params.yml")),
    "gates.yml": lambda toy: read_checked(Gates, file(toy, "gates.yml")),
    "monitor.yml": lambda toy: read_checked(MonitorSettings, file(toy, "monitor.yml")),
}
SHORT = "criterion: {improvement: 0.1}\n"
MOVED = "criterion: {improvement: 0.1, by: difference}\n"


def file(toy: Toy, name: str) -> Path:
    return next(toy.source.glob(f"*/*/{name}"))


@pytest.fixture
def higher(toy: Toy) -> Toy:
    """A project whose metric is to rise, in a commit."""
    toy.edit(file(toy, "params.yml"), "better: lower", "better: higher")
    toy.edit(file(toy, "gates.yml"), "margin: 0.0", "margin: 0.1")
    commit(toy.root)
    return toy


def test_what_depended_on_a_default_is_written_down_and_means_the_same(higher: Toy) -> None:
    params = file(higher, "params.yml")
    before, text = READERS["params.yml"](higher), params.read_text()
    planned = higher.done("upgrade", "--dry-run").out
    assert params.read_text() == text
    assert higher.done("upgrade").out == planned.replace("would move", "moved")
    assert "models/frequency/params.yml\n  criterion has by: difference now, as impr" in planned
    assert "write share if a share of the champion's figure is meant" in planned
    assert params.read_text() == f"format: 2\n{text.replace(SHORT, MOVED)}"
    assert READERS["params.yml"](higher) == before
    assert READERS["gates.yml"](higher).champion == Champion(margin=0.1, by="difference")
    assert "nothing to do" in higher.done("upgrade").out


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "criterion:\r\n    improvement: 0.1 # enough\r\n    # why\r\n",
            "criterion:\r\n    improvement: 0.1 # enough\r\n    by: difference\r\n    # why\r\n",
        ),
        (SHORT.replace("}", ",}"), MOVED.replace("}", ",}")),
        (f"format: 1 # of all\n{SHORT}", f"format: 2 # of all\n{MOVED}"),
    ],
)
def test_comments_order_and_line_ends_stay(higher: Toy, old: str, new: str) -> None:
    path, end = file(higher, "params.yml"), "\r\n" if "\r" in old else "\n"
    text = path.read_text().replace("\n", end).replace(SHORT.replace("\n", end), old)
    path.write_bytes(text.removesuffix(end).encode())
    higher.commit()
    higher.done("upgrade")
    first = "" if "format" in old else f"format: 2{end}"
    assert path.read_bytes().decode().strip() == (first + text.replace(old, new)).strip()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("criterion: &a {improvement: 0.1}\nsweep: *a\n", "cannot be edited; write by hand"),
        ("criterion:\n\timprovement: 0.1\n", "not valid YAML"),
        (f"{SHORT}target: a\n", "'target' is written twice"),
        ("format: two\n", "format is 'two'; write a number from 1 to 2"),
        ("format: 99\n", "has format 99, and this dslp reads 2 at most"),
        ("sweep: [&a [1], &b [*a, *b]]\n", "not valid YAML"),
        ("# \udcff\n", "cannot be read"),
    ],
)
def test_what_cannot_be_moved_is_named_and_stays(higher: Toy, text: str, problem: str) -> None:
    path = file(higher, "params.yml")
    broken = path.read_text().replace(SHORT, text).encode(errors="surrogateescape")
    path.write_bytes(broken)
    higher.commit()
    outcome = higher.run("upgrade")
    assert (outcome.code, path.read_bytes()) == (1, broken)
    assert problem in outcome.out + outcome.err


def test_what_no_commit_has_is_not_replaced_and_others_are_moved(higher: Toy) -> None:
    higher.edit(file(higher, "params.yml"), "improvement: 0.1", "improvement: 0.2")
    outcome = higher.run("upgrade")
    assert outcome.code == 1
    assert "params.yml has changes that no commit has; commit it first" in outcome.error
    assert "by: difference" in file(higher, "gates.yml").read_text()


@pytest.mark.parametrize("name", READERS)
def test_a_file_of_another_library_says_so_where_it_is_read(
    toy: Toy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = file(toy, name), READERS[name]
    content, text = read(toy), path.read_text()
    first = text.removeprefix("---\n").splitlines()[0]
    for number, error in ((7, "uv sync, or else copier update"), (0, "write a number"), (1, "")):
        path.write_text(text.replace(first, f"format: {number}\n{first}", 1))
        if error:
            with pytest.raises(DslpError, match=error):
                read(toy)
    assert read(toy) == content
    monkeypatch.setattr(formats, "OLDEST", 2)
    with pytest.raises(DslpError, match="old format 1; move it on: uv run dslp upgrade"):
        read(toy)


def test_a_later_format_of_a_datasheet_changes_its_front_matter_alone(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = file(toy, "datasheet.md").read_text()
    monkeypatch.setitem(formats.FORMATS, "datasheet.md", 2)
    move = [("", "ci", "none", "as it was")]
    monkeypatch.setitem(upgrade.MOVES, ("datasheet.md", 1), lambda *_: iter(move))
    commit(toy.root)
    assert "datasheet.md has ci: none now, as it was" in toy.done("upgrade").out
    text = text.replace("---\nversion", "---\nformat: 2\nversion")
    assert file(toy, "datasheet.md").read_text() == text.replace(".\n---", ".\nci: none\n---")


WORK = ("data build", "data validate", "experiment run", "model train")


@pytest.mark.parametrize("work", [(), pytest.param(WORK, marks=pytest.mark.campaign)])
def test_a_project_of_the_oldest_release_works_after_update_and_upgrade(
    tmp_path: Path, work: tuple[str, ...]
) -> None:
    template = publish(tmp_path / "template")
    project = template.copy(tmp_path / "visits", release=template.releases[0])
    (params,) = project.glob("src/*/models/claim_frequency/params.yml")
    for path in (params, params.with_name("evaluate.py")):
        path.write_text(path.read_text().replace("lower", "higher", 1))
    commit(project)
    template.update(project)
    for command in ("upgrade", *work):
        dslp = [sys.executable, "-m", "dslp", *command.split()]
        subprocess.run(dslp, cwd=project, check=True)
    assert "by: difference" in params.read_text()
