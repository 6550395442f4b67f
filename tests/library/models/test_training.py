"""Training and registering: each version knows where it comes from."""

from typing import Any

import mlflow
import pandas as pd
import pytest
from dslp.core.errors import DslpError
from dslp.models.api import check_fit, model_signature

from tests.library.experiments.conftest import runs
from tests.library.models.conftest import refused
from tests.library.toy import Toy


@pytest.mark.rule("E1", "E2")
def test_the_best_of_the_experiments_on_what_is_here_is_trained(tracked: Toy) -> None:
    params, features = (tracked.model_folder / name for name in ("params.yml", "features.py"))
    tracked.edit(params, "regressor: linear", f"regressor: linear, note: {'x' * 7000}")
    tracked.done("experiment", "run")
    outcome = tracked.done("model", "train", "--issue", "3")
    assert "no issue is recorded" not in outcome.out
    assert "frequency (linear)" in outcome.out
    assert "against the baseline (95 % interval " in outcome.out
    (run,) = runs(tracked, "training")
    assert run.data.tags["dslp.issue"] == "3"
    rows = tracked.rows()
    for change in ("parameters", "code", "data"):
        before = {file: file.read_text() for file in (params, features)}
        if change == "parameters":
            tracked.edit(params, "folds: 3", "folds: 4")
        elif change == "code":
            features.write_text(f"{before[features]}\n# new\n")
        else:
            tracked.with_rows(rows.iloc[:-1])
        reason = "no experiment with this dataset, params.yml and code of frequency is recorded; "
        refused(tracked, "train", error=f"{reason}first: uv run dslp experiment run frequency")
        for file, text in before.items():
            file.write_text(text)
    tracked.git("switch", "--quiet", "--create", "main-line")
    out = tracked.done("model", "train", "--candidate", "baseline").out
    assert "frequency (baseline)" in out
    assert "no issue is recorded" in out


def test_artifacts_that_cannot_be_written_are_one_line(tracked: Toy) -> None:
    for folder in ("environments", "frequency"):
        artifacts = tracked.root / "mlruns" / "artifacts" / folder
        artifacts.parent.mkdir(exist_ok=True)
        artifacts.write_text("no folder")
        refused(tracked, "train", "--candidate", "linear", error=" cannot be written: ")
        artifacts.unlink()


@pytest.mark.rule("M2")
def test_training_rows_are_what_a_request_may_hold(tracked: Toy) -> None:
    schema, rows = tracked.model_folder / "schema.py", tracked.rows()
    for field in ("amount", "visits"):
        tracked.edit(schema, f"{field}: float", f"{field}: float = Field(ge=0)")
    tracked.edit(schema, "import BaseModel", "import BaseModel, Field")
    for column, values, problem in (
        ("kind", ["hotel"], "Request.kind: 1 of 300 rows, such as 'hotel': Input should be 'home'"),
        ("amount", [-1.0, None, None], "Request.amount: 3 of 300 rows, such as -1.0: Input should"),
        ("visits", [-7], "Response.visits: 1 of 300 rows, such as -7: Input should be greater"),
    ):
        changed = [*values, *rows[column].tolist()[len(values) :]]
        tracked.with_rows(rows.assign(**{column: changed}))
        error = f"schema.py does not fit visits: {problem}"
        refused(tracked, "train", "--candidate", "linear", error=error)


# The type of a field, its column in MLflow's words, and a value.
TYPES = [
    ("int", "long (required)", 3),
    ("bool", "boolean (required)", True),
    ("str | None = None", "string (optional)", None),
    ("datetime.date", "datetime (required)", pd.Timestamp("2024-01-01")),
    ("datetime.datetime", "datetime (required)", pd.Timestamp("2024-01-01T12:30")),
    ("Literal[1, 2]", "long (required)", 2),
    ("enum.Enum('Kind', {'HOME': 'home'})", "string (required)", "home"),
]


@pytest.mark.rule("M2")
@pytest.mark.parametrize(("field", "column", "value"), TYPES)
def test_each_type_of_a_field_has_a_column_that_fits(
    built: Toy, field: str, column: str, value: Any
) -> None:
    schema = built.model_folder / "schema.py"
    built.edit(schema, 'Literal["home", "office"]', field)
    built.edit(schema, "from typing", "import datetime\nimport enum\nfrom typing")
    model, rows = built.model, built.rows().astype({"kind": object})
    assert f"'kind': {column}" in str(model_signature(model).inputs)
    check_fit(model, rows.assign(kind=value))
    with pytest.raises(DslpError, match=r"kind: 300 of 300 rows, such as 5\.5: "):
        check_fit(model, rows.assign(kind=5.5))


def test_a_schema_that_no_table_can_have_is_refused(toy: Toy) -> None:
    schema = toy.model_folder / "schema.py"
    before = schema.read_text()
    for old, new, problem in (
        ("amount: float", "amount: list[float]", r"Request.amount has type list\[float\]"),
        ("amount: float", "amount: int | str | None", "Request.amount has type"),
        ("class Response(BaseModel)", "class Response", "Response is not a pydantic model"),
    ):
        toy.edit(schema, old, new)
        with pytest.raises(DslpError, match=problem):
            model_signature(toy.model)
        schema.write_text(before)


@pytest.mark.rule("M5")
def test_a_version_has_the_signature_and_the_tags_of_its_training(champion: Toy) -> None:
    (version,) = champion.client.search_model_versions("name = 'frequency'")
    run = champion.client.get_run(version.run_id)
    own = ("dslp.kind", "dslp.process")
    tags = {n: v for n, v in run.data.tags.items() if n.startswith("dslp.") and n not in own}
    assert tags.items() <= version.tags.items()
    assert {"dslp.ask", "dslp.commit", "dslp.dataset_digest", "dslp.environment"} <= set(tags)
    improvement = pytest.approx(run.data.metrics["improvement"], 1e-4)
    assert float(version.tags["improvement"]) == improvement
    stored = champion.root / "mlruns" / "artifacts" / "frequency" / version.run_id
    saved = mlflow.models.Model.load(str(stored / "artifacts" / "model"))
    signature = saved.signature
    assert set(saved.load_input_example(str(stored / "artifacts" / "model"))) == {"amount", "kind"}
    assert (
        version.description == run.data.tags["mlflow.note.content"] == "How many visits?\n\nAsk #7"
    )
    assert champion.client.get_registered_model("frequency").description == version.description
    assert str(signature.inputs) == "['amount': double (required), 'kind': string (required)]"
    assert str(signature.outputs) == "['visits': double (required)]"


def test_one_command_trains_and_registers(tracked: Toy) -> None:
    out = tracked.done("model", "train", "--candidate", "linear", "--register", "--issue", "3").out
    assert "frequency 1.0.0 (version 1) is registered, as the challenger" in out
    assert tracked.done("model", "history").out.rstrip().endswith("(#3)")


def test_the_same_training_is_registered_once(champion: Toy) -> None:
    before = champion.registry()
    for options in ([], ["--version", "1.0.0"]):
        output = champion.done("model", "register", *options).out
        assert "frequency 1.0.0 (version 1) is this very training; nothing to do" in output
    error = "is this very training, so it is not 1.1.0; first: "
    refused(champion, "register", "--version", "1.1.0", code=1, error=error)
    assert champion.registry() == before


@pytest.mark.rule("M2")
def test_a_schema_that_changed_since_training_is_refused(trained: Toy) -> None:
    """Types and bounds alike."""
    schema = trained.model_folder / "schema.py"
    before = schema.read_text()
    for old, new in (("    kind:", "    day: str\n    kind:"), ('"office"', '"shop"')):
        trained.edit(schema, old, new)
        outcome = refused(trained, "register", code=1, error="schema.py is not the API of ")
        schema.write_text(before)
        assert "uv run dslp model train frequency" in outcome.error
    assert trained.registry()["tags"] == {}
