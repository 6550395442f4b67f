"""A run is reproduced in the environment of its lock, when the project has another one by then."""

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.project.whole import Project

pytestmark = [pytest.mark.campaign, pytest.mark.only("defaults")]

NEWEST = """
from mlflow import MlflowClient
client = MlflowClient("sqlite:///mlruns/mlflow.db")
experiment = client.get_experiment_by_name("claim_frequency")
print(client.search_runs([experiment.experiment_id])[0].info.run_id)
"""


def wheel(folder: Path, version: str, factor: float) -> str:
    """A package with one number, and another one in its next version."""
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
    project.succeed(f"git clone --quiet {project.path} {tmp_path / 'clone'}")
    clone = replace(project, path=tmp_path / "clone", done={})
    vendor = clone.path / "vendor"
    clone.succeed(f"uv add --quiet {wheel(vendor, '1.0', 1.0)}")
    (evaluate,) = clone.path.glob("src/*/models/claim_frequency/evaluate.py")
    text = evaluate.read_text(encoding="utf-8")
    text = text.replace("import numpy", "import scale\nimport numpy")
    evaluate.write_text(text.replace("visits.mean())", "visits.mean()) * scale.FACTOR"))
    clone.commit("The bias is scaled")
    clone.succeed("uv run dslp data build claims")
    clone.succeed("uv run dslp experiment run --candidate baseline --issue 7")
    run = clone.succeed("uv run python -W ignore -c", NEWEST).split()[-1]

    clone.succeed(f"uv add --quiet {wheel(vendor, '2.0', 2.0)}")
    (vendor / "scale-1.0-py3-none-any.whl").unlink()
    clone.commit("A new scale")
    assert "2.0" in clone.succeed("uv run python -c", "import scale; print(scale.FACTOR)")
    printed = clone.succeed(f"uv run dslp experiment reproduce {run}")
    assert re.search(rf"equal: \d+ metrics of run {run} came out again", printed), printed
    assert "environment is not that of the run" not in printed
