"""`dslp new`: what it writes works as it is, and nothing is overwritten or left half done."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from dslp.core.errors import DslpError
from dslp.scaffold import place

from tests import clean
from tests.library.data.suites import write_suite
from tests.library.toy import Toy
from tests.template_copy import Template, tree

LONG = "Wie viele Räder wurden an diesem Tag an dieser Station ausgeliehen, alle zusammen gezählt?"


def pytest_passes(toy: Toy, test: str) -> str:
    """Run one of the toy's tests in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", test]
    env = os.environ | {"PYTHONPATH": str(toy.root / "src")}
    done = subprocess.run(command, cwd=toy.root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(toy: Toy, *arguments: str) -> str:
    """Why nothing was written; and nothing was."""
    toy.forget()
    before = tree(toy.root)
    error = toy.run("new", *arguments).error
    assert tree(toy.root) == before
    return error


def write_raw(toy: Toy, name: str, suffix: str) -> None:
    """Raw data with headers that no code can use, dates, gaps, and a row that stands twice."""
    rows = pd.DataFrame(
        {"Rental ID": [3, 1, 2, 2], "Day": "2024-01-31", "день": ["ü", "b", "", ""]}
    )
    rows["2nd"], rows["2nd "], rows[LONG] = 1.5, 2.5, [1, None, 3, 3]
    file = toy.root / "data" / "raw" / f"{name}{suffix}"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(file, index=False, sep=";") if suffix == ".csv" else rows.to_parquet(file)


@pytest.mark.rule("D2")
def test_a_new_dataset_of_made_up_rows_builds_validates_and_is_tested(toy: Toy) -> None:
    printed = toy.done("new", "dataset", "orders").out
    folder = toy.dataset.with_name("orders")
    files = {"pipeline.py", "schema.yml", "suite.yml", "datasheet.md"}
    assert {file.name for file in folder.iterdir()} == files
    assert f"written: src/{toy.package}/datasets/orders" in printed
    assert "its rows are made up" in printed
    assert "  - It is made up.\n" in (folder / "datasheet.md").read_text(encoding="utf-8")
    toy.done("data", "build", "orders")
    validated = toy.done("data", "validate", "orders").out
    assert "orders holds: 7 checks, 2 findings" in validated
    for text in ("datasheet.md: D9 (warning)", "such as: nobody yet; none yet", "Number of the re"):
        assert text in validated
    assert "3 passed" in pytest_passes(toy, "tests/unit/test_orders.py")


def test_types_that_schema_yml_takes_over_leave_built_data_current(toy: Toy) -> None:
    (toy.root / "data" / "raw").mkdir(parents=True)
    (toy.root / "data" / "raw" / "rides.csv").write_text("id,kind\n1,a\n2,b\n")
    toy.done("new", "dataset", "rides")
    assert "build it again" not in toy.done("data", "validate", "rides").err


@pytest.mark.rule("D2")
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_in_data_raw_gets_a_dataset_that_fits(toy: Toy, suffix: str) -> None:
    write_raw(toy, "rides", suffix)
    assert "proposed key: rental_id" in toy.done("new", "dataset", "rides").out
    for command in ("build", "schema", "validate"):
        toy.done("data", command, "rides")
    built = pd.read_parquet(toy.root / "data" / "processed" / "rides.parquet")
    assert list(built)[:3] == ["rental_id", "day", "column_3"]
    assert list(built)[3:5] == ["n_2nd", "n_2nd_5"]
    assert str(list(built)[5]).startswith("wie_viele_rader")
    assert len(built) == 3
    assert (built["day"].dtype.kind == "M") == (suffix == ".csv")
    assert "1 passed" in pytest_passes(toy, "tests/unit/test_rides.py")
    (toy.root / "data" / "raw" / "other.csv").write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in refused(toy, "dataset", "other")


@pytest.mark.slow
@pytest.mark.rule("M4")
def test_new_models_are_tried_trained_tested_and_promoted(tracked: Toy) -> None:
    """Numbers make a regression, text or truth a classification, a time a forecast."""
    rows = tracked.rows().rename(columns={"amount": "on"})
    rows["flag"] = (rows["visits"] > rows["visits"].median()) ^ (rows.index % 11 == 0)
    rows.loc[rows.index[::7], "kind"] = None
    rows["gaps"] = (rows["id"] * 37 % 11).astype("float").where(rows.index % 5 > 0)
    tracked.with_rows(rows)
    types = {"id": "int64", "kind": "string", "gaps": "int64", "on": "double", "flag": "bool"}
    types |= {"visits": "int64", "day": "timestamp[us]"}
    columns = {n: {"type": kind, "nullable": n in ("kind", "gaps")} for n, kind in types.items()}
    schema = yaml.safe_dump({"key": ["id"], "columns": columns}, sort_keys=False)
    (tracked.dataset / "schema.yml").write_text(schema)
    write_suite(tracked, "column_values_to_be_null | column: id")
    assert "gaps has missing values" in refused(tracked, "model", "better", "--target", "gaps")
    for target, metric, inputs, left_out, time in (
        ("visits", "poisson_deviance", "kind, gaps, on, flag", "day", ()),
        ("flag", "brier_score", "kind, gaps, on, visits", "day", ()),
        ("on", "absolute_error", "day, flag", "kind, gaps, visits", ("--time", "day")),
    ):
        options = ("--target", target, "--ask", "12", *time)
        begun = tracked.done("new", "model", f"new_{target}", *options).out
        assert f"inputs: {inputs}" in begun
        assert f"left out: {left_out}" in begun
        experiment = tracked.done("experiment", "run", f"new_{target}").out
        assert "Ask #12" in experiment
        assert metric in experiment
        tracked.done("model", "train", f"new_{target}", "--candidate", "better")
    assert "12 passed" in pytest_passes(tracked, "tests/model")
    gates = tracked.model_folder.with_name("new_visits") / "gates.yml"
    tracked.edit(gates, "dataset: true", "dataset: the id is no secret")
    tracked.done("model", "register", "new_visits")
    outcome = tracked.run("model", "promote", "new_visits")
    assert outcome.code in (0, 1)  # good enough, or not
    lines = [line.split() for line in outcome.out.splitlines()]
    passed = {line[0] for line in lines if line[-1:] == ["passed"]}
    assert passed >= {"size", "behaviour", "determinism"}, outcome.out


def test_a_model_needs_a_dataset_a_target_a_key_and_inputs(toy: Toy) -> None:
    which = "say which column to predict (--target): person, amount, kind, visits"
    assert which in refused(toy, "model", "better")
    mistyped = refused(toy, "model", "better", "--target", "visit")
    assert "'visit' can be predicted; do you mean visits?" in mistyped
    for target, time in (("visits", "amount"), ("visits", "night"), ("kind", "day")):
        error = refused(toy, "model", "better", "--target", target, "--time", time)
        assert "forecast needs a" in error
    assert "no dataset 'no'" in refused(toy, "model", "better", "--dataset", "no")
    schema = toy.dataset / "schema.yml"
    schema.write_text("columns: {visits: {type: int64}, amount: {type: double}}\n")
    assert "has no key" in refused(toy, "model", "better", "--target", "visits")
    schema.write_text("key: [id]\ncolumns: {id: {type: int64}, visits: {type: int64}}\n")
    assert "has no column that can be" in refused(toy, "model", "better", "--target", "visits")
    toy.done("new", "dataset", "orders")
    assert "say which dataset (--dataset): orders, visits" in refused(toy, "model", "better")
    toy.done("new", "model", "better", "--dataset", "orders", "--target", "outcome")


def test_a_name_that_cannot_be_used_is_refused(toy: Toy) -> None:
    words = ["class", "match", "raw", "yes", "on"]
    odd = ["o" * 41, "two words", "a-b", "1st", "_h", "a__b", "../out", "größe", "a\nb"]
    for name in ["", "Orders", *odd]:
        assert "cannot be a name: lower-case" in refused(toy, "dataset", "--", name)
    for name in words:
        error = refused(toy, "model", "--target", "visits", "--", name)
        assert "no word of Python or YAML" in error
    for name in ["", "a/b", "../a", "a b", "a.ipynb", "-a", "a--b", "a\nb"]:
        assert "cannot be a name: letters" in refused(toy, "exploration", "--", name)
    assert "'größe'" in refused(toy, "dataset", "größe"), "letters are not escaped"
    for arguments in (("dataset", "a_final"), ("exploration", "visits-v2")):
        assert "(X2)" in refused(toy, *arguments), "the commit hook would refuse it"


def test_nothing_is_overwritten(toy: Toy) -> None:
    toy.done("new", "exploration", "template")
    test = toy.root / "tests" / "unit" / "test_orders.py"
    test.parent.mkdir(parents=True)
    test.write_text("mine\n")
    model = ("model", "frequency", "--target", "visits")
    datasets = (("dataset", "visits"), ("dataset", "orders"))
    for arguments in (*datasets, model, ("exploration", "template")):
        assert "exists already" in refused(toy, *arguments)


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
    files = {"src/new/a.py": "1\n", "tests/test_new.py": "2\n"}
    with pytest.raises((DslpError, KeyboardInterrupt)):
        place.place_files(toy.root, files)
    assert toy.git("status", "--porcelain", "--untracked-files=all") == ""


@pytest.mark.rule("X1")
def test_an_exploration_asks_for_its_issue_questions_and_insights(toy: Toy) -> None:
    toy.done("new", "exploration", "14-visits-by-plan", "--issue", "14")
    notebook = toy.root / "notebooks" / "14-visits-by-plan.ipynb"
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    assert text.startswith("# visits by plan\n\nOutputs are removed before a commit")
    for part in ("**Issue:** #14\n", "## Questions", "- [ ]", "## Insights", "## Next steps"):
        assert part in text
    assert all(not cell.get("outputs") for cell in cells)
    for number, title in enumerate(
        ["Größe: 'wie viele?'", '"] } $(x) ![a](b)', "two\nlines\r\n# x"]
    ):
        toy.done("new", "exploration", f"t{number}", "--title", title)
        first = json.loads((notebook.with_name(f"t{number}.ipynb")).read_text("utf-8"))["cells"][0]
        assert first["source"][:2] == [f"# {' '.join(title.split())}\n", "\n"]


def test_a_team_with_a_template_of_its_own_gets_copies_of_it(toy: Toy) -> None:
    own = toy.root / "notebooks" / "template.ipynb"
    own.parent.mkdir()
    cells = [{"cell_type": "markdown", "id": "0", "metadata": {}, "source": ["# A\n", "Ours."]}]
    own.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}), encoding="utf-8")
    toy.done("new", "exploration", "a")
    copied = json.loads(own.with_name("a.ipynb").read_text(encoding="utf-8"))
    assert copied["cells"][0]["source"] == ["# a\n", "Ours."]
    own.write_text("{}", encoding="utf-8")
    assert "template.ipynb is not a notebook" in refused(toy, "exploration", "b")


@pytest.mark.parametrize(("package", "name"), [("ab", "z" * 40), ("p" * 40, "a" * 29)])
def test_what_is_written_is_formatted_and_clean_whatever_the_names(
    files: Template, tmp_path: Path, package: str, name: str
) -> None:
    answers = {"package_name": package, "example": False}
    toy = Toy(files.copy(tmp_path / "project", answers), package)
    toy.done("new", "dataset", name)
    write_raw(toy, name[:-2], ".csv")
    toy.done("new", "dataset", name[:-2])
    schema = toy.source / "datasets" / name / "schema.yml"
    columns = schema.read_text(encoding="utf-8")
    schema.write_text(f"{columns}  {'w' * 40}:\n    type: timestamp[us]\n", encoding="utf-8")
    dataset = ("--dataset", name, "--target")
    toy.done("new", "model", name, *dataset, "outcome")
    toy.done("new", "model", f"{name[:-2]}_s", *dataset, "segment")
    toy.done("new", "model", f"{name[:-2]}_t", *dataset, "outcome", "--time", "w" * 40)
    toy.done("new", "exploration", name, "--issue", "3")
    shutil.rmtree(toy.root / "data")
    toy.forget()
    faults = [*clean.linter_faults(toy.root), *clean.framework_imports(toy.root)]
    assert [*faults, *clean.text_faults(toy.root)] == []
