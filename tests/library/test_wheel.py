"""The wheel holds the library alone, and each extra brings what its commands need, from nothing."""

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.metadata import Metadata

from tests import services
from tests.library.models.server import serving
from tests.library.toy import Toy
from tests.template_copy import ROOT, git

UV = str(Path(sys.executable).with_name("uv"))


def run(*command: str, cwd: Path = ROOT, **variables: str) -> str:
    """What a command says; it must end well."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Environment:
    """A Python environment of its own, in which nothing is at first."""

    python: str
    files: Path

    def install(self, *extras: str) -> None:
        """Install the wheel with these extras, and what they need as uv.lock has it."""
        named = f"dslp[{','.join(extras)}] @ {next(self.files.glob('*.whl')).as_uri()}"
        constraints = ("--constraints", str(self.files / "constraints.txt"))
        run(UV, "pip", "install", "--quiet", "--python", self.python, *constraints, named)

    def has(self, *modules: str) -> list[str]:
        """Those of the modules that can be imported."""
        code = "import sys, importlib.util as u; print(*filter(u.find_spec, sys.argv[1:]))"
        return run(self.python, "-c", code, *modules).split()


@pytest.fixture(scope="module")
def built_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `uv build` makes: an sdist, and the wheel from it."""
    folder = tmp_path_factory.mktemp("built")
    run(UV, "build", "--quiet", "--out-dir", str(folder))
    return folder


@pytest.fixture
def environment(built_files: Path, tmp_path: Path) -> Environment:
    """An environment in which nothing is installed yet."""
    options = ("--quiet", "--frozen", "--no-hashes", "--no-emit-project", "--extra", "databricks")
    run(UV, "export", *options, "--output-file", str(built_files / "constraints.txt"))
    folder = tmp_path / "environment"
    run(UV, "venv", "--quiet", "--python", os.path.realpath(sys.executable), str(folder))
    return Environment(str(folder / "bin" / "python"), built_files)


def content(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel."""
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}


def test_the_wheel_holds_the_library_alone(built_files: Path, tmp_path: Path) -> None:
    (wheel,) = built_files.glob("*.whl")
    files = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "src", cwd=ROOT)
    source = {name.removeprefix("src/") for name in files.split("\0") if (ROOT / name).is_file()}
    metadata = {name for name in content(wheel) if name.partition("/")[0].endswith(".dist-info")}
    assert content(wheel).keys() - metadata == source
    (text,) = (value for name, value in content(wheel).items() if name.endswith("fo/METADATA"))
    described = Metadata.from_email(text)  # refuses what an index refuses
    assert wheel.name == f"dslp-{described.version}-py3-none-any.whl"
    assert described.description_content_type == "text/markdown"
    (sdist,) = built_files.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = ["LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "pyproject.toml.orig", "src"]
    assert {name.partition("/")[0] for name in names} - {""} <= set(expected)
    run(UV, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path))
    assert content(next(tmp_path.glob("*.whl"))) == content(wheel)


@pytest.mark.campaign
def test_each_stage_brings_what_its_commands_need_and_no_more(
    environment: Environment, toy: Toy
) -> None:
    """From nothing to a champion: each extra holds the one before it."""
    toy.commit()
    stages = {
        (): ("check-files pyproject.toml",),
        ("data",): ("data build", "data validate"),
        ("experiments",): ("experiment run",),
        ("models",): ("model train --candidate linear", "model register", "model promote"),
        ("cluster", "databricks", "spark", "sql"): ("model history",),
    }
    brought = ["great_expectations", "mlflow", "distributed", "pyspark", "psycopg"]
    for (extras, commands), count in zip(stages.items(), (0, 1, 2, 2, 5), strict=True):
        environment.install(*extras)
        assert environment.has(*brought) == brought[:count]
        for command in commands:
            run(environment.python, "-m", "dslp", *command.split(), cwd=toy.root)


@pytest.mark.campaign
def test_an_image_that_serves_has_no_room_for_what_trains(
    environment: Environment, built: Toy, tmp_path: Path
) -> None:
    environment.install("serving")
    assert environment.has("duckdb", "great_expectations", "pyspark", "flask") == []
    built.edit(built.root / "pyproject.toml", '"local"', '"server"')
    built.commit()
    with services.mlflow(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}") as address:
        os.environ["MLFLOW_TRACKING_URI"] = address
        built.train_and_register()
        built.done("model", "promote")
        with serving(built, tmp_path / "predictions", python=environment.python) as server:
            assert server.ask("/health").status == 200
            answer = server.ask("/predict", {"amount": 1.0, "kind": "home"})
            assert answer.status == 200, answer
