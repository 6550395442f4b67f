"""The card of a model says what is recorded of it, and nothing else."""

import json
import re
import shutil
from html import unescape

import pytest
from markdown import Markdown  # type: ignore[import-untyped]
from openapi_core import OpenAPI

from tests.library.toy import Toy

HOSTILE = "<script>alert(1)</script> [x](javascript:y) `a` | *b* ${{ c }}"


def card(toy: Toy, *arguments: str) -> str:
    toy.done("model", "card", *arguments)
    return (toy.root / "docs" / "models" / "frequency.md").read_text(encoding="utf-8")


@pytest.fixture
def champion(trained: Toy) -> Toy:
    """A toy project with a champion that was measured, and a challenger."""
    trained.edit(trained.dataset / "datasheet.md", "It is made up.", f'"{HOSTILE}"')
    trained.done("model", "train", "--candidate", "linear")
    trained.done("model", "register", "--issue", "31")
    trained.done("model", "promote", "--why", HOSTILE, "--issue", "31")
    trained.done("model", "profile")
    trained.train_and_register()
    return trained


@pytest.mark.rule("M11")
def test_the_card_is_made_from_the_record_alone(champion: Toy) -> None:
    page = card(champion)
    shutil.rmtree(champion.root / "data")  # neither rows, nor code, nor settings are asked
    shutil.rmtree(champion.dataset)
    for file in ("params.yml", "schema.py", "evaluate.py", "gates.yml"):
        (champion.model_folder / file).write_text("")
    assert card(champion) == page
    told = re.sub(r"<[^>]+>|\s+", " ", page)
    for words in (
        "version  1.0.0 (version 1), champion",
        "predicts  visits",
        "asked for by  Ask &#35;7 ",
        "question  How many visits?",
        "visits 1.2.0",
        "against the baseline (lower is better); the Ask wants +10.0%",
        "absolute_error",
        "success criterion",
        "one row, median, ms",
        "1.0.1  2  challenger  linear",
        "promote  1.0.0",
        "#31",
        "observed on average",
        "commit",
        "pandas==",
    ):
        assert words in told, words
    body = re.search(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)
    assert body
    assert set(json.loads(unescape(body[1]))) == {"amount", "kind"}
    pictures = champion.root / "docs" / "models" / "frequency"
    assert sorted(file.name for file in pictures.iterdir()) == ["calibration.svg", "history.svg"]
    assert champion.git("rev-parse", "HEAD") in page


@pytest.mark.rule("M11")
def test_nothing_in_it_is_markup_of_somebody_s(champion: Toy) -> None:
    shown = Markdown().convert(card(champion))
    assert "<script" not in shown
    assert re.findall(r'<a href="([^"]+)', shown) == ["frequency-openapi.json"]
    assert unescape(shown).count(HOSTILE) == 2


@pytest.mark.rule("M2")
def test_beside_the_card_is_the_api_of_the_version_for_machines(trained: Toy) -> None:
    schema = trained.model_folder / "schema.py"
    before = schema.read_text()
    trained.edit(schema, "amount: float", 'amount: float | None = Field(None, description="$ | x")')
    trained.edit(schema, "import BaseModel", "import BaseModel, Field")
    trained.train_and_register()
    schema.write_text(before)
    card(trained)
    document = trained.root / "docs" / "models" / "frequency-openapi.json"
    content = json.loads(document.read_text(encoding="utf-8"))
    OpenAPI.from_dict(content)
    request = content["components"]["schemas"]["Request"]
    assert request["properties"]["amount"]["description"] == "$ | x"
    assert request["required"] == ["kind"]


def test_the_card_of_another_version_is_asked_for_by_its_number(champion: Toy) -> None:
    assert "1.0.1 (version 2), challenger" in card(champion, "--version", "1.0.1")
    assert "They were not run yet" in card(champion, "--version", "1.0.1")


def test_a_version_from_before_there_were_records_has_a_card_too(champion: Toy) -> None:
    for file in champion.root.rglob("record.json"):
        file.unlink()
    page = card(champion)
    assert "Ask &#35;7" in page
    assert "success criterion" in page


def test_a_model_that_was_never_registered_has_none(tracked: Toy) -> None:
    outcome = tracked.run("model", "card")
    assert outcome.code == 2
    assert "first: uv run dslp model register frequency" in outcome.error
