"""`dslp new exploration`: of a notebook that exists (`--from`), and as marimo's (`--kind`)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests import clean
from tests.library.scaffold.test_new import refused
from tests.library.toy import Toy
from tests.template_copy import Template

pytestmark = pytest.mark.rule("X1", "X2")

RUN: dict[str, Any] = {
    "cell_type": "code",
    "metadata": {"tags": ["a"], "execution": {"iopub.busy": "2026"}},
}
RUN |= {"source": ["import pandas as pd\n", "table = 1\n", "table"], "execution_count": 7}
RUN |= {"outputs": [{"output_type": "stream", "name": "stdout", "text": ["a secret"]}]}
TEXT = {"cell_type": "markdown", "metadata": {}, "source": "# Visits by plan"}


def write(file: Path, *cells: dict[str, Any], **changes: Any) -> Path:
    metadata = {"kernelspec": {"name": "ir"}, "widgets": {"state": 1}, "vscode": {"hash": "1"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}
    file.write_text(json.dumps(notebook | changes), encoding="utf-8")
    return file


def read(toy: Toy, name: str) -> dict[str, Any]:
    text = (toy.root / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
    notebook: dict[str, Any] = json.loads(text)
    return notebook


def test_a_notebook_that_exists_continues_the_form_without_what_running_it_left(toy: Toy) -> None:
    source = write(toy.root / "Visits by plan.ipynb", TEXT, RUN)
    before = source.read_bytes()
    toy.done("new", "exploration", "--from", str(source), "--issue", "14")
    assert source.read_bytes() == before
    written = read(toy, "14-visits-by-plan")
    assert "**Issue:** #14" in "".join(written["cells"][0]["source"])
    assert ["".join(cell["source"]) for cell in written["cells"][-2:]] == [
        TEXT["source"], "".join(RUN["source"])
    ]  # fmt: skip
    run: dict[str, Any] = {"outputs": [], "execution_count": None, "metadata": {"tags": ["a"]}}
    assert {key: written["cells"][-1][key] for key in run} == run
    assert written["metadata"] == {"kernelspec": {"name": "ir"}}
    assert written["nbformat_minor"] == 4
    assert not any("id" in cell for cell in written["cells"])
    file = toy.root / "notebooks" / "14-visits-by-plan.ipynb"
    toy.done("new", "exploration", "again", "--from", str(file), "--issue", "14")
    assert read(toy, "again") == written, "the form is not added twice"
    assert "exists already" in refused(toy, "exploration", "--from", str(file), "--issue", "14")


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        (
            "v3",
            {"nbformat": 3, "worksheets": [{"cells": []}], "cells": None},
            "convert it: jupyter",
        ),
        ("v3", {"nbformat": 3, "cells": []}, "has format 3, not 4; convert it"),
        ("v5", {"nbformat": 5}, "convert it"),
        ("no", {"cells": [{"cell_type": "code"}]}, "is not a notebook"),
        ("no", {"nbformat": None}, "has format None"),
        ("Untitled3", {}, "(X2)"),
        ("visits-final", {}, "(X2)"),
        ("visits_v2", {}, "(X2)"),
        ("visits (1)", {}, "cannot be a name"),
    ],
)
def test_a_notebook_that_cannot_be_used_is_refused_in_a_line(
    toy: Toy, name: str, changes: dict[str, Any], reason: str
) -> None:
    if "worksheets" in changes:
        changes = {key: value for key, value in changes.items() if key != "cells"}
    source = write(toy.root / f"{name}.ipynb", TEXT, **changes)
    assert reason in refused(toy, "exploration", "--from", str(source), "--issue", "3")


def test_a_notebook_without_cells_is_the_form(toy: Toy) -> None:
    toy.done("new", "exploration", "--from", str(write(toy.root / "plans.ipynb")))
    assert len(read(toy, "plans")["cells"]) == 7
    own = write(toy.root / "notebooks" / "template.ipynb")
    assert "template.ipynb has no cells" in refused(toy, "exploration", "other")
    own.write_text("[]", encoding="utf-8")
    assert "is not a notebook" in refused(toy, "exploration", "other")


def test_a_marimo_notebook_has_the_form_is_clean_and_runs(files: Template, tmp_path: Path) -> None:
    toy = Toy(
        files.copy(tmp_path / "project", {"package_name": "rides", "example": False}), "rides"
    )
    made = toy.done("new", "exploration", "14-plans", "--issue", "14", "--kind", "marimo")
    file = toy.root / "notebooks" / "14-plans.py"
    assert made.out == "written: notebooks/14-plans.py\n"
    text = file.read_text(encoding="utf-8")
    for part in ("# plans\n", "**Issue:** #14\n", "## Questions", "## Insights", "## Next steps"):
        assert part in text
    assert [*clean.linter_faults(toy.root)] == []
    (toy.root / "data" / "processed").mkdir(parents=True)
    pd.DataFrame({"a": [1, 2]}).to_parquet(toy.root / "data" / "processed" / "visits.parquet")
    for folder in (toy.root, file.parent):
        done = subprocess.run(
            [sys.executable, file], cwd=folder, capture_output=True, text=True, check=True
        )
        assert "visits: 2 rows, 1 columns" in done.stdout


def test_a_jupyter_notebook_becomes_one_of_marimo(toy: Toy, tmp_path: Path) -> None:
    source = str(write(toy.root / "Plans.ipynb", TEXT, RUN))
    toy.done("new", "exploration", "--from", source, "--kind", "marimo")
    text = (toy.root / "notebooks" / "plans.py").read_text(encoding="utf-8")
    assert text.index("**Issue:**") < text.index("# Visits by plan") < text.index("table = 1")
    assert "a secret" not in text
    compile(text, "plans.py", "exec")
    (tmp_path / "marimo.py").write_text("raise ModuleNotFoundError('No module named marimo')")
    outcome = toy.run("new", "exploration", "b", "--kind", "marimo", PYTHONPATH=str(tmp_path))
    assert "No module named marimo); if it is missing: uv add --dev marimo" in outcome.error
