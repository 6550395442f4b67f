"""Training, registering and promoting: each version knows where it comes from."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lifecycle.data.catalogue import digest

from tests.lifecycle.toy import Toy


def test_the_best_candidate_is_trained(tracked: Toy) -> None:
    tracked.done("experiment", "run")
    outcome = tracked.done("model", "train")
    assert "frequency (linear)" in outcome.out
    assert "against the baseline; lower absolute_error is better" in outcome.out


def test_the_best_is_the_highest_where_higher_is_better(tracked: Toy) -> None:
    params = tracked.model_folder / "params.yml"
    tracked.edit(params, "name: absolute_error, better: lower", "name: bias, better: higher")
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
    assert "uv run lifecycle experiment run frequency" in outcome.error
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
    assert "there are: baseline, linear" in outcome.error


def test_what_no_registry_can_keep_is_refused(tracked: Toy) -> None:
    tracked.edit(
        tracked.model_folder / "train.py",
        "    return Pipeline",
        "    return type('Own', (), {'predict': lambda self, X: X['amount']})() or Pipeline",
    )
    outcome = tracked.run("model", "train", "--candidate", "linear")
    assert outcome.code == 2
    assert "train returned Own; a model that is registered must be a scikit-learn" in outcome.error


def test_data_that_the_schema_does_not_allow_is_refused_before_it_is_registered(
    trained: Toy,
) -> None:
    rows = trained.rows()
    trained.with_rows(rows.assign(amount=rows["amount"].round().astype("int64")))
    outcome = trained.run("model", "train", "--candidate", "linear")
    assert outcome.code == 2
    assert "schema.py: Request does not fit visits: Incompatible input types for column amount" in (
        outcome.error
    )


@pytest.mark.parametrize("command", ["register", "promote"])
def test_nothing_to_register_or_promote_says_what_comes_first(tracked: Toy, command: str) -> None:
    outcome = tracked.run("model", command)
    assert outcome.code == 2
    first = {"register": "model train frequency", "promote": "model register"}[command]
    assert f"first: uv run lifecycle {first}" in outcome.error


@pytest.mark.rule("M5")
def test_a_version_knows_where_it_comes_from(trained: Toy) -> None:
    trained.done("model", "register")
    (version,) = trained.client.search_model_versions("name = 'frequency'")
    run = trained.client.get_run(version.run_id)
    assert version.tags["lifecycle.ask"] == "7"
    assert version.tags["lifecycle.dataset"] == "visits 1.2.0"
    assert version.tags["lifecycle.dataset_digest"] == digest(trained.rows())
    assert version.tags["lifecycle.commit"] == trained.git("rev-parse", "HEAD")
    assert version.tags["lifecycle.clean"] == "true"
    assert version.tags["lifecycle.candidate"] == "linear"
    assert version.tags["lifecycle.environment"] == run.data.tags["lifecycle.environment"]
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
    from lifecycle.models.signature import signature

    schema = toy.model_folder / "schema.py"
    toy.edit(schema, 'Literal["home", "office"]', field)
    toy.edit(schema, "from typing", "import datetime\nimport enum\nfrom typing")
    assert column in str(signature(toy.model).inputs)


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
    assert "frequency version 1 is this very training; nothing to do" in outcome.out
    assert trained.registry() == before


def test_a_schema_that_changed_since_training_is_refused(trained: Toy) -> None:
    trained.edit(trained.model_folder / "schema.py", "    kind:", "    day: str\n    kind:")
    outcome = trained.run("model", "register")
    assert outcome.code == 1
    assert "schema.py has changed since frequency was trained" in outcome.error
    assert "uv run lifecycle model train frequency" in outcome.error
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
    assert not {trained.package, "lifecycle"} & set(modules)
    needs = (aside / "requirements.txt").read_text().split()
    names = [need.split("==")[0] for need in needs]
    assert names == ["mlflow", "numpy", "pandas", "scikit-learn", "skops"]
