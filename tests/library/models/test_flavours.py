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

TRAIN = '''
"""Made for a test."""
import functools
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from .helper import slope


def features(): ...


{code}
'''
# What `train` returns, and what the model needs where it is loaded.
KINDS = {
    "lightgbm": (
        """
from lightgbm import LGBMRegressor
def train(inputs, target, params):
    settings = dict(n_estimators=9, min_child_samples=5, verbosity=-1)
    return LGBMRegressor(**settings).fit(inputs, target)
""",
        "lightgbm",
    ),
    "booster": (
        """
import lightgbm
def train(inputs, target, params):
    data = lightgbm.Dataset(inputs[["amount"]], target)
    return lightgbm.train({"verbosity": -1, "min_data_in_leaf": 5}, data, 9)
""",
        "lightgbm",
    ),
    "function": (
        """
def train(inputs, target, params):
    steep = slope(inputs["amount"], target)
    def predict(frame):
        return frame["amount"] * steep
    return predict
""",
        "cloudpickle",
    ),
    "named function": (
        """
def mean_of(frame):
    return slope(frame["amount"], frame["amount"]) * frame["amount"]
def train(inputs, target, params):
    return mean_of
""",
        "cloudpickle",
    ),
    "own class": (
        """
class Own:
    def __init__(self, steep):
        self.steep = steep
    def predict(self, frame):
        return pd.DataFrame({"visits": frame["amount"] * self.steep, "more": 1})
def train(inputs, target, params):
    return Own(slope(inputs["amount"], target))
""",
        "cloudpickle",
    ),
    "own function in a pipeline": (
        """
def only(frame):
    return frame[["amount"]]
def train(inputs, target, params):
    return make_pipeline(FunctionTransformer(only), LinearRegression()).fit(inputs, target)
""",
        "cloudpickle",
    ),
    "own estimator": (
        """
class Own(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.steep_ = slope(X["amount"], y)
        return self
    def predict(self, X):
        return (X["amount"] * self.steep_).to_numpy()
def train(inputs, target, params):
    return Own().fit(inputs, target)
""",
        "cloudpickle",
    ),
}
LOAD = """
import json, sys, mlflow, pandas as pd
rows = pd.DataFrame({"amount": [1.0, 9.0]})
for folder in sys.argv[1:]:
    found = pd.DataFrame(mlflow.pyfunc.load_model(folder).predict(rows))
    print(json.dumps(found.iloc[:, 0].tolist()))
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
    rows, folders, here = pd.DataFrame({"amount": [1.0, 9.0]}), [], []
    for name, (code, needed) in KINDS.items():
        write(built, code)
        model, folder = built.model, tmp_path / name
        estimator = model.fit("linear", built.rows())
        save_model(estimator, folder, model_signature(model), model.project)
        here.append(model.predict(estimator, rows)["visits"].tolist())
        assert model.predict(load_model(folder), rows)["visits"].tolist() == here[-1]
        assert here[-1][0] < here[-1][1]
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
    assert predicted == here
    assert not {built.package, "dslp"} & {module.split(".")[0] for module in modules}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lightgbm", "function"])
def test_what_is_not_of_scikit_learn_becomes_champion_all_the_same(tracked: Toy, name: str) -> None:
    tracked.edit(tracked.model_folder / "schema.py", '    kind: Literal["home", "office"]', "")
    tracked.edit(tracked.model_folder / "gates.yml", "criterion: true", "criterion: false")
    write(tracked, KINDS[name][0])
    for command in (["train", "--candidate", "linear"], ["register"], ["promote"]):
        assert "Warning" not in tracked.done("model", *command).err
    assert tracked.roles() == {"1": "champion"}


def test_skops_is_loaded_without_mlflow(trained: Toy) -> None:
    (file,) = trained.root.rglob("MLmodel")
    code = (
        "import sys; from pathlib import Path; from dslp.models.persistence import load_model\n"
        "print(type(load_model(Path(sys.argv[1]))).__name__, 'mlflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file.parent)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["Pipeline", "False"]


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("3", "train returned int; a model has a method predict(frame), or is a function"),
        (
            "type('Own', (), {'predict': lambda self, X: LOCK and X['amount']})()",
            "train returned Own, which cannot be kept: cannot pickle '_thread.lock' object",
        ),
        ("cached", "train returned _lru_cache_wrapper, which cannot be kept: it needs toy_"),
    ],
)
def test_what_nobody_can_keep_is_refused_in_one_line(
    tracked: Toy, returned: str, said: str
) -> None:
    code = "import threading\nLOCK = threading.Lock()\n@functools.cache\ndef cached(X): ...\n"
    write(tracked, f"{code}def train(inputs, target, params):\n    return {returned}\n")
    model, folder = tracked.model, tracked.root / "kept"
    estimator = model.fit("linear", tracked.rows())
    with pytest.raises(DslpError) as raised:
        save_model(estimator, folder, model_signature(model), model.project)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
