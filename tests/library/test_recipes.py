"""The recipes on the site work as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.library.conftest import begin_tracking
from tests.library.toy import Toy

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
BUILD = """def build(raw):
    raw["text"] = [f"{n}: it is {'broken' if n % 3 else 'fine'}" for n in raw["id"]]
    return raw[["id", "text"]].assign(complaint=raw["id"] % 3 > 0)
"""
COLUMNS = "key: [id]\ncolumns: {id: {type: int64}, text: {type: string}, complaint: {type: bool}}\n"


@pytest.mark.slow
def test_a_prompt_is_a_model_and_its_answers_are_reviewed(toy: Toy, empty_store: Path) -> None:
    blocks = re.findall(r'^```\w+ title="(.+?)"\n(.*?)^```', PAGE.read_text(), re.M | re.S)
    pipeline = (toy.dataset / "pipeline.py").read_text().partition("def build")[0]
    toy.dataset.rename(toy.dataset.with_name("messages"))
    toy.model_folder.rename(toy.model_folder.with_name("complaints"))
    for title, text in blocks:
        path = toy.root / title.replace("shop", toy.package)
        path.write_text(text.replace("shop", toy.package))
    folder = toy.source / "datasets" / "messages"
    for name, text in (("pipeline.py", pipeline + BUILD), ("schema.yml", COLUMNS)):
        (folder / name).write_text(text)
    toy.edit(folder / "datasheet.md", "1.2.0", "1.0.0")
    suite = folder / "suite.yml"
    suite.write_text(suite.read_text().partition("  - type: expect_column_values_to_be_between")[0])
    toy.done("data", "build")
    begin_tracking(toy, empty_store)
    assert re.search(r"^plain +1 ", toy.done("experiment", "run").out, re.M)
    toy.done("model", "train")
    toy.done("model", "register")
    assert "is the champion" in toy.done("model", "promote").out
    command, env = [sys.executable, "review_prompts.py"], {**os.environ, "PYTHONPATH": "src"}
    done = subprocess.run(command, cwd=toy.root, env=env, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["plain 1.0"], done.stderr
