"""A model is anything that predicts over a data frame, and is kept so that it loads anywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from dslp.core.errors import DslpError
from dslp.models.persistence import load_model, save_model
from dslp.models.signature import model_signature

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
        ("3", "train returned int; a model has a method predict(frame), or is a function"),
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
