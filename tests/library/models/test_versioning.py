"""Semantic versions of models: proposed from what changed, and none smaller is taken."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from dslp.core.errors import Refused
from dslp.core.semver import next_version, parse_version
from dslp.models.versioning import PARTS, TAG, choose_version, part_tags, propose_version
from hypothesis import given
from hypothesis import strategies as st

from tests.library.models.conftest import refused
from tests.library.toy import Toy

NUMBERS = st.tuples(*[st.integers(0, 999_999)] * 3)
CONTENT = st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=4).map(json.dumps)
FACTS = st.fixed_dictionaries({TAG + part: CONTENT for part in PARTS})


def text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def proposed(toy: Toy, change: Callable[[], object]) -> tuple[str, str]:
    """The level and the reasons of a change of the project."""
    before = part_tags(toy.model, "linear")
    change()
    proposal = propose_version("1.2.3", before, part_tags(toy.model, "linear"))
    return proposal.level, "; ".join(proposal.reasons)


# File, text and what takes its place; the level, and a part of the reason.
METHOD = "    def half(self):\n        return 1\n\n    visits:"
TUNED = "{fit_intercept: true, tol: 1e-3}"
CASES = [
    ("schema.py", "    kind:", "    day: str\n    kind:", "major", "input day is new"),
    ("schema.py", "amount: f", "price: f", "major", "input amount is gone; input price"),
    ("schema.py", "amount: float", "amount: float | None", "major", "input amount changed"),
    ("schema.py", '"office"]', '"office", "ship"]', "major", "input kind changed"),
    ("schema.py", "visits: float", "visits: int", "major", "output visits changed"),
    ("params.yml", "target: visits", "target: amount", "major", "target name changed: visits"),
    ("schema.yml", "key: [id]", "key: [id, person]", "major", "population key changed: id"),
    ("schema.yml", "key:", "population: All.\nkey:", "major", "population population in schema"),
    ("schema.py", "    visits:", METHOD, "minor", "code schema.py changed"),
    ("features.py", '["amount"]', '["amount", "kind"]', "minor", "code features.py changed"),
    ("params.yml", "intercept: true", "intercept: false", "minor", "fit_intercept changed: True"),
    ("params.yml", "{fit_intercept: true}", TUNED, "minor", "parameter settings.tol is new"),
    ("both", "1.2.0", "1.3.0", "patch", "it was trained again"),
    ("both", "1.2.0", "2.0.0", "major", "major version of the dataset changed: 1 before, now 2"),
    ("both", "1.2.0", "0.1.0", "major", "major version of the dataset changed: 1 before, now 0.1"),
    ("params.yml", "seed: 1", "seed: 2", "patch", "it was trained again"),
    ("evaluate.py", '"bias": float', '"more": 1.0, "bias": float', "patch", "it was trained"),
    ("train.py", "    regressors =", "\n    # why\n    regressors  =", "patch", "it was trained"),
    ("schema.py", '"""What is asked', '"""All that is asked', "patch", "it was trained again"),
]


@pytest.mark.rule("M6")
def test_what_changed_asks_for_a_level(toy: Toy) -> None:
    for file, old, new, level, reason in CASES:
        paths = [(toy.dataset if file == "schema.yml" else toy.model_folder) / file]
        if file == "both":  # the version of the dataset; before 1.0.0 its second number counts
            paths = [toy.model_folder / "params.yml", toy.dataset / "datasheet.md"]

        def change(paths: list[Path] = paths, old: str = old, new: str = new) -> None:
            for path in paths:
                toy.edit(path, old, new)

        before = [path.read_text() for path in paths]
        proposal, reasons = proposed(toy, change)
        assert (proposal, reason in reasons) == (level, True), (file, new, reasons)
        for path, text in zip(paths, before, strict=True):
            path.write_text(text)


def test_what_models_share_is_code_and_what_others_own_is_not(toy: Toy) -> None:
    def put(place: str, text: str) -> None:
        (toy.source / place).parent.mkdir(parents=True, exist_ok=True)
        (toy.source / place).write_text(text)

    for place in ("features/lines.py", "models/frequency/parts/more.py"):
        put(place, "ONE = 1")
        before = toy.model.code_digest
        level, reasons = proposed(toy, lambda place=place: put(place, "ONE = 2"))  # type: ignore[misc]
        assert (level, toy.model.code_digest != before) == ("minor", True)
        assert place.removeprefix("models/frequency/") in reasons
    before = toy.model.code_digest
    for place in ("models/other/deep/train.py", "datasets/visits/pipeline.py"):
        assert proposed(toy, lambda place=place: put(place, "ONE = 3"))[0] == "patch"  # type: ignore[misc]
    assert toy.model.code_digest == before


@pytest.mark.rule("M6")
def test_the_version_is_proposed_and_a_smaller_one_refused(trained: Toy) -> None:
    output = trained.done("model", "register").out
    assert "frequency 1.0.0 (version 1) is registered, as the challenger" in output
    trained.done("model", "train", "--candidate", "linear")
    output = trained.done("model", "register").out
    assert "frequency 1.0.1 (version 2) is registered" in output
    assert "patch: it was trained again" in output
    trained.edit(trained.model_folder / "schema.py", '    kind: Literal["home", "office"]', "")
    trained.done("model", "train", "--candidate", "linear")
    before = trained.registry()
    for wish in ("1.9.0", "1.0.1"):
        error = f"{wish} is too small after 1.0.1: it takes 2.0.0 at least (major: input kind is "
        refused(trained, "register", "--version", wish, code=1, error=error)
    assert trained.registry() == before
    trained.done("model", "register", "--version", "3.0.0")
    tags = trained.registry()["tags"]
    assert [tags[version]["dslp.version"] for version in "123"] == ["1.0.0", "1.0.1", "3.0.0"]


@given(NUMBERS, FACTS, FACTS, NUMBERS)
def test_a_proposal_is_the_next_version_of_its_level_and_the_least_that_is_taken(
    last: tuple[int, int, int], before: dict[str, str], now: dict[str, str], wish: tuple[int, ...]
) -> None:
    different = [p for p in PARTS if json.loads(before[TAG + p]) != json.loads(now[TAG + p])]
    changed = {PARTS[part][0] for part in different}
    proposal = propose_version(text(last), before, now)
    assert proposal.level == next((one for one in ("major", "minor") if one in changed), "patch")
    assert parse_version(proposal.version) == next_version(last, proposal.level) > last
    assert proposal.reasons
    assert choose_version(None, text(last), proposal) == proposal.version
    if wish >= parse_version(proposal.version):
        assert choose_version(text(wish), text(last), proposal) == text(wish)
    else:
        with pytest.raises(Refused, match="too small"):
            choose_version(text(wish), text(last), proposal)


def test_a_part_too_long_for_a_tag_still_counts(toy: Toy) -> None:
    many = "\n".join(f"    column_{number}: float = 0.0" for number in range(400))
    toy.edit(toy.model_folder / "schema.py", "    amount: float", f"    amount: float\n{many}")
    assert max(map(len, part_tags(toy.model, "linear").values())) < 5000
    schema = toy.model_folder / "schema.py"
    level, reasons = proposed(toy, lambda: toy.edit(schema, "column_7: float", "column_7: int"))
    assert (level, reasons) == ("major", "inputs changed")
