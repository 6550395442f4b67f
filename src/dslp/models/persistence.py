"""Keeping a trained model as files that load without the project and without this tool.

scikit-learn's are kept in skops format, which runs no code when it is loaded; LightGBM's, XGBoost's
and CatBoost's as MLflow keeps them; anything else that predicts, a function or an object of one's
own, is pickled together with the project's code that it needs.

A pickle runs code when it is loaded, and the types that skops is to trust stand beside its file: so
nothing of a version is loaded before its files are seen to be the registered ones (`verified`).
"""

import hashlib
import importlib
import pickle
import sys
import tomllib
import warnings
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from re import match
from typing import TYPE_CHECKING, Any, BinaryIO

import yaml
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

FILES = "dslp.files"  # the tag of a version that says what its files were
OF_MLFLOW = ("lightgbm", "xgboost", "catboost")
NEEDS = {"skops": ("numpy", "scikit-learn", "skops"), "pickle": ("cloudpickle", "numpy", "pandas")}


def save_model(
    estimator: Any,
    folder: Path,
    form: "ModelSignature",
    project: Project,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Write what `train` returned as an MLflow model, with `metadata` in its `MLmodel`.

    Raises:
        DslpError: it cannot predict, or it cannot be kept.
    """
    kind = type(estimator)
    ask = getattr(estimator, "predict", estimator)
    if not callable(ask):
        raise DslpError(
            f"train returned {kind.__name__}; a model has a method predict(frame), or is a "
            "function of a data frame"
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # MLflow's advice; it is decided here
            _write(estimator, ask, folder, project, {"signature": form, "metadata": metadata})
    except Exception as error:  # whatever the objects inside raise when they are taken apart
        reason = error_line(error)
        raise DslpError(
            f"train returned {kind.__name__}, which cannot be kept: {reason}"
        ) from error


def load_model(folder: Path) -> Any:
    """What `train` returned, or for what was pickled a function that predicts the same.

    MLflow is not imported for what is in skops format.

    Raises:
        DslpError: there is none, or it cannot be loaded here.
    """
    try:
        stated = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["flavors"]
        for flavour, kept in stated.items():
            file = folder / (kept.get("pickled_model") or kept.get("data") or "")
            if file.suffix in (".skops", ".pkl") and kept.get("serialization_format") == "skops":
                import skops.io

                return skops.io.load(file, trusted=kept.get("skops_trusted_types") or [])
            if flavour in OF_MLFLOW:
                return importlib.import_module(f"mlflow.{flavour}").load_model(str(folder))
        import mlflow.pyfunc

        with warnings.catch_warnings(action="ignore"):
            return mlflow.pyfunc.load_model(str(folder)).unwrap_python_model().func
    except Exception as error:  # whatever files, storage and deserialisation raise
        reason = f"{type(error).__name__}: {error_line(error)}"[:160]
        raise DslpError(f"the model in {folder} cannot be loaded: {reason}") from error


def files_digest(folder: Path) -> str:
    """SHA-256 of a model's files and their names, but for what MLflow adds when it fetches them."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "registered_model_meta":
            name = path.relative_to(folder).as_posix()
            total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def check_files(folder: Path, files: str) -> None:
    """See that the files are those that were registered; `files` is `content` of them.

    Raises:
        DslpError: they are not, so nothing of them may be loaded.
    """
    if files and files_digest(folder) != files:
        raise DslpError(
            f"the model in {folder} is not what was registered: its files were changed since; "
            "train, register and promote again"
        )


def model_requirements(project: Project, needed: Iterable[str]) -> list[str]:
    """What it takes to load a model: MLflow, `needed`, and the project's dependencies, pinned.

    The library is none of it: a model loads without, and its name on an index may be a stranger's.
    """
    content = tomllib.loads((project.root / "pyproject.toml").read_text(encoding="utf-8"))
    stated = content.get("project", {}).get("dependencies", [])
    pinned = {}
    for requirement in ("mlflow", *needed, *stated):
        name = match(r"[\w.-]+", requirement)
        if name and name[0].lower() != "dslp":
            with suppress(PackageNotFoundError):  # for another platform or Python version
                pinned[name[0].lower()] = version(name[0])
    return [f"{name}=={number}" for name, number in sorted(pinned.items())]


def _write(
    estimator: Any, ask: Any, folder: Path, project: Project, options: dict[str, Any]
) -> None:
    own, library = _own(project), type(estimator).__module__.split(".")[0]
    trusted = _types(estimator, own)
    options |= {"path": str(folder)}
    if library in OF_MLFLOW:
        options["pip_requirements"] = model_requirements(project, (library, *NEEDS["skops"]))
        importlib.import_module(f"mlflow.{library}").save_model(estimator, **options)
    elif trusted is not None:
        import mlflow.sklearn

        options["pip_requirements"] = model_requirements(project, NEEDS["skops"])
        options |= {"serialization_format": "skops", "skops_trusted_types": trusted}
        mlflow.sklearn.save_model(estimator, **options)
    else:
        options["pip_requirements"] = model_requirements(project, NEEDS["pickle"])
        _pickle(ask, own, options)
        with (folder / "python_model.pkl").open("rb") as file:
            _Elsewhere(file, own).load()


def _own(project: Project) -> set[str]:
    """Names of the packages that are not there where the model is loaded."""
    source = project.root / "src"
    return {path.stem for path in source.iterdir()} | {"dslp"}


def _types(estimator: Any, own: set[str]) -> list[str] | None:
    """The types that skops is to trust, those of a model that was made a moment ago.

    None where it is not scikit-learn's, or holds what skops cannot load without the project.
    """
    import skops.io
    from sklearn.base import BaseEstimator

    if not isinstance(estimator, BaseEstimator):
        return None
    try:
        types: list[str] = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
    except Exception:  # whatever a part of the estimator raises that skops cannot take apart
        return None
    return None if any(name.split(".")[0] in own for name in types) else types


def _pickle(ask: Any, own: set[str], options: dict[str, Any]) -> None:
    """Write a function of a data frame with all of the project's code that it needs."""
    import cloudpickle  # type: ignore[import-untyped]
    import mlflow.pyfunc
    import pandas as pd

    def predict(model_input: pd.DataFrame) -> Any:
        return ask(model_input)

    inside = [module for name, module in sys.modules.items() if name in own]
    for module in inside:
        cloudpickle.register_pickle_by_value(module)
    try:
        cloudpickle.dumps(predict)  # says why not, which MLflow does not pass on
        mlflow.pyfunc.save_model(python_model=predict, **options)
    finally:
        for module in inside:
            cloudpickle.unregister_pickle_by_value(module)


class _Elsewhere(pickle.Unpickler):
    """Loads a pickle as it is loaded where the project is not."""

    def __init__(self, file: BinaryIO, own: set[str]) -> None:
        super().__init__(file)
        self.own = own

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] in self.own:
            raise DslpError(f"it needs {module}.{name}, which is only here")
        return super().find_class(module, name)
