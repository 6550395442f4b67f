"""The card of a model says what is recorded of it, and nothing else."""

import json
import re
import shutil
from html import unescape

import pytest
from markdown import Markdown
from openapi_core import OpenAPI

from tests.library.models.conftest import refused
from tests.library.toy import Toy

pytestmark = pytest.mark.slow

HOSTILE = "<script>alert(1)</script> [x](javascript:y) `a` | *b* ${{ c }}"


def card(toy: Toy, *arguments: str) -> str:
    toy.done("model", "card", *arguments)
    return (toy.root / "docs" / "models" / "frequency.md").read_text(encoding="utf-8")


@pytest.mark.rule("M11")
def test_the_card_is_made_from_the_record_alone(trained: Toy) -> None:
    trained.edit(
        trained.dataset / "datasheet.md", "They are made up.", f'"{HOSTILE}"\n  - It is made up.'
    )
    trained.done("model", "train", "--candidate", "linear")
    trained.done("model", "register", "--issue", "31")
    trained.done("model", "promote", "--why", HOSTILE, "--issue", "31")
    trained.client.set_model_version_tag("frequency", "1", "dslp.performance.p50_ms", "2")
    trained.train_and_register()
    page, folder = card(trained), trained.root / "docs" / "models"
    challenger = card(trained, "--version", "1.0.1")
    printed = trained.done("model", "card").out
    assert "texts on it that nobody has written yet: It is made up.; write" in printed
    assert "1.0.1 (version 2), challenger" in challenger
    assert "not measured yet" in challenger
    shutil.rmtree(trained.root / "data")  # neither rows, nor code, nor settings are needed
    shutil.rmtree(trained.dataset)
    for file in ("params.yml", "schema.py", "evaluate.py", "gates.yml"):
        (trained.model_folder / file).write_text("")
    assert card(trained) == page
    text = re.sub(r"<[^>]+>|\s+", " ", page)
    for words in (
        "version  1.0.0 (version 1), champion",
        "predicts  visits",
        "Ask  &#35;7 ",
        "question  How many visits?",
        "visits 1.2.0",
        "absolute_error (lower is better) improves on the baseline by",
        "success criterion",
        "one row, median, ms",
        "1.0.1  2  challenger  linear",
        "promote  1.0.0",
        "#31",
        "observed on average",
        "pandas==",
        trained.git("rev-parse", "HEAD"),
    ):
        assert words in text, words
    body = re.search(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)
    assert body
    assert set(json.loads(unescape(body[1]))) == {"amount", "kind"}
    OpenAPI.from_dict(json.loads((folder / "frequency-openapi.json").read_text()))
    pictures = folder / "frequency"
    names = sorted(file.stem for file in pictures.iterdir())
    assert names == ["calibration", "history", "residuals"]
    shown = Markdown().convert(page)
    assert "<script" not in shown
    assert re.findall(r'<a href="([^"]+)', shown) == ["frequency-openapi.json"]
    assert unescape(shown).count(HOSTILE) == 2


def test_a_model_that_was_never_registered_has_none(trained: Toy) -> None:
    assert "first: uv run dslp model register frequency" in refused(trained, "card").error
