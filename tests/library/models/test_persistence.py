"""A model is anything that predicts over a data frame, and is kept so that it loads anywhere."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dslp.core.errors import DslpError
from dslp.models.api import API, SIDES, Api, field_types, model_signature
from dslp.models.batch import Scorer
from dslp.models.persistence import load_model, save_model

from tests.library.toy import Toy

TRAIN = """
import functools
from lightgbm import LGBMRegressor
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from .helper import slope

def features(): ...

class Own(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.steep_ = slope(X["amount"], y)
        return self
    def predict(self, X):
        return (X["amount"] * self.steep_).to_numpy()

{code}
"""
FIT = """
def train(inputs, target, params):
    return {estimator}.fit(inputs, target)
"""
FUNCTION = """
def train(inputs, target, params):
    steep = slope(inputs["amount"], target)
    def predict(frame):
        return frame["amount"] * steep
    return predict
"""
# What `train` returns, and what the model needs where it is loaded.
KINDS = [
    (FIT.format(estimator="LinearRegression()"), "skops"),
    (FIT.format(estimator="LGBMRegressor(min_child_samples=5, verbosity=-1)"), "lightgbm"),
    (FIT.format(estimator="Own()"), "cloudpickle"),
    (FUNCTION, "cloudpickle"),
]
LOAD = """
import json, sys, mlflow, pandas as pd
rows = pd.DataFrame({"amount": [1.0, 9.0]})
for folder in sys.argv[1:]:
    predicted = pd.DataFrame(mlflow.pyfunc.load_model(folder).predict(rows))
    print(json.dumps(predicted.iloc[:, 0].tolist()))
print(json.dumps(sorted(sys.modules)))
"""


def write(toy: Toy, code: str) -> None:
    (toy.model_folder / "train.py").write_text(TRAIN.format(code=code))
    (toy.model_folder / "helper.py").write_text(
        "def slope(amount, target):\n    return float((target / amount).mean())\n"
    )


@pytest.mark.slow
def test_whatever_predicts_is_kept_and_loaded_without_the_project(
    built: Toy, tmp_path: Path
) -> None:
    built.edit(built.model_folder / "schema.py", '    kind: Literal["home", "office"]', "")
    built.edit(built.root / "pyproject.toml", "not-installed-here>=1", "dslp[models]")
    rows, folders, expected = pd.DataFrame({"amount": [1.0, 9.0]}), list[str](), []
    for code, needed in KINDS:
        write(built, code)
        model, folder = built.model, tmp_path / str(len(folders))
        estimator = model.fit("linear", built.rows())
        save_model(estimator, folder, model_signature(model), model.project)
        expected.append(model.predict(estimator, rows)["visits"].tolist())
        assert model.predict(load_model(folder), rows)["visits"].tolist() == expected[-1]
        assert expected[-1][0] < expected[-1][1]
        needs = (folder / "requirements.txt").read_text()
        assert f"{needed}==" in needs
        assert "mlflow==" in needs
        assert "dslp" not in needs, "its name on an index may be a stranger's"
        folders.append(str(folder))
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *folders],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *predicted, modules = map(json.loads, done.stdout.splitlines())
    assert predicted == expected
    assert not {built.package, "dslp"} & {module.split(".")[0] for module in modules}


def test_what_cannot_be_kept_is_refused_in_one_line(tracked: Toy) -> None:
    for returned, reason in (
        ("lambda X: LOCK", "which cannot be saved: cannot pickle '_thread.lock' object"),
        ("cached", "train returned _lru_cache_wrapper, which cannot be saved: it needs toy_"),
    ):
        code = "import threading\nLOCK = threading.Lock()\n@functools.cache\ndef cached(X): ...\n"
        write(tracked, f"{code}def train(inputs, target, params):\n    return {returned}\n")
        model, folder = tracked.model, tracked.root / "kept"
        estimator = model.fit("linear", tracked.rows())
        with pytest.raises(DslpError) as raised:
            save_model(estimator, folder, model_signature(model), model.project)
        assert reason in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.rule("M2")
def test_mlflow_predicts_the_same_where_values_are_missing(built: Toy, tmp_path: Path) -> None:
    schema, train = built.model_folder / "schema.py", built.model_folder / "train.py"
    built.edit(schema, "    amount:", "    count: int | None\n    flag: bool | None\n    amount:")
    sum_up = "frame['count'].fillna(0) + frame['flag'].fillna(False).astype(float)"
    train.write_text(f"def train(inputs, target, params):\n    return lambda frame: {sum_up}\n")
    model, rows = built.model, built.rows()[:4]
    gaps = rows.assign(count=[1, np.nan, 3, 4], flag=np.array([True, None, False, True]))
    full = rows.assign(count=[1, 2, 3, 4], flag=[True, False, False, True])
    metadata = {API: {side: field_types(model, side) for side in SIDES}}
    estimator, signature = model.fit("linear", gaps), model_signature(model)
    save_model(estimator, tmp_path / "model", signature, model.project, metadata=metadata)
    scorer = Scorer(Api(model), tmp_path / "model", "1")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    for frame, expected in ((gaps, [2, 0, 3, 5]), (full, [2, 2, 3, 5])):
        scored, rejected = scorer.score(pa.Table.from_pandas(frame, preserve_index=False))
        assert scored["predicted_visits"].to_pylist() == expected
        assert loaded.predict(frame[model.inputs]).tolist() == expected
        assert not len(rejected)


def test_a_full_disk_is_named_and_not_the_estimator(built: Toy, tmp_path: Path) -> None:
    model = built.model
    estimator, limits = model.fit("linear", built.rows()), resource.getrlimit(resource.RLIMIT_FSIZE)
    signature = model_signature(model)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(DslpError, match=r"the model cannot be written: .*File too large"):
            save_model(estimator, tmp_path / "model", signature, model.project)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
