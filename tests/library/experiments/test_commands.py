"""Errors in arguments come before anything is read, and before MLflow is imported."""

import json
import shutil
import subprocess
import sys

from tests.library.toy import Toy

HEAVY = "mlflow", "great_expectations", "pandas", "sklearn", "matplotlib"
# Runs the commands of a JSON list in one process; prints what they said, then what was imported.
COMMANDS = f"""
import json, sys
from dslp.cli import main

for arguments in json.loads(sys.argv.pop()):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        print(end.code, file=sys.stderr)
print(*sorted(set(sys.modules) & set({HEAVY})))
"""
REFUSED = {
    "experiment run nosuch": "has no model 'nosuch'; known are frequency, severity",
    "experiment run frequenzy": "do you mean frequency? Known are frequency, severity",
    "experiment run frequency --candidate linaer": "mean linear? Known are baseline, linear",
    "experiment compare": "say which model: frequency, severity",
    "experiment compare frequency": "first: uv run dslp experiment run frequency",
    "experiment compare frequency --issue 9": "first: uv run dslp experiment run frequency",
    "experiment sweep frequency": "has no sweep; write, for example, sweep: {candidate: linear",
    "experiment reproduce ffffffff": "no run is recorded",
    "experiment run severity": "severity/params.yml: dataset.name: ",
}


def test_errors_in_arguments_come_before_anything_is_read(toy: Toy) -> None:
    other = shutil.copytree(toy.model_folder, toy.model_folder.with_name("severity"))
    toy.edit(other / "params.yml", "name: visits", "name: visit")
    commands = json.dumps([command.split() for command in REFUSED])
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, commands], cwd=toy.root, capture_output=True, text=True
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    for (command, problem), error in zip(REFUSED.items(), errors, strict=True):
        assert problem in error, command
    assert done.stderr.splitlines()[1::2] == ["2"] * len(REFUSED)
    assert done.stdout.split() == [], "imported before the arguments were checked"
    assert not (toy.root / "data").exists()
    assert not (toy.root / "mlruns").exists()
