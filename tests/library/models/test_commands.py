"""Mistakes in arguments are found before anything is read, and results are JSON for scripts."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.library.models.test_monitor import month
from tests.library.toy import Toy

OUTPUT = ["--output", "out.parquet"]
MISTAKES = [
    (["train", "frequenzy"], "; do you mean frequency? Known are frequency"),
    (["train", "--candidate", "linaer"], "; do you mean linear? Known are baseline, linear"),
    (["promote", "frequenzy"], "; do you mean frequency? Known are frequency"),
    (["register", "--version", "1.2"], "'1.2' is no version; write three numbers, such as 1.2.0"),
    (["rollback", "--to", "last"], "'last' is no version; write three numbers"),
    (["history", "frequenzy"], "; do you mean frequency? Known are frequency"),
    (["score", "--input", "vists", *OUTPUT], "vists is no dataset of the project, and no file"),
    (["score", "--input", "vists", *OUTPUT], "do you mean visits? Known are visits"),
    (["score", "--input", "visits", "--output", "no/out.parquet"], "there is no folder "),
    (["monitor", "--data", "vists"], "and no .parquet or .csv file; do you mean visits?"),
    (["monitor", "--truth", "truth.csv"], "--truth: truth.csv is missing"),
    (["serve", "--host", "256.0.0.1"], "nothing can listen at 256.0.0.1:8000"),
]
RUN = """
import json, sys
from dslp.cli import main

for arguments in json.loads(sys.argv[1]):
    sys.argv = ["dslp", "model", *arguments]
    try:
        main()
    except SystemExit as end:
        assert end.code == 2, end.code
assert not {"mlflow", "great_expectations", "sklearn"} & set(sys.modules), "imported for nothing"
"""


@pytest.mark.slow
def test_a_mistake_in_the_arguments_is_found_before_anything_is_read(toy: Toy) -> None:
    """Neither data nor a tracking database are there to be read."""
    commands = json.dumps([arguments for arguments, _ in MISTAKES])
    done = subprocess.run(
        [sys.executable, "-c", RUN, commands], cwd=toy.root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for line, (_, message) in zip(done.stderr.splitlines(), MISTAKES, strict=True):
        assert line.startswith("error: ")
        assert message in line
    assert not (toy.root / "mlruns").exists()


def test_gates_and_signals_are_printed_as_json_and_nothing_else(champion: Toy) -> None:
    def printed(code: int, *arguments: str) -> dict[str, dict[str, Any]]:
        """The gates or signals by name, once the findings are seen to be those that fail."""
        outcome = champion.run("model", *arguments, "--json")
        assert outcome.code == code
        content = json.loads(outcome.out)
        (result,) = content["results"]
        assert (content["ok"], result["subject"]) == (code == 0, "frequency 1.0.0 (version 1)")
        details = result["details"].get("gates") or result["details"]["signals"]
        entries = {each.get("gate") or each["subject"]: each for each in details}
        failed = [
            name for name, each in entries.items() if each.get("moved", not each.get("passed"))
        ]
        assert [finding["subject"] or finding["rule"] for finding in result["findings"]] == failed
        return entries

    assert printed(0, "test")["success criterion"]["limit"] == "+10.0 %"
    (champion.model_folder / "gates.yml").write_text("size: {megabytes: 0.00001}\n")
    assert printed(1, "test")["size"]["passed"] is False
    assert printed(0, "monitor", "--data", str(month(champion)))["kind"]["threshold"] == "0.25"
    moved = printed(1, "monitor", "--data", str(month(champion, amount=9.5)))
    assert moved["amount"]["moved"] is True
