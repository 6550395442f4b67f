"""`dslp new`: what it writes works as it is, and nothing is overwritten or left half done."""

import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from dslp.core.errors import DslpError
from dslp.scaffold import place

from tests import clean
from tests.library.data.suites import write_suite
from tests.library.toy import Toy
from tests.template_copy import Template, tree

LONG = "Wie viele Räder wurden an diesem Tag an dieser Station ausgeliehen, alle zusammen gezählt?"

RUN: dict[str, Any] = {
    "cell_type": "code",
    "metadata": {"tags": ["a"], "execution": {"iopub.status.busy": "2026-01-01"}},
    "source": "import pandas as pd\ntable = 1\ntable",
    "execution_count": 7,
    "outputs": [{"output_type": "stream", "name": "stdout", "text": ["a secret"]}],
}
# 40 rows, whose figures are counted by hand: i is 0 to 39, of which every fifth score is missing.
ROWS = pd.DataFrame(
    {
        "Rental ID": [1000 + i for i in range(40)],
        "Plan": ["free" if i % 2 else "pay" for i in range(40)],
        "visits": [i % 13 for i in range(40)],
        "score": [None if i % 5 == 0 else i / 3 for i in range(40)],
        "ok": [i < 3 for i in range(40)],
        "day": pd.Timestamp("2024-01-31"),
    }
)
TEXT = {"cell_type": "markdown", "metadata": {}, "source": "# Visits by plan"}


def pytest_passes(toy: Toy, test: str) -> str:
    """Run one of the toy's tests in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", test]
    env = os.environ | {"PYTHONPATH": str(toy.root / "src")}
    done = subprocess.run(command, cwd=toy.root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def written(toy: Toy) -> dict[str, bytes]:
    return {name: text for name, text in tree(toy.root).items() if "__pycache__" not in name}


def refused(toy: Toy, *arguments: str) -> str:
    """Why nothing was written; and nothing was."""
    toy.forget()
    before = written(toy)
    error = toy.run("new", *arguments).error
    assert written(toy) == before
    return error


def write_raw(toy: Toy, name: str) -> None:
    """Raw data with headers that no code can use, dates, gaps, and a row that stands twice."""
    rows = pd.DataFrame(
        {"Rental ID": [3, 1, 2, 2], "Day": "2024-01-31", "день": ["ü", "b", "", ""]}
    )
    rows["2nd"], rows["2nd "], rows[LONG] = 1.5, 2.5, [1, None, 3, 3]
    file = toy.root / "data" / "raw" / f"{name}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(file, index=False, sep=";")


def read_dataset(toy: Toy, name: str) -> tuple[dict[str, Any], dict[tuple[str, str], Any], str]:
    """Schema, suite and datasheet of a dataset; the suite by type and column, without marks."""
    folder = toy.dataset.with_name(name)
    schema, suite = (yaml.safe_load((folder / f"{f}.yml").read_text()) for f in ("schema", "suite"))
    items = {}
    for each in suite["expectations"]:
        assert each["meta"] == {"proposed": True}
        kwargs = each["kwargs"]
        column = kwargs.pop("column", ",".join(kwargs.get("column_list", ["table"])))
        items[each["type"].removeprefix("expect_"), column] = {**kwargs, "is": each["severity"]}
    return schema, items, (folder / "datasheet.md").read_text(encoding="utf-8")


def write_rows(toy: Toy, name: str, rows: pd.DataFrame, folder: str = "exports") -> Path:
    file = toy.root / folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(file) if file.suffix == ".parquet" else rows.to_csv(file, index=False, sep=";")
    return file


def begin(toy: Toy, file: Path, *options: str) -> str:
    """Begin the dataset; build, schema and suite pass at once, and say that it is proposed."""
    toy.forget()
    out = toy.done("new", "dataset", *options, "--from", str(file)).out
    name = out.rsplit(maxsplit=1)[1]
    for command in ("build", "schema"):
        toy.done("data", command, name)
    validated = toy.done("data", "validate", name)
    assert "expectations, key, columns\n" in validated.out
    assert "build it again" not in validated.err
    return out


def write_notebook(file: Path, *cells: dict[str, Any], **changes: Any) -> str:
    metadata = {"kernelspec": {"language": "R"}, "widgets": {"state": 1}, "vscode": {"hash": "1"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4, **changes}
    notebook = {key: value for key, value in notebook.items() if value is not None}
    file.write_text(json.dumps(notebook), encoding="utf-8")
    return str(file)


def read_notebook(toy: Toy, name: str) -> Any:
    return json.loads((toy.root / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))


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


@pytest.mark.rule("D2", "D3")
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_key_types_and_a_first_suite_follow_from_the_data(
    toy: Toy, suffix: str, in_place: bool
) -> None:
    file = write_rows(toy, f"My rentals{suffix}", ROWS)
    before = file.read_bytes()
    out = begin(toy, file, *["--in-place"] * in_place)
    assert file.read_bytes() == before
    assert "datasets/my_rentals\n" in out
    schema, suite, sheet = read_dataset(toy, "my_rentals")
    key, plan = ("Rental ID", "Plan") if in_place else ("rental_id", "plan")
    assert schema["key"] == [key]
    types = ["int64", "string", "int64", "double", "bool", "timestamp[us]"]
    assert [each["type"] for each in schema["columns"].values()] == types
    fails, warns = {"is": "critical"}, {"is": "warning"}
    assert suite == {
        ("table_row_count_to_be_between", "table"): {"min_value": 20, "max_value": 80, **warns},
        ("column_values_to_be_unique", key): fails,
        ("column_values_to_be_in_set", plan): {"value_set": ["free", "pay"], **fails},
        ("column_values_to_be_between", "visits"): {"min_value": 0, "max_value": 12, **warns},
        ("column_values_to_be_between", "score"): {"min_value": 1 / 3, "max_value": 13.0, **warns},
        **{("column_values_to_not_be_null", c): fails for c in (key, plan, "visits", "ok", "day")},
    }
    assert ("files: " in sheet) == in_place
    assert (toy.root / "data" / "raw" / f"my_rentals{suffix}").exists() != in_place
    if not in_place:
        assert "1 passed" in pytest_passes(toy, "tests/unit/test_my_rentals.py")


def test_what_a_person_has_confirmed_is_said_no_longer(toy: Toy) -> None:
    begin(toy, write_rows(toy, "rides.csv", ROWS))
    folder = toy.dataset.with_name("rides")
    toy.edit(folder / "suite.yml", "    meta: {proposed: true}\n", "")
    assert "nobody: key, columns\n" in toy.done("data", "validate", "rides").out
    mark = "proposed: [key, columns] # look at them, then remove this line\n"
    toy.edit(folder / "schema.yml", mark, "")
    assert "proposals" not in toy.done("data", "validate", "rides").out


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ({"weight": [3, 1, 2], "orderId": [7, 8, 9]}, ["orderId"]),  # a name before a measure
        ({"paid": [1, 2, 3], "Order Code": [7, 8, 9]}, ["Order Code"]),
        ({"id": [1, 1, 2], "line": [1, 2, 1], "w": [1.5, 2.5, 3.5]}, ["id", "line"]),
        ({"a": [1, 1, 1, 1, 2], "b": [1, 1, 2, 2, 1], "c": [1, 2, 1, 2, 1]}, ["a", "b", "c"]),
        ({"id": [1, None, 2], "w": [1.5, 2.5, 3.5]}, []),  # neither gaps nor a measure
    ],
)
def test_the_key_is_the_smallest_that_tells_rows_apart(
    toy: Toy, columns: dict[str, list[Any]], key: list[str]
) -> None:
    out = begin(toy, write_rows(toy, "t.parquet", pd.DataFrame(columns)), "--in-place")
    assert f"proposed key: {', '.join(key) or 'none: no three columns'}" in out
    unique = [columns for kind, columns in read_dataset(toy, "t")[1] if "unique" in kind]
    assert unique == ([",".join(key)] if key else [])


@pytest.mark.parametrize(
    ("column", "value", "option", "personal"),
    [
        ("contact", "ada@example.org", [], True),
        ("reach", "+49 30 123456", [], True),
        ("firstName", "Ada", [], True),
        ("station_name", "01-02-2024", [], False),
        ("station_name", "0012345678", ["--personal"], True),
        ("email", "ada@example.org", ["--no-personal"], False),
    ],
)
def test_of_what_looks_personal_no_value_is_written(
    toy: Toy, column: str, value: str, option: list[str], personal: bool
) -> None:
    out = begin(toy, write_rows(toy, "people.csv", ROWS.assign(**{column: value})), *option)
    schema, suite, sheet = read_dataset(toy, "people")
    assert ("no value is written" in out) == (personal and not option)
    assert ("personal_data: yes" in sheet) == personal
    limited = {column for kind, column in suite if kind.endswith(("between", "in_set"))}
    assert (limited == {"table"}) == ("categories" not in schema["columns"]["plan"]) == personal


def test_odd_types_are_proposed_and_pass(toy: Toy) -> None:
    columns = {
        "id": [1, 2, 3],
        "none": pa.nulls(3),
        "list": [[1], [2], [3]],
        "decimal": pa.array([Decimal("1.10"), Decimal("2.20"), None]),
        "single": pa.array([0.5, 0.1, 0.25], pa.float32()),
        "inf": [1.0, float("inf"), 2.0],
        "nan": [1.0, float("nan"), 2.0],
        "huge": pa.array([2**64 - 1, 2**63, 5], pa.uint64()),
    }
    file, folder = toy.root / "output" / "odd" / "0.parquet", toy.root / "output" / "odd"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(columns), file)
    assert "as it is: --in-place" in refused(toy, "dataset", "--from", str(file), "n")
    begin(toy, folder)
    ranges = {
        c: v.get("max_value")
        for (kind, c), v in read_dataset(toy, "odd")[1].items()
        if "bet" in kind
    }
    assert ranges == {"table": 6, "decimal": 2.2, "single": 0.5, "nan": 2, "huge": 2**64 - 1}


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("missing.csv", None, "is missing"),
        ("a.csv", "", "is empty"),
        ("a.csv", "id,x\n", "has no rows"),
        ("a.csv", "id,x\n1,2\n3\n", "line 3: Expected Number of Columns"),
        ("a.csv", "ü", "not UTF-8"),
        ("a.parquet", "PAR1", "cannot be read"),
        ("a.xlsx", "", "is missing, or no .csv"),
        ("class.csv", "id\n1\n", "cannot be a name"),
    ],
)
def test_nothing_is_left_of_data_that_cannot_be_used(
    toy: Toy, file: str, content: str | None, reason: str
) -> None:
    if content is not None:
        (toy.root / file).write_text(content, encoding="utf-16" if "ü" in content else "utf-8")
    for option in [[], ["--in-place"]] if file == "a.csv" else [[]]:
        assert reason in refused(toy, "dataset", "--from", file, *option)


def test_a_file_that_is_in_the_way_is_never_replaced(toy: Toy) -> None:
    raw = write_rows(toy, "rides.csv", ROWS, "data/raw")
    other = str(write_rows(toy, "rides.parquet", ROWS))
    assert "rides.csv exists already" in refused(toy, "dataset", "--from", other)
    begin(toy, raw)  # which is there already
    built = str(write_rows(toy, "b.parquet", ROWS, "data/processed"))
    assert "b.parquet exists already" in refused(toy, "dataset", "--from", built)


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
    write_raw(toy, name[:-2])
    toy.done("new", "dataset", name[:-2])
    schema = toy.source / "datasets" / name / "schema.yml"
    columns = schema.read_text(encoding="utf-8")
    schema.write_text(f"{columns}  {'w' * 40}:\n    type: timestamp[us]\n", encoding="utf-8")
    dataset = ("--dataset", name, "--target")
    toy.done("new", "model", name, *dataset, "outcome")
    toy.done("new", "model", f"{name[:-2]}_s", *dataset, "segment")
    toy.done("new", "model", f"{name[:-2]}_t", *dataset, "outcome", "--time", "w" * 40)
    toy.done("new", "exploration", name, "--issue", "3")
    built = list(pd.read_parquet(toy.root / "data" / "processed" / f"{name[:-2]}.parquet"))
    assert built[:5] == ["rental_id", "day", "column_3", "n_2nd", "n_2nd_5"]
    shutil.rmtree(toy.root / "data")
    toy.forget()
    faults = [*clean.linter_faults(toy.root), *clean.framework_imports(toy.root)]
    assert [*faults, *clean.text_faults(toy.root)] == []


@pytest.mark.rule("X1")
def test_a_notebook_that_exists_continues_the_form_without_what_running_it_left(toy: Toy) -> None:
    source = toy.root / "Visits by plan.ipynb"
    options = ("--from", write_notebook(source, TEXT, RUN), "--issue", "14")
    before = source.read_bytes()
    toy.done("new", "exploration", *options)
    assert source.read_bytes() == before
    written = read_notebook(toy, "14-visits-by-plan")
    *form, text, run = written["cells"]
    assert "**Issue:** #14\n" in form[0]["source"]
    assert "".join(text["source"]) == TEXT["source"]
    assert "".join(run["source"]) == RUN["source"]
    assert (run["outputs"], run["execution_count"], run["metadata"]) == ([], None, {"tags": ["a"]})
    assert "id" not in run, "which format 4.4 does not allow"
    assert written["metadata"] == {"kernelspec": {"language": "R"}}
    toy.done("new", "exploration", "b", "--from", "notebooks/14-visits-by-plan.ipynb")
    assert read_notebook(toy, "b") == written, "the form is not added twice"


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("v3", {"nbformat": 3, "worksheets": [], "cells": None}, "has format 3; convert it"),
        ("no", {"cells": [{"cell_type": "code"}]}, "is not a notebook"),
        ("Untitled3", {}, "(X2)"),
    ],
)
def test_a_notebook_that_cannot_be_used_is_refused_in_a_line(
    toy: Toy, name: str, changes: dict[str, Any], reason: str
) -> None:
    source = write_notebook(toy.root / f"{name}.ipynb", **changes)
    assert reason in refused(toy, "exploration", "--from", source, "--issue", "3")


def test_a_notebook_without_cells_is_the_form(toy: Toy) -> None:
    toy.done("new", "exploration", "--from", write_notebook(toy.root / "plans.ipynb"))
    assert len(read_notebook(toy, "plans")["cells"]) == 7
    Path(write_notebook(toy.root / "plans.ipynb")).rename(toy.root / "notebooks" / "template.ipynb")
    assert "template.ipynb has no cells" in refused(toy, "exploration", "other")


def test_a_marimo_notebook_has_the_form_is_clean_and_runs(files: Template, tmp_path: Path) -> None:
    toy = Toy(
        files.copy(tmp_path / "project", {"package_name": "rides", "example": False}), "rides"
    )
    toy.done("new", "exploration", "14-plans", "--issue", "14", "--kind", "marimo")
    file = toy.root / "notebooks" / "14-plans.py"
    text = file.read_text(encoding="utf-8")
    for part in ("# plans\n", "**Issue:** #14\n", "## Questions", "## Insights", "## Next steps"):
        assert part in text
    assert list(clean.linter_faults(toy.root)) == []
    write_rows(toy, "visits.parquet", ROWS, "data/processed")
    for folder in (toy.root, file.parent):
        printed = subprocess.check_output([sys.executable, file], cwd=folder, text=True)
        assert "visits: 40 rows, 6 columns" in printed


def test_a_jupyter_notebook_becomes_one_of_marimo(toy: Toy, tmp_path: Path) -> None:
    options = ("--kind", "marimo", "--from", write_notebook(toy.root / "Plans.ipynb", TEXT))
    assert "is not in Python" in refused(toy, "exploration", *options)
    write_notebook(toy.root / "Plans.ipynb", TEXT, RUN, metadata={})
    toy.done("new", "exploration", *options)
    text = (toy.root / "notebooks" / "plans.py").read_text(encoding="utf-8")
    assert text.index("**Issue:**") < text.index("# Visits by plan") < text.index("table = 1")
    assert "a secret" not in text
    (tmp_path / "marimo.py").write_text("raise ModuleNotFoundError('No module named marimo')")
    outcome = toy.run("new", "exploration", "b", "--kind", "marimo", PYTHONPATH=str(tmp_path))
    assert "No module named marimo); if it is missing: uv add --dev marimo" in outcome.error
