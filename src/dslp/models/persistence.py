"""A trained model as files that load without the project and without this library.

Models of scikit-learn are saved in skops format, which runs no code when it is loaded; LightGBM's,
XGBoost's and CatBoost's in MLflow's formats. Anything else that predicts, such as a function, is
pickled together with the project's code that it needs.

A pickle runs code when it is loaded, and the types that skops trusts are in a file beside the
model. So a version is loaded only after its files were compared with the registered ones.
"""

import hashlib
import importlib
import json
import pickle
import subprocess
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from re import match
from typing import TYPE_CHECKING, Any, BinaryIO

import yaml
from dslp.core.errors import DslpError
from dslp.core.files import written_aside
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.experiments.model import predict_fields
from dslp.tracking.connection import local_database, require_records
from dslp.tracking.registry import Registry, Release, current_versions

if TYPE_CHECKING:
    from mlflow.models import ModelSignature


FILES = "dslp.files"  # the tag of a version with the digest of its files
OF_MLFLOW = ("lightgbm", "xgboost", "catboost")
NEEDS = {"skops": ("numpy", "scikit-learn", "skops"), "pickle": ("cloudpickle", "numpy", "pandas")}
PATIENCE = 600  # seconds that reading the registry, and a download, may take


def save_model(
    estimator: Any,
    folder: Path,
    signature: "ModelSignature",
    project: Project,
    **options: Any,
) -> None:
    """Write what `train` returned as an MLflow model; `options` are those of MLflow's `save_model`.

    Raises:
        DslpError: it cannot predict, or it cannot be saved.
    """
    kind = type(estimator).__name__
    try:
        with warnings.catch_warnings(action="ignore"):  # MLflow's advice about formats
            _write(estimator, folder, project, signature=signature, **options)
    except Exception as error:  # whatever the objects inside raise when they are serialised
        cause: BaseException | None = error
        while cause and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__
        if cause:  # MLflow blames the estimator for a full disk
            problem = f"the model cannot be written: {error_line(cause)}"
            raise DslpError(f"{problem}; temporary files are in {tempfile.gettempdir()}") from error
        reason = error_line(error)
        raise DslpError(f"train returned {kind}, which cannot be saved: {reason}") from error


def load_model(folder: Path) -> Any:
    """What `train` returned; of what was pickled, a function that predicts the same.

    MLflow is not imported for models in skops format.

    Raises:
        DslpError: the folder holds no model, or it cannot be loaded on this machine.
    """
    try:
        flavors = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["flavors"]
        for flavor, options in flavors.items():
            file = folder / (options.get("pickled_model") or options.get("data") or "")
            if file.suffix == ".skops" or options.get("serialization_format") == "skops":
                import skops.io

                return skops.io.load(file, trusted=options.get("skops_trusted_types") or [])
            if flavor in OF_MLFLOW:
                return importlib.import_module(f"mlflow.{flavor}").load_model(str(folder))
        import mlflow.pyfunc

        with warnings.catch_warnings(action="ignore"):
            return mlflow.pyfunc.load_model(str(folder)).unwrap_python_model().func
    except Exception as error:  # whatever files, storage and deserialisation raise
        reason = f"{type(error).__name__}: {error_line(error)}"
        raise DslpError(f"the model in {folder} cannot be loaded: {reason}") from error


def files_digest(folder: Path) -> str:
    """SHA-256 of a model's files and their names, without the file that a download adds."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "registered_model_meta":
            name = path.relative_to(folder).as_posix()
            total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def check_files(folder: Path, files: str) -> None:
    """Check that the files are the registered ones, whose `files_digest` is `files`.

    Raises:
        DslpError: they are not, and must not be loaded.
    """
    if files and files_digest(folder) != files:
        problem = "is not what was registered: its files were changed since"
        raise DslpError(f"the model in {folder} {problem}; train, register and promote again")


def model_requirements(project: Project, needed: Iterable[str]) -> list[str]:
    """The packages that a model is loaded with, pinned: MLflow, `needed`, and the dependencies.

    This library is not among them: a model loads without it, and its name on an index may belong
    to somebody else.
    """
    content = tomllib.loads((project.environment / "pyproject.toml").read_text(encoding="utf-8"))
    dependencies = content.get("project", {}).get("dependencies", [])
    pinned = {}
    for requirement in ("mlflow", *needed, *dependencies):
        name = match(r"[\w.-]+", requirement)
        if name and name[0].lower() != "dslp":
            with suppress(PackageNotFoundError):  # for another platform or Python version
                pinned[name[0].lower()] = version(name[0])
    return [f"{name}=={number}" for name, number in sorted(pinned.items())]


def _write(estimator: Any, folder: Path, project: Project, **options: Any) -> None:
    own = {path.stem for path in project.code_root.iterdir()} | {"dslp"}
    library, trusted = type(estimator).__module__.split(".")[0], _trusted_types(estimator, own)
    options["path"] = str(folder)
    flavor = library if library in OF_MLFLOW else "sklearn" if trusted is not None else ""
    needed = (flavor, *NEEDS["skops" if flavor else "pickle"])
    options["pip_requirements"] = model_requirements(project, needed)
    if flavor == "sklearn":
        options |= {"serialization_format": "skops", "skops_trusted_types": trusted}
    if flavor:
        importlib.import_module(f"mlflow.{flavor}").save_model(estimator, **options)
    else:
        _pickle(estimator, own, options)
        with (folder / "python_model.pkl").open("rb") as file:
            _Unpickler(file, own).load()


def _trusted_types(estimator: Any, own: set[str]) -> list[str] | None:
    """The types in an estimator that skops must be told to trust.

    None if it is not scikit-learn's, or holds types of the `own` packages, which are missing where
    the model is loaded.
    """
    import skops.io
    from sklearn.base import BaseEstimator

    if not isinstance(estimator, BaseEstimator):
        return None
    try:
        types: list[str] = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
    except Exception:  # whatever a part of the estimator raises that skops cannot serialise
        return None
    return None if any(name.split(".")[0] in own for name in types) else types


def _pickle(estimator: Any, own: set[str], options: dict[str, Any]) -> None:
    """Write it as a function of a data frame, with all of the project's code that it needs."""
    import cloudpickle  # type: ignore[import-untyped]
    import mlflow.pyfunc
    import pandas as pd

    fields = options["signature"].outputs.input_names()

    def predict(model_input: pd.DataFrame) -> Any:
        return predict_fields(estimator, model_input, fields)

    modules = [module for name, module in sys.modules.items() if name in own]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        cloudpickle.dumps(predict)  # raises the reason, which MLflow does not pass on
        mlflow.pyfunc.save_model(python_model=predict, **options)
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


class _Unpickler(pickle.Unpickler):
    """Loads a pickle as where the project is missing."""

    def __init__(self, file: BinaryIO, own: set[str]) -> None:
        super().__init__(file)
        self.own = own

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] in self.own:
            raise DslpError(f"it needs {module}.{name} of this project")
        return super().find_class(module, name)


def fetch_model(project: Project, release: Release) -> Path:
    """The folder of a version's files on this machine, downloaded if need be.

    Raises:
        DslpError: the files cannot be downloaded, or are not the registered ones.
    """
    # The run as well as the number: a registry that was made anew counts from one again.
    parent = project.data / "interim" / "models" / release.name
    folder = parent / f"{release.version}-{(release.run or 'unknown')[:8]}"
    files = release.tags.get(FILES, "")
    if _is_whole(folder, files):
        return folder
    import mlflow.artifacts

    try:
        with written_aside(folder) as part:
            part.mkdir()
            address = f"models:/{release.name}/{release.version}"
            mlflow.artifacts.download_artifacts(address, dst_path=str(part))
            if not (part / "MLmodel").is_file():
                raise DslpError("there is no MLmodel in it")
            check_files(part, files)
    except Exception as error:  # whatever MLflow, storage or the disk raises
        if _is_whole(folder, files):  # another process was faster
            return folder
        name, reason = f"{release.name} {release.label}", error_line(error)
        raise DslpError(f"{name} cannot be downloaded: {reason}") from error
    return folder


def _is_whole(folder: Path, files: str) -> bool:
    """Whether the version is on this machine as it was registered, without a file more."""
    return folder.is_dir() and (not files or files_digest(folder) == files)


def fetch_in_use(project: Project, name: str, roles: Sequence[str]) -> dict[str, Any]:
    """The version of each role with the folder of its files, or with an error; None if vacant.

    Raises:
        DslpError: the registry cannot be read.
    """
    require_records(project, f"uv run dslp model train {name}")
    registry, in_use = Registry.read(project, name), dict[str, Any]()
    for role in roles:
        release = in_use[role] = registry.in_role(role)
        if release is None:
            continue
        facts = {"version": release.version, "semantic": release.semantic, "run": release.run}
        try:
            folder = str(fetch_model(project, release))
            in_use[role] = facts | {"folder": folder, "files": release.tags.get(FILES, "")}
        except DslpError as error:  # of one role; the other one is served all the same
            in_use[role] = facts | {"error": str(error)}
    return in_use


def models_in_use(project: Project, name: str, roles: Sequence[str]) -> dict[str, Any]:
    """`fetch_in_use` in a process of its own, so that a server does not need MLflow's memory.

    Raises:
        DslpError: the registry cannot be read.
    """
    command = [sys.executable, "-m", "dslp", "model", "current", name, *roles]
    options: Any = {"capture_output": True, "text": True, "timeout": PATIENCE}
    try:
        done = subprocess.run(command, cwd=project.root, **options)
        if done.returncode == 0:
            return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        reason = (lines or ["error: it printed no error"])[-1].removeprefix("error: ")
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        reason = f"the registry cannot be read: {error_line(error)}"
    raise DslpError(reason)


def registry_state(project: Project, name: str) -> Callable[[], object]:
    """A function that returns the state of the registry, which differs after a promotion.

    Of local tracking it is the time of the last change, which does not need MLflow; of a server,
    the numbers of champion and challenger. The function raises OSError or DslpError if the registry
    cannot be read.
    """
    if file := local_database(project):
        return lambda: file.stat().st_mtime_ns
    return lambda: current_versions(project, name)
