"""Training, registering and promoting: each version knows where it comes from."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from dslp.core.errors import DslpError
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest

from tests.library.experiments.conftest import runs
from tests.library.toy import Toy


def test_the_best_candidate_is_trained(tracked: Toy) -> None:
    tracked.done("experiment", "run")
    outcome = tracked.done("model", "train")
    assert "frequency (linear)" in outcome.out
    assert "against the baseline; lower absolute_error is better" in outcome.out


@pytest.mark.rule("E1", "E2")
def test_a_training_belongs_to_its_issue(tracked: Toy) -> None:
    tracked.done("model", "train", "--candidate", "linear", "--issue", "3")
    (run,) = runs(tracked, "training")
    assert run.data.tags["dslp.issue"] == "3"


def test_the_best_is_the_highest_where_higher_is_better(tracked: Toy) -> None:
    params = tracked.model_folder / "params.yml"
    tracked.edit(params, "name: absolute_error, better: lower", "name: bias, better: higher")
    tracked.edit(tracked.model_folder / "evaluate.py", '"zero"', '"higher"')
    tracked.edit(
        tracked.model_folder / "evaluate.py",
        "float((predicted - target).mean())",
        "float(predicted.std() < 1e-9)",
    )
    tracked.done("experiment", "run")
    assert "frequency (baseline)" in tracked.done("model", "train").out


def test_only_experiments_on_this_very_data_choose(tracked: Toy) -> None:
    tracked.done("experiment", "run")
    tracked.with_rows(tracked.rows().iloc[:-1])
    outcome = tracked.run("model", "train")
    assert outcome.code == 2
    assert (
        "no experiment with this dataset, params.yml and code of frequency is recorded"
        in outcome.error
    )
    assert "uv run dslp experiment run frequency" in outcome.error
    assert "frequency (baseline)" in tracked.done("model", "train", "--candidate", "baseline").out


@pytest.mark.parametrize("file", ["params.yml", "features.py"])
def test_experiments_with_other_parameters_or_code_do_not_choose(tracked: Toy, file: str) -> None:
    tracked.done("experiment", "run")
    text = (tracked.model_folder / file).read_text()
    changed = text.replace("folds: 3", "folds: 4") if file == "params.yml" else text + "\n# new\n"
    assert changed != text
    (tracked.model_folder / file).write_text(changed)
    outcome = tracked.run("model", "train")
    assert outcome.code == 2
    assert "no experiment with this dataset, params.yml and code" in outcome.error
    tracked.done("experiment", "run")
    assert "frequency (linear)" in tracked.done("model", "train").out


def test_a_candidate_that_does_not_exist_is_refused(tracked: Toy) -> None:
    outcome = tracked.run("model", "train", "--candidate", "magic")
    assert outcome.code == 2
    assert "known are baseline, linear" in outcome.error


def test_whole_numbers_are_as_good_as_decimals(tracked: Toy) -> None:
    rows = tracked.rows()
    tracked.with_rows(rows.assign(amount=rows["amount"].round().astype("int64")))
    tracked.train_and_register()
    tracked.done("model", "test")


@pytest.mark.rule("M2")
@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("kind", ["hotel"], "Request.kind: 1 of 300 rows, such as 'hotel': Input should be 'home'"),
        ("kind", [1, 2, 3], "Request.kind: 300 of 300 rows, such as 1: Input should be"),
        (
            "amount",
            [-1.0, None, None],
            "Request.amount: 3 of 300 rows, such as -1.0: Input should ",
        ),
        ("amount", ["9"], "Request.amount: 300 of 300 rows, such as "),
        ("visits", [-7], "Response.visits: 1 of 300 rows, such as -7: Input should be greater"),
    ],
)
def test_training_rows_are_what_a_request_may_ask(
    tracked: Toy, column: str, values: list[object], said: str
) -> None:
    schema = tracked.model_folder / "schema.py"
    for field in ("amount", "visits"):
        tracked.edit(schema, f"{field}: float", f"{field}: float = Field(ge=0)")
    tracked.edit(schema, "import BaseModel", "import BaseModel, Field")
    rows = tracked.rows()
    everything = [*values, *rows[column].tolist()[len(values) :]]
    if said.split(": ")[1].startswith("300"):
        everything = (values * 300)[:300]
    tracked.with_rows(rows.assign(**{column: everything}))
    outcome = tracked.run("model", "train", "--candidate", "linear")
    assert outcome.code == 2
    assert f"schema.py does not fit visits: {said}" in outcome.error


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("datetime.date", "2024-01-01"),
        ("datetime.datetime", "2024-01-01T12:30"),
        ("enum.Enum('Kind', {'HOME': 'home'})", None),
        ("str | None", None),
        ("int", 3),
        ("bool", True),
    ],
)
def test_every_type_of_a_table_fits_its_field(
    built: Toy, field: str, values: str | bool | int | None
) -> None:
    from dslp.models.signature import check_fit

    schema = built.model_folder / "schema.py"
    built.edit(schema, 'Literal["home", "office"]', field)
    built.edit(schema, "from typing", "import datetime\nimport enum\nfrom typing")
    rows, model = built.rows(), built.model
    if field.startswith("datetime"):
        check_fit(model, rows.assign(kind=pd.Timestamp(str(values))))
        with pytest.raises(DslpError, match=r"kind: 300 of 300 rows, such as 5: "):
            check_fit(model, rows.assign(kind=5))
    elif values is None:
        rows.loc[:, "kind"] = "home"
        if "None" in field:
            rows.loc[:9, "kind"] = None
        check_fit(model, rows)
    else:
        check_fit(model, rows.assign(kind=values))
        with pytest.raises(DslpError, match=r"kind: 300 of 300 rows, such as 'a'"):
            check_fit(model, rows.assign(kind="a"))


@pytest.mark.parametrize("command", ["register", "promote"])
def test_nothing_to_register_or_promote_says_what_comes_first(tracked: Toy, command: str) -> None:
    outcome = tracked.run("model", command)
    assert outcome.code == 2
    first = {"register": "model train frequency", "promote": "model register"}[command]
    assert f"first: uv run dslp {first}" in outcome.error


@pytest.mark.rule("M5")
def test_a_version_knows_where_it_comes_from(trained: Toy) -> None:
    trained.done("model", "register")
    (version,) = trained.client.search_model_versions("name = 'frequency'")
    run = trained.client.get_run(version.run_id)
    assert version.tags["dslp.ask"] == "7"
    assert version.tags["dslp.dataset"] == "visits"
    assert version.tags["dslp.dataset_version"] == "1.2.0"
    assert version.tags["dslp.dataset_digest"] == digest(Dataset(trained.project, "visits"))
    assert version.tags["dslp.commit"] == trained.git("rev-parse", "HEAD")
    assert version.tags["dslp.clean"] == "true"
    assert version.tags["dslp.candidate"] == "linear"
    assert version.tags["dslp.environment"] == run.data.tags["dslp.environment"]
    for name in (
        "holdout_absolute_error",
        "holdout_bias",
        "baseline_holdout_absolute_error",
        "improvement",
    ):
        assert float(version.tags[name]) == pytest.approx(run.data.metrics[name], rel=1e-4)


@pytest.mark.rule("M5")
def test_the_signature_is_the_schema(trained: Toy) -> None:
    import mlflow

    trained.done("model", "register")
    (version,) = trained.client.search_model_versions("name = 'frequency'")
    stored = trained.root / "mlruns" / "artifacts" / "frequency" / version.run_id
    signature = mlflow.models.get_model_info(str(stored / "artifacts" / "model")).signature
    assert str(signature.inputs) == "['amount': double (required), 'kind': string (required)]"
    assert str(signature.outputs) == "['visits': double (required)]"


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("int", "'kind': long (required)"),
        ("bool", "'kind': boolean (required)"),
        ("str | None = None", "'kind': string (optional)"),
        ("datetime.date", "'kind': datetime (required)"),
        ("datetime.datetime", "'kind': datetime (required)"),
        ("Literal[1, 2]", "'kind': long (required)"),
        ("enum.Enum('Kind', {'HOME': 'home'})", "'kind': string (required)"),
    ],
)
def test_each_type_of_a_field_has_its_column(toy: Toy, field: str, column: str) -> None:
    from dslp.models.signature import model_signature

    schema = toy.model_folder / "schema.py"
    toy.edit(schema, 'Literal["home", "office"]', field)
    toy.edit(schema, "from typing", "import datetime\nimport enum\nfrom typing")
    assert column in str(model_signature(toy.model).inputs)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("amount: float", "amount: list[float]", "Request.amount has type list[float]"),
        ("amount: float", "amount: int | str | None", "Request.amount has type"),
        ("class Response(BaseModel)", "class Response", "Response is not a pydantic model"),
    ],
)
def test_a_schema_that_no_table_can_have_is_refused(
    tracked: Toy, old: str, new: str, said: str
) -> None:
    tracked.edit(tracked.model_folder / "schema.py", old, new)
    outcome = tracked.run("model", "train", "--candidate", "linear")
    assert outcome.code == 2
    assert said in outcome.error


def test_the_same_training_is_registered_once(trained: Toy) -> None:
    trained.done("model", "register")
    before = trained.registry()
    outcome = trained.done("model", "register")
    assert "frequency 1.0.0 (version 1) is this very training; nothing to do" in outcome.out
    trained.done("model", "register", "--version", "1.0.0")
    for version in ("1.1.0", "abc"):
        outcome = trained.run("model", "register", "--version", version)
        assert outcome.code == 1
        assert f"is this very training, so it is not {version}; first: " in outcome.error
    assert trained.registry() == before


def test_whatever_a_registry_raises_is_one_line(
    trained: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("no such\ncatalog")

    monkeypatch.setattr("mlflow.register_model", refuse)
    outcome = trained.run("model", "register")
    assert outcome.code == 2
    assert outcome.error.endswith("frequency cannot be registered: no such catalog")


def test_what_is_registered_and_judged_is_the_run_that_is_named(trained: Toy) -> None:
    """A workflow's own, though somebody else has trained since."""
    from dslp.models.release import register, run_gates

    kept = trained.client.get_experiment_by_name("frequency")
    (mine,) = trained.client.search_runs([kept.experiment_id])
    trained.done("model", "train", "--candidate", "baseline")
    label, _ = run_gates(trained.model, None, mine.info.run_id)
    assert mine.info.run_id[:8] in label
    release, _, _ = register(trained.model, run=mine.info.run_id)
    assert release.run == mine.info.run_id
    said = " ".join(trained.done("model", "register").out.split())
    assert f"commit {trained.git('rev-parse', 'HEAD')[:12]} clean" in said


def test_of_two_that_get_the_same_version_at_once_the_later_one_is_raised(
    trained: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    register_model = mlflow.register_model

    def slowly(*arguments: object, **more: object) -> object:
        monkeypatch.setattr(mlflow, "register_model", register_model)
        trained.train_and_register()
        return register_model(*arguments, **more)

    monkeypatch.setattr(mlflow, "register_model", slowly)
    assert "frequency 1.0.1 (version 2) is registered" in trained.done("model", "register").out
    tags = trained.registry()["tags"]
    assert {n: one["dslp.version"] for n, one in tags.items()} == {"1": "1.0.0", "2": "1.0.1"}


@pytest.mark.rule("M2")
@pytest.mark.parametrize(
    ("old", "new"),
    [("    kind:", "    day: str\n    kind:"), ('"home", "office"', '"home", "shop"')],
)
def test_a_schema_that_changed_since_training_is_refused(trained: Toy, old: str, new: str) -> None:
    """Types and bounds alike."""
    trained.edit(trained.model_folder / "schema.py", old, new)
    outcome = trained.run("model", "register")
    assert outcome.code == 1
    assert "schema.py is not the API of " in outcome.error
    assert "uv run dslp model train frequency" in outcome.error
    assert trained.registry()["tags"] == {}


@pytest.mark.parametrize("command", ["register", "promote"])
def test_a_model_whose_files_are_gone_is_said_to_be(trained: Toy, command: str) -> None:
    if command == "promote":
        trained.done("model", "register")
    before = trained.registry()
    shutil.rmtree(trained.root / "mlruns" / "artifacts")
    outcome = trained.run("model", command)
    assert outcome.code == 2
    assert outcome.error
    assert trained.registry() == before


LOAD = """
import json, sys, mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = pd.DataFrame({"amount": [1.0, 9.0], "kind": ["home", "office"]})
print(json.dumps([list(map(float, model.predict(rows))), sorted(sys.modules)]))
"""


@pytest.mark.slow
def test_the_model_is_loaded_without_the_project_and_the_tool(trained: Toy, tmp_path: Path) -> None:
    (file,) = trained.root.rglob("MLmodel")
    aside = tmp_path / "aside"
    shutil.copytree(file.parent, aside)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(aside)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (low, high), modules = json.loads(done.stdout)
    assert 0 < low < high
    assert not {trained.package, "dslp"} & set(modules)
    needs = (aside / "requirements.txt").read_text().split()
    names = [need.split("==")[0] for need in needs]
    assert names == ["mlflow", "numpy", "pandas", "scikit-learn", "skops"]
