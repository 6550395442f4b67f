"""`dslp new`: what it writes works as it is, and nothing is overwritten or left half done."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dslp.core.errors import DslpError
from dslp.data.dataset import Dataset
from dslp.scaffold import place

from tests import clean
from tests.library.toy import Outcome, Toy
from tests.template_copy import Template, tree


def untracked(toy: Toy) -> list[str]:
    """What git sees that was not there before, so nothing hidden stays unseen."""
    return toy.git("status", "--porcelain", "--untracked-files=all").splitlines()


def pytest_passes(toy: Toy, test: str) -> str:
    """Run one of the toy's tests in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", test],
        cwd=toy.root,
        env=os.environ | {"PYTHONPATH": str(toy.root / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(toy: Toy, *arguments: str) -> str:
    """Why nothing was written; and nothing was."""
    before = tree(toy.root)
    error = toy.run("new", *arguments).error
    assert tree(toy.root) == before
    return error


@pytest.mark.rule("D2")
@pytest.mark.parametrize("engine", ["embedded", "sql"])
def test_a_new_dataset_builds_validates_and_is_tested(toy: Toy, engine: str) -> None:
    toy.edit(toy.root / "pyproject.toml", 'engine = "embedded"', f'engine = "{engine}"')
    said = toy.done("new", "dataset", "orders").out
    folder = toy.dataset.with_name("orders")
    assert {file.name for file in folder.iterdir()} == {
        "pipeline.py",
        "schema.yml",
        "suite.yml",
        "datasheet.md",
    }
    assert f"written: src/{toy.package}/datasets/orders" in said
    toy.done("data", "build", "orders")
    assert "orders holds: 7 checks, 0 findings" in toy.done("data", "validate", "orders").out
    assert "3 passed" in pytest_passes(toy, "tests/unit/test_orders.py")


def test_a_new_dataset_says_that_it_is_made_up(toy: Toy) -> None:
    toy.done("new", "dataset", "orders")
    datasheet = (toy.dataset.with_name("orders") / "datasheet.md").read_text(encoding="utf-8")
    assert datasheet.startswith("---\nversion: 0.1.0\nowner: nobody yet\n")
    assert "\n# orders\n" in datasheet
    assert Dataset(toy.project, "orders").sheet.known_issues == ["It is made up."]


@pytest.mark.slow
@pytest.mark.rule("M4")
@pytest.mark.parametrize(
    ("target", "time", "metric", "inputs", "left_out"),
    [
        ("visits", None, "absolute_error", "person, amount, ", "day"),
        ("kind", None, "balanced_accuracy", "person, amount, ", "day"),
        ("visits", "day", "absolute_error", "day, kind", "person, amount"),
    ],
)
def test_a_new_model_is_tried_trained_tested_and_promoted(
    tracked: Toy, target: str, time: str | None, metric: str, inputs: str, left_out: str
) -> None:
    """Numbers make a regression, text a classification, a time a forecast; each to its gates."""
    more = ["--time", time] if time else []
    said = tracked.done("new", "model", "better", "--target", target, "--ask", "12", *more).out
    assert f"inputs: {inputs}" in said
    assert f"left out: {left_out}" in said
    said = tracked.done("experiment", "run", "better").out
    assert "Ask #12" in said
    assert metric in said
    tracked.done("model", "train", "better")
    tracked.done("model", "register", "better")
    outcome = tracked.run("model", "promote", "better")
    assert outcome.code in (0, 1)  # good enough, or not
    rows = {line.split("  ")[0]: line.rsplit(" ", 1)[-1] for line in outcome.out.splitlines()}
    passed = {rows[gate] for gate in ("size", "behaviour", "determinism")}
    assert passed == {"passed"}, outcome.out
    assert "4 passed" in pytest_passes(tracked, "tests/model/test_better.py")


@pytest.mark.parametrize(
    ("target", "time"), [("visits", "amount"), ("visits", "night"), ("kind", "day")]
)
def test_a_forecast_needs_a_time_and_numbers(toy: Toy, target: str, time: str) -> None:
    said = refused(toy, "model", "better", "--target", target, "--time", time)
    assert "a forecast is of numbers, by a column of" in said


@pytest.mark.slow
@pytest.mark.parametrize("target", ["flag", "on"])
def test_gaps_truth_and_names_with_a_meaning_are_no_obstacle(tracked: Toy, target: str) -> None:
    rows = tracked.rows().rename(columns={"amount": "on", "person": "Person"})
    rows["flag"] = (rows["visits"] > rows["visits"].median()) ^ (rows.index % 11 == 0)
    rows.loc[rows.index[::7], "kind"] = None
    rows["visits"] = rows["visits"].astype("float").where(rows.index % 5 > 0)
    tracked.with_rows(rows)
    (tracked.dataset / "schema.yml").write_text(
        'key: [id]\ncolumns: {id: {type: int64}, "on": {type: double}, flag: {type: bool}, '
        "kind: {type: string, nullable: true}, visits: {type: int64, nullable: true}, "
        "Person: {type: int64}, copy: {type: int64}, class: {type: int64}}\n"
    )
    said = tracked.done("new", "model", "gaps", "--target", target).out
    assert "left out: Person, copy, class" in said
    tracked.done("experiment", "run", "gaps")
    tracked.done("model", "train", "gaps", "--candidate", "better")
    assert "4 passed" in pytest_passes(tracked, "tests/model/test_gaps.py")


def test_a_model_says_what_it_can_predict_and_from_which_dataset(toy: Toy) -> None:
    assert "say which column that can be predicted (--target): person, amount, kind, visits" in (
        refused(toy, "model", "better")
    )
    assert "'day' is none of the columns" in refused(toy, "model", "better", "--target", "day")
    assert "no dataset 'no'" in refused(toy, "model", "better", "--dataset", "no")
    toy.done("new", "dataset", "orders")
    assert "say which dataset (--dataset): orders, visits" in refused(toy, "model", "better")
    toy.done("new", "model", "better", "--dataset", "orders", "--target", "outcome")


def test_a_model_needs_a_key_and_inputs(toy: Toy) -> None:
    schema = toy.dataset / "schema.yml"
    schema.write_text("columns: {visits: {type: int64}, amount: {type: double}}\n")
    assert "states no key" in refused(toy, "model", "better", "--target", "visits")
    schema.write_text("key: [id]\ncolumns: {id: {type: int64}, visits: {type: int64}}\n")
    assert "no inputs" in refused(toy, "model", "better", "--target", "visits")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Orders",
        "two words",
        "a-b",
        "1st",
        "_hidden",
        "a__b",
        "class",
        "match",
        "raw",
        "yes",
        "on",
        "../out",
        "größe",
        "a\nb",
        "$name",
        "o" * 41,
    ],
)
@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_a_name_that_no_module_can_have_is_refused(toy: Toy, kind: str, name: str) -> None:
    more = ["--target", "visits"] if kind == "model" else []
    error = refused(toy, kind, *more, "--", name)
    assert "cannot be a name here" in error or "has a meaning of its own" in error


@pytest.mark.parametrize("arguments", [("dataset", "a_final"), ("exploration", "visits-v2")])
def test_a_name_that_the_commit_hook_would_stop_is_refused(
    toy: Toy, arguments: tuple[str, str]
) -> None:
    assert "(X2)" in refused(toy, *arguments)


def test_what_is_there_is_never_overwritten(toy: Toy) -> None:
    toy.done("new", "exploration", "template")
    assert "is there already" in refused(toy, "dataset", "visits")
    assert "is there already" in refused(toy, "model", "frequency", "--target", "visits")
    assert "is there already" in refused(toy, "exploration", "template")
    test = toy.root / "tests" / "unit" / "test_orders.py"
    test.parent.mkdir(parents=True)
    test.write_text("mine\n")
    assert "test_orders.py is there already" in refused(toy, "dataset", "orders")


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("after", [0, 1])
def test_a_failure_half_way_leaves_nothing(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, failure: BaseException, after: int
) -> None:
    toy.commit()
    rename = Path.rename
    done: list[Path] = []

    def fail(self: Path, target: Path) -> Path:
        if len(done) == after:
            raise failure
        done.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    units: place.Units = {"src/new": {"a.py": "1\n"}, "tests/test_new.py": "2\n"}
    with pytest.raises((DslpError, KeyboardInterrupt)):
        place.place_files(toy.root, units)
    assert untracked(toy) == []


def first_cell(notebook: Path) -> str:
    return "".join(json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"])


@pytest.mark.rule("X1")
def test_an_exploration_asks_for_its_issue_questions_and_insights(toy: Toy) -> None:
    toy.done("new", "exploration", "14-visits-by-plan", "--issue", "14")
    made = toy.root / "notebooks" / "14-visits-by-plan.ipynb"
    text = first_cell(made)
    assert text.startswith("# visits by plan\n\nOutputs are removed before a commit")
    assert "**Issue:** #14\n" in text
    cells = json.loads(made.read_text(encoding="utf-8"))["cells"]
    words = "".join("".join(cell["source"]) for cell in cells)
    for part in ("## Questions", "- [ ]", "## Insights", "## Next steps"):
        assert part in words
    assert all(not cell.get("outputs") for cell in cells)


def test_a_team_that_has_a_template_of_its_own_gets_copies_of_that(toy: Toy) -> None:
    own = toy.root / "notebooks" / "template.ipynb"
    own.parent.mkdir()
    cells = [{"cell_type": "markdown", "id": "0", "metadata": {}, "source": ["# A\n", "Ours."]}]
    own.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}), encoding="utf-8")
    toy.done("new", "exploration", "a")
    assert first_cell(own.with_name("a.ipynb")) == "# a\nOurs."
    own.write_text("{}", encoding="utf-8")
    assert "template.ipynb cannot be read" in refused(toy, "exploration", "b")


@pytest.mark.parametrize("title", ["Größe: 'wie viele?'", '"] } $(x) ![a](b)', "two\nlines\r\n# x"])
def test_a_title_is_one_line_whatever_it_holds(toy: Toy, title: str) -> None:
    toy.done("new", "exploration", "a", "--title", title)
    lines = first_cell(toy.root / "notebooks" / "a.ipynb").splitlines()
    assert lines[0] == f"# {' '.join(title.split())}"
    assert lines[1] == ""


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a b", "a.ipynb", "-a", "a--b", "a\nb"])
def test_a_name_that_no_notebook_should_have_is_refused(toy: Toy, name: str) -> None:
    assert "cannot be a name here" in refused(toy, "exploration", "--", name)


@pytest.fixture
def rendered(files: Template, tmp_path: Path) -> Callable[[str], Toy]:
    """A project of the template, whose package is called so."""

    def render(package: str) -> Toy:
        answers = {"package_name": package, "example": False}
        return Toy(files.copy(tmp_path / "project", answers), package)

    return render


@pytest.mark.parametrize(
    ("package", "name"), [("ab", "z" * 40), ("claims_pricing", "orders"), ("p" * 40, "a" * 29)]
)
def test_what_is_written_is_formatted_and_clean_whatever_the_names(
    rendered: Callable[[str], Toy], package: str, name: str
) -> None:
    toy = rendered(package)
    for arguments in (
        ["dataset", name],
        ["model", name, "--target", "outcome"],
        ["model", f"{name[:-2]}_s", "--target", "segment"],
        ["model", f"{name[:-2]}_t", "--target", "outcome", "--time", "w" * 40],
        ["exploration", name, "--issue", "3"],
    ):
        if "--time" in arguments:
            schema = toy.source / "datasets" / name / "schema.yml"
            stated = schema.read_text(encoding="utf-8")
            schema.write_text(f"{stated}  {'w' * 40}:\n    type: timestamp[us]\n", encoding="utf-8")
        said: Outcome = toy.done("new", *arguments)
        assert "written: " in said.out
    faults = clean.faults(toy.root, ["process", "data", "experiments", "models", "site"])
    assert faults == [], "\n".join(faults)
