"""A run is made again in the environment of its lock, when the project has another by then."""

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.project.whole import Project

pytestmark = [pytest.mark.slow, pytest.mark.only("defaults")]


def wheel(folder: Path, version: str, factor: float) -> str:
    """A package of one number, whose next version has another one."""
    about = f"scale-{version}.dist-info"
    files = {
        "scale.py": f"FACTOR = {factor}\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: scale\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    path = folder / f"scale-{version}-py3-none-any.whl"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return f"./{path.relative_to(folder.parent)}"


@pytest.mark.rule("E6", "V1")
def test_a_run_comes_out_again_in_its_own_environment(project: Project, tmp_path: Path) -> None:
    project.succeed("git", "clone", "--quiet", str(project.path), str(tmp_path / "clone"))
    clone = replace(project, path=tmp_path / "clone")
    vendor = clone.path / "vendor"
    clone.succeed("uv", "add", "--quiet", wheel(vendor, "1.0", 1.0))
    (evaluate,) = clone.path.glob("src/*/models/claim_frequency/evaluate.py")
    text = evaluate.read_text(encoding="utf-8")
    text = text.replace("import numpy", "import scale\nimport numpy")
    evaluate.write_text(text.replace("visits.mean())", "visits.mean()) * scale.FACTOR"))
    commit(clone, "The bias is scaled")
    clone.dslp("data", "build", "claims")
    said = clone.dslp("experiment", "run", "--candidate", "baseline", "--issue", "7")
    assert "baseline" in said
    run = newest(clone)

    clone.succeed("uv", "add", "--quiet", wheel(vendor, "2.0", 2.0))
    (vendor / "scale-1.0-py3-none-any.whl").unlink()
    commit(clone, "A new scale")
    assert "2.0" in clone.succeed("uv", "run", "python", "-c", "import scale; print(scale.FACTOR)")
    said = clone.dslp("experiment", "reproduce", run)
    assert re.search(rf"equal: \d+ metrics of run {run} came out again", said), said
    assert "environment is not that of the run" not in said


def commit(project: Project, message: str) -> None:
    project.succeed("git", "add", "--all")
    project.succeed("git", "commit", "--quiet", "--no-verify", "--message", message)


def newest(project: Project) -> str:
    """The run that was recorded last."""
    code = (
        "from mlflow import MlflowClient\n"
        "client = MlflowClient('sqlite:///mlruns/mlflow.db')\n"
        "(one,) = [e for e in client.search_experiments() if e.name == 'claim_frequency']\n"
        "print(client.search_runs([one.experiment_id])[0].info.run_id)"
    )
    return project.succeed("uv", "run", "python", "-W", "ignore", "-c", code).split()[-1]
