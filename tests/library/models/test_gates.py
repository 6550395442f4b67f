"""Gates: each with its figure and its limit, and the worse of two models stays out."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.library.toy import Toy

TEST = '''
"""How the model behaves."""

from pathlib import Path

import pandas as pd
import pytest
from dslp.experiments.model import find_model
from dslp.core.settings import Project
from dslp.testing import predictor

made = find_model(Project.find(Path(__file__).parent), "frequency")


@pytest.fixture
def estimator():
    rows = pd.DataFrame({"amount": [1.0, 2.0, 4.0], "kind": "home", "visits": [1.0, 2.0, 4.0]})
    return predictor(made, "linear", rows)


def test_more_is_more(estimator):
    rows = pd.DataFrame({"amount": [1.0, 9.0], "kind": "home"})
    less, more = made.predict(estimator, rows)["visits"]
    assert more > less


def test_which_model_is_tested(estimator):
    rows = pd.DataFrame({"amount": [1000.0], "kind": "home"})
    assert made.predict(estimator, rows)["visits"].iloc[0] %s pytest.approx(1000.0)
'''
EVERY = """
criterion: true
minimum: {absolute_error: 9.0, bias: 5}
champion: {margin: 0.0}
subgroups: {by: [kind, amount, visits], gap: 9.0, minimum_rows: 5}
latency: {p95_ms: 5000}
size: {megabytes: 5}
behaviour: true
determinism: true
"""


def gates(toy: Toy, text: str) -> None:
    (toy.model_folder / "gates.yml").write_text(text)


def behaviour(toy: Toy, sign: str) -> Path:
    folder = toy.root / "tests" / "model"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test_frequency.py").write_text(TEST % sign)
    return folder / "test_frequency.py"


def line(said: str, gate: str) -> str:
    """The line of the table about a gate."""
    (found,) = [line for line in said.splitlines() if line.startswith(f"{gate} ")]
    return " ".join(found.split())


@pytest.mark.slow
@pytest.mark.rule("M4", "M7")
def test_every_gate_says_figure_and_limit(trained: Toy) -> None:
    behaviour(trained, "!=")  # trained on these three rows, it would be 1000
    gates(trained, EVERY)
    outcome = trained.done("model", "test")
    assert "frequency, trained last, run " in outcome.out
    assert all(
        len(row) <= 80 for row in outcome.out.splitlines() if not row.startswith("subgroups:")
    )
    for gate, figure in {
        "success criterion": "% +10.0% passed",
        "absolute_error": "≤ 9 passed",
        "bias": "± 5 passed",
        "subgroups": "% ≤ 900.0% passed",
        "latency (p95)": " ms 5000 ms passed",
        "size": " MB 5 MB passed",
        "determinism": "0 rows 0 rows passed",
        "behaviour": "2 passed all pass passed",
    }.items():
        assert line(outcome.out, gate).endswith(figure)
    assert "subgroups: absolute_error is worst where" in outcome.out
    assert "every gate is passed" in outcome.out
    assert "against" not in outcome.out  # there is no champion
    trained.done("model", "register")
    assert "2 passed" in trained.done("model", "promote").out
    trained.train_and_register()
    said = line(trained.done("model", "test").out, "against 1.0.0 (version 1)")
    assert said.endswith("+0.0% +0.0% passed")
    assert "frequency, 1.0.0 (version 1)" in trained.done("model", "test", "--version", "1").out
    assert "1.0.1 (version 2)" in trained.done("model", "test", "--version", "1.0.1").out
    assert "no version 9" in trained.run("model", "test", "--version", "9").error


@pytest.mark.rule("B7", "M4")
@pytest.mark.parametrize(
    ("text", "gate", "figure"),
    [
        ("minimum: {absolute_error: 0.1}", "absolute_error", "≤ 0.1 failed"),
        ("minimum: {bias: 0}", "bias", "± 0 failed"),
        (
            "subgroups: {by: [visits], gap: 0.01, minimum_rows: 5}",
            "subgroups",
            "% ≤ 1.0% failed",
        ),
        ("subgroups: {by: [kind]}", "subgroups", "none ≤ 20.0% failed"),
        ("latency: {p95_ms: 0.000001}", "latency (p95)", " ms 1e-06 ms failed"),
        ("size: {megabytes: 0.0001}", "size", " MB 0.0001 MB failed"),
        ("behaviour: true", "behaviour", "no tests all pass failed"),
    ],
)
def test_a_gate_that_is_not_passed_says_so(trained: Toy, text: str, gate: str, figure: str) -> None:
    gates(trained, f"criterion: false\n{text}\n")
    outcome = trained.run("model", "test")
    assert outcome.code == 1
    assert outcome.error.endswith(f"frequency does not pass: {gate}")
    assert line(outcome.out, gate).endswith(figure)
    trained.done("model", "register")
    assert trained.run("model", "promote").code == 1
    assert trained.roles() == {"1": "challenger"}


@pytest.mark.rule("M4")
def test_behaviour_is_that_of_the_very_version(trained: Toy) -> None:
    test = behaviour(trained, "==")
    gates(trained, "criterion: false\nbehaviour: true\n")
    outcome = trained.run("model", "test")
    assert outcome.code == 1
    assert line(outcome.out, "behaviour").startswith("behaviour 1 failed, 1 passed all pass")
    assert "test_which_model_is_tested" in outcome.out
    assert "DSLP_MODEL_FOLDER" not in os.environ
    test.write_text("def broken(:\n")
    assert line(trained.run("model", "test").out, "behaviour").startswith("behaviour 1 error")


@pytest.mark.rule("M4")
@pytest.mark.parametrize(
    ("mark", "figure"),
    [
        ("pytest.mark.skip", "2 skipped"),
        ("pytest.mark.xfail(reason='x', strict=False)", "2 xfailed"),
    ],
)
def test_a_behaviour_that_was_not_tested_is_not_passed(
    trained: Toy, mark: str, figure: str
) -> None:
    test = behaviour(trained, "==")
    text = test.read_text().replace("def test_", f"@{mark}\ndef test_")
    test.write_text(text.replace("assert less", "assert not less").replace("more > less", "False"))
    gates(trained, "criterion: false\nbehaviour: true\n")
    outcome = trained.run("model", "test")
    assert outcome.code == 1
    assert line(outcome.out, "behaviour") == f"behaviour {figure} all pass failed"


@pytest.mark.rule("M4", "M7")
def test_a_model_of_another_split_is_not_judged_on_rows_that_it_has_seen(trained: Toy) -> None:
    trained.done("model", "register")
    trained.edit(trained.model_folder / "params.yml", "seed: 1", "seed: 99")
    outcome = trained.run("model", "promote")
    assert outcome.code == 1
    assert "train it again: uv run dslp model train frequency" in outcome.error
    trained.edit(trained.model_folder / "params.yml", "seed: 99", "seed: 1")
    trained.done("model", "promote")
    trained.edit(trained.model_folder / "params.yml", "seed: 1", "seed: 99")
    trained.train_and_register()
    outcome = trained.run("model", "promote")
    assert outcome.error.endswith("stays the challenger: against 1.0.0 (version 1)")
    assert "not comparable: trained with another split" in trained.run("model", "test").out


@pytest.mark.rule("M6", "M7")
def test_a_champion_with_other_inputs_is_asked_by_its_own(trained: Toy) -> None:
    """One more input is no way round the gate."""
    trained.done("model", "register")
    trained.done("model", "promote")
    schema, train = trained.model_folder / "schema.py", trained.model_folder / "train.py"
    trained.edit(schema, "    amount: float", "    amount: float\n    day: datetime")
    trained.edit(schema, "from typing", "from datetime import datetime\nfrom typing")
    gates(trained, "criterion: false\nchampion: {margin: 0.0}\n")
    trained.train_and_register()
    said = trained.done("model", "promote").out
    assert line(said, "against 1.0.0 (version 1)").endswith("+0.0% +0.0% passed")
    trained.edit(schema, "    day: datetime\n", "")
    trained.edit(train, "(inputs, target)", "(inputs, target * 0)")
    trained.train_and_register()
    outcome = trained.run("model", "promote")
    assert outcome.code == 1
    assert "% +0.0% failed" in line(outcome.out, "against 2.0.0 (version 2)")


@pytest.mark.rule("M7")
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("files", "cannot be brought here"),
        ("run", "the tracking server says no: Run with id="),
        ("input", "the champion has inputs that the dataset lacks (day)"),
        ("outputs", "the champion has other outputs or another target"),
    ],
)
def test_a_champion_that_cannot_be_asked_is_no_reason_to_pass(
    trained: Toy, harm: str, said: str
) -> None:
    schema = trained.model_folder / "schema.py"
    before = schema.read_text()
    trained.edit(schema, "    amount: float", "    amount: float\n    day: datetime")
    trained.edit(schema, "from typing", "from datetime import datetime\nfrom typing")
    trained.train_and_register()
    trained.done("model", "promote")
    if harm == "files":
        shutil.rmtree(trained.root / "mlruns" / "artifacts")
        shutil.rmtree(trained.root / "data" / "interim")
    if harm == "run":
        with closing(sqlite3.connect(trained.root / "mlruns" / "mlflow.db")) as store:
            store.execute("DELETE FROM runs")
            store.commit()
    schema.write_text(before)
    if harm == "outputs":
        trained.edit(schema, "visits: float", "number: float")
    if harm == "input":
        trained.with_rows(trained.rows().drop(columns="day"))
    trained.train_and_register()
    outcome = trained.run("model", "promote")
    assert outcome.error.endswith("stays the challenger: against 1.0.0 (version 1)")
    assert said in outcome.out
    assert "or leave champion out of gates.yml this time" in outcome.out
    assert said in trained.run("model", "test").out
    gates(trained, "criterion: true\n")
    trained.done("model", "promote")


@pytest.mark.rule("M7")
def test_rows_of_another_key_are_another_holdout(trained: Toy) -> None:
    trained.done("model", "register")
    schema = trained.dataset / "schema.yml"
    trained.edit(schema, "key: [id]", "key: [id, person]")
    outcome = trained.run("model", "promote")
    assert outcome.code == 1
    assert "trained with another split, target, dataset or key" in outcome.error


@pytest.mark.rule("M7")
def test_subgroups_tell_what_they_did_not_look_at(trained: Toy) -> None:
    rest = "gap: 9.0, minimum_rows: 5}\n"
    gates(trained, f"criterion: false\nsubgroups: {{by: [kind, id, person], {rest}")
    trained.done("model", "test")
    trained.edit(trained.model_folder / "gates.yml", "rows: 5", "rows: 25")
    assert "subgroups: no subgroup by id, person has 25 rows" in trained.run("model", "test").out
    gates(trained, f"criterion: false\nsubgroups: {{by: [kind], metric: bias, {rest}")
    assert line(trained.done("model", "test").out, "subgroups").endswith("≤ 9 passed")


@pytest.mark.rule("M4")
def test_chance_in_training_or_in_predictions_is_found(trained: Toy) -> None:
    gates(trained, "criterion: false\ndeterminism: true\n")
    file = trained.model_folder / "train.py"
    before = file.read_text()
    trained.edit(
        file,
        "return Pipeline(",
        "target = np.random.default_rng().permutation(target)\n    return Pipeline(",
    )
    trained.edit(file, "import pandas", "import numpy as np\nimport pandas")
    assert line(trained.run("model", "test").out, "determinism").endswith("rows 0 rows failed")
    file.write_text(
        f"{before}\n\nimport numpy as np\n\n\ndef train(inputs, target, params):\n"
        "    return lambda frame: np.random.default_rng().normal(size=len(frame))\n"
    )
    trained.done("model", "train", "--candidate", "linear")
    file.write_text(before)
    assert line(trained.run("model", "test").out, "determinism").endswith("rows 0 rows failed")
    trained.edit(trained.model_folder / "params.yml", "  linear:", "  other:")
    outcome = trained.run("model", "test")
    assert outcome.code == 1
    assert "determinism: params.yml has no candidate linear by now" in outcome.out


@pytest.mark.rule("M2", "M4")
def test_what_answers_a_request_otherwise_than_a_row_is_found(trained: Toy) -> None:
    gates(trained, "criterion: false\ndeterminism: true\n")
    schema = trained.model_folder / "schema.py"
    before = schema.read_text()
    rule = '    @field_validator("amount")\n    def less(cls, value: float) -> float:\n        '
    trained.edit(schema, "import BaseModel", "import BaseModel, field_validator")
    trained.edit(schema, "class Response", f"{rule}return value / 2\n\n\nclass Response")
    said = trained.run("model", "test").out
    assert line(said, "determinism").endswith("rows 0 rows failed")
    assert "determinism: asked by a request, " in said
    schema.write_text(before.replace("visits: float", "visits: float = Field(le=0)"))
    trained.edit(schema, "import BaseModel", "import BaseModel, Field")
    said = trained.run("model", "test").out
    assert "determinism: frequency: a prediction does not fit Response: 0.visits" in said


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must hold a mapping"),
        ("criterion: maybe\n", "criterion: Input should be a valid boolean"),
        ("champion: {margin: -1}\n", "champion.margin"),
        ("champion: {margn: 1}\n", "champion.margn: Extra inputs"),
        ("speed: 3\n", "speed: Extra inputs"),
        ("minimum: {fame: 3}\n", "minimum: fame is no metric of evaluate.py with a direction"),
        ("subgroups: {by: [planet]}\n", "subgroups.by: visits has no column planet"),
        ("subgroups: {by: []}\n", "subgroups.by"),
        ("subgroups: {by: [kind], metric: fame}\n", "subgroups.metric: fame is no metric"),
    ],
)
def test_gates_that_are_none_are_refused(trained: Toy, text: str, problem: str) -> None:
    gates(trained, text)
    outcome = trained.run("model", "test")
    assert outcome.code == 2
    assert "gates.yml" in outcome.error
    assert problem in outcome.error


def test_without_a_gate_and_without_a_model_it_is_said(tracked: Toy) -> None:
    assert "first: uv run dslp model train" in tracked.run("model", "test").error
    tracked.done("model", "train", "--candidate", "linear")
    gates(tracked, "criterion: false\n")
    assert "gates.yml asks for nothing" in tracked.done("model", "test").out
