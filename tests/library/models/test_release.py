"""What a merge has changed is released: each model on its own, and then the package."""

import shutil
from pathlib import Path

import pytest

from tests.library.toy import Toy


@pytest.mark.slow
@pytest.mark.rule("M8")
def test_a_model_that_cannot_be_released_stops_no_other(tracked: Toy, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    command = ("model", "release", str(folder), "--since")
    assert "no model has changed" in tracked.done(*command, "HEAD", "--issue", "3").out
    assert not folder.exists()
    broken = tracked.model_folder.with_name("aborted")
    shutil.copytree(tracked.model_folder, broken)
    tracked.edit(broken / "params.yml", "target: visits", "aim: visits")
    tracked.commit()
    outcome = tracked.run(*command, "0" * 40)
    assert outcome.code == 2
    assert "aborted" in outcome.error
    assert "frequency 1.0.0 (version 1) is registered" in outcome.out
    assert {path.name for path in folder.iterdir()} == {"frequency", "frequency.md"}
