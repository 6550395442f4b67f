"""A tiny project of a few hundred rows, and the tool run in it as a person runs it."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from dslp.cli import main
from dslp.core.report import Report
from dslp.core.settings import Project
from dslp.data.dataset import Dataset
from dslp.data.verdict import check_suite
from dslp.experiments.model import Model, find_model
from dslp.tracking.registry import ROLES, Registry
from mlflow import MlflowClient

FILES = Path(__file__).parent / "toy_project"
# Variables of the person who tests, which tests do not see.
NEUTRAL = re.compile("CI|GITHUB_(ACTIONS|STEP_SUMMARY)|DSLP_.*|MLFLOW_TRACKING_URI|SPARK_MASTER")


@dataclass(frozen=True)
class Outcome:
    """What a command said, and the exit code that it said it with."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what is wrong."""
        assert "Traceback" not in self.out + self.err, self.err
        lines = self.err.splitlines()
        (error,) = [line for line in lines if line.startswith("error: ")]
        assert lines[-1] == error, f"something follows the error:\n{self.err}"
        return error


@dataclass(frozen=True)
class Toy:
    """A project with the dataset `visits` and the model `frequency`."""

    root: Path
    package: str

    @property
    def source(self) -> Path:
        """The project's own package."""
        return self.root / "src" / self.package

    @property
    def dataset(self) -> Path:
        """The folder of the dataset."""
        return self.source / "datasets" / "visits"

    @property
    def model_folder(self) -> Path:
        """The folder of the model."""
        return self.source / "models" / "frequency"

    def copy(self, folder: Path) -> "Toy":
        """A copy of the project; its first command corrects the addresses of artifacts."""
        return Toy(Path(shutil.copytree(self.root, folder)), self.package)

    def pipeline(self, code: str, name: str = "visits") -> None:
        """Give a dataset this pipeline, and make its folder if there is none."""
        folder = self.dataset.with_name(name)
        if not folder.exists():
            shutil.copytree(self.dataset, folder)
        (folder / "pipeline.py").write_text(f"import pandas as pd\n\n\n{code}\n")

    @property
    def processed(self) -> Path:
        """The dataset as it was built."""
        return self.root / "data" / "processed" / "visits.parquet"

    def run(self, *arguments: str, cwd: Path | None = None, **variables: str) -> Outcome:
        """Run `dslp` with these arguments in this process, which nothing of it outlives."""
        self.forget()
        before, path, argv = dict(os.environ), list(sys.path), sys.argv
        out, err = io.StringIO(), io.StringIO()
        os.environ.update(variables)
        sys.argv = ["dslp", *arguments]
        try:
            with (
                contextlib.chdir(cwd or self.root),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                main()
            code: object = 0
        except SystemExit as end:
            code = end.code or 0
        finally:
            restore(before)
            sys.path[:], sys.argv = path, argv
        assert isinstance(code, int), code
        return Outcome(code, out.getvalue(), err.getvalue())

    def shell(self, *arguments: str, **variables: str) -> Outcome:
        """Run `dslp` in a process of its own."""
        command, env = [sys.executable, "-m", "dslp", *arguments], os.environ | variables
        options: dict[str, Any] = {"capture_output": True, "encoding": "utf-8"}
        done = subprocess.run(command, cwd=self.root, env=env, check=False, **options)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def done(self, *arguments: str, cwd: Path | None = None, **variables: str) -> Outcome:
        """Run a command that is to succeed."""
        outcome = self.run(*arguments, cwd=cwd, **variables)
        assert outcome.code == 0, outcome.err
        return outcome

    def forget(self) -> None:
        """Let the next import read the project's modules as they are by then."""
        for name in [name for name in sys.modules if name.split(".")[0] == self.package]:
            del sys.modules[name]
        for cache in list(self.source.rglob("__pycache__")):  # as old as the source, to the second
            shutil.rmtree(cache)

    def edit(self, file: Path, old: str, new: str) -> None:
        """Change a file of the project."""
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {file}"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def git(self, *arguments: str) -> str:
        """What git says."""
        command = ["git", "-C", str(self.root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, message: str = "state") -> str:
        """Commit everything, in a new repository if there is none."""
        if not (self.root / ".git").exists():
            self.git("init", "--quiet", "--initial-branch", "main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def train_and_register(self) -> None:
        """Make one more version, the challenger."""
        self.done("model", "train", "--candidate", "linear")
        self.done("model", "register")

    @property
    def client(self) -> MlflowClient:
        """MLflow's own view of what was recorded."""
        store = f"sqlite:///{self.root / 'mlruns' / 'mlflow.db'}"
        return MlflowClient(store, store)  # MLflow keeps for a process what the last command set

    def registry(self) -> dict[str, Any]:
        """All that MLflow has of the model."""
        found = self.client.search_model_versions("name = 'frequency'")
        if not found:
            return {"aliases": {}, "tags": {}, "changes": {}}
        model = self.client.get_registered_model("frequency")
        aliases = {role: str(version) for role, version in model.aliases.items()}
        tags = {str(one.version): one.tags for one in found}
        return {"aliases": aliases, "tags": tags, "changes": model.tags}

    def roles(self) -> dict[str, str]:
        """The role of each version, once the aliases are seen to agree."""
        releases = Registry.read(self.project, "frequency").releases
        roles = {release.version: release.role for release in reversed(releases)}
        current = {role: v for v, role in roles.items() if role in ROLES}
        assert self.registry()["aliases"] == current
        return roles

    @property
    def project(self) -> Project:
        """The project as the tool sees it."""
        return Project.find(self.root)

    @property
    def model(self) -> Model:
        """The model as the tool sees it."""
        self.forget()
        return find_model(self.project)

    def with_rows(self, rows: pd.DataFrame, name: str = "visits") -> None:
        """Put these rows in place of the built ones."""
        rows.to_parquet(self.processed.with_name(f"{name}.parquet"), index=False)

    def rows(self) -> pd.DataFrame:
        """The built rows."""
        return pd.read_parquet(self.processed)

    def validated(self, engine: str | None = None, **project: Any) -> Report:
        """The report about the dataset."""
        return check_suite(Dataset(replace(self.project, **project), "visits"), engine)


def restore(environment: Mapping[str, str]) -> None:
    """Make the environment variables what they were."""
    os.environ.clear()
    os.environ.update(environment)
