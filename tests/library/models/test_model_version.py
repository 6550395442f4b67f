"""Semantic versions of models: proposed from what changed, and none smaller is taken."""

import contextlib
import json
import textwrap
from collections.abc import Callable

import pytest
from dslp.core.errors import DslpError, Refused
from dslp.core.semver import next_version, parse_version
from dslp.models.versioning import PARTS, TAG, choose_version, part_tags, propose_version
from dslp.tracking.provenance import code_digest
from hypothesis import given
from hypothesis import strategies as st

from tests.library.toy import Toy

NUMBERS = st.tuples(*[st.integers(0, 999_999)] * 3)
CONTENT = st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=4).map(json.dumps)
FACTS = st.fixed_dictionaries({TAG + part: CONTENT for part in PARTS})


def text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def proposed(toy: Toy, change: Callable[[], None], candidate: str = "linear") -> tuple[str, str]:
    """The level and the reasons of a change of the project."""
    before = part_tags(toy.model, "linear")
    change()
    found = propose_version("1.2.3", before, part_tags(toy.model, candidate))
    return found.level, "; ".join(found.reasons)


Change = tuple[str, str, str]
CASES: list[tuple[list[Change], str, str]] = [
    ([("schema.py", "    kind:", "    day: str\n    kind:")], "major", "input day is new"),
    (
        [("schema.py", "amount: float", "price: float")],
        "major",
        "input amount is gone; input price",
    ),
    ([("schema.py", "amount: float", "amount: float | None")], "major", "input amount changed"),
    ([("schema.py", '"office"]', '"office", "ship"]')], "major", "input kind changed"),
    ([("schema.py", "visits: float", "visits: int")], "major", "output visits changed"),
    ([("params.yml", "target: visits", "target: amount")], "major", "target name changed: visits"),
    (
        [("schema.yml", "key: [id]", "key: [id]\npopulation: Everyone.")],
        "major",
        "population population in schema.yml changed",
    ),
    (
        [("params.yml", "version: 1.2.0", "version: 2.0.0"), ("datasheet.md", "1.2.0", "2.0.0")],
        "major",
        "population major version of the dataset changed: 1 before, now 2",
    ),
    (
        [("schema.yml", "key: [id]", "key: [id, person]")],
        "major",
        "population key changed: id before, now id, person",
    ),
    (
        [("schema.py", "    visits:", "    def half(self):\n        return 1\n\n    visits:")],
        "minor",
        "code schema.py changed",
    ),
    ([("features.py", '["amount"]', '["amount", "kind"]')], "minor", "code features.py changed"),
    ([("train.py", "LinearRegression}", "LinearRegression, 'a': 1}")], "minor", "code train.py"),
    (
        [("params.yml", "{fit_intercept: true}", "{fit_intercept: false}")],
        "minor",
        "parameter settings.fit_intercept changed: True before, now False",
    ),
    (
        [("params.yml", "{fit_intercept: true}", "{fit_intercept: true, tol: 1e-3}")],
        "minor",
        "parameter settings.tol is new",
    ),
    ([("params.yml", "seed: 1", "seed: 2")], "patch", "it was trained again"),
    ([("params.yml", "improvement: 0.1", "improvement: 0.2")], "patch", "it was trained again"),
    ([("evaluate.py", '"bias": float', '"more": 1.0, "bias": float')], "patch", "it was trained"),
    (
        [("params.yml", "version: 1.2.0", "version: 1.3.0"), ("datasheet.md", "1.2.0", "1.3.0")],
        "patch",
        "it was trained again",
    ),
    (
        [
            ("train.py", "    regressors =", "\n    # why\n    regressors  ="),
            ("train.py", '"""A mean or a line."""', '"""Another text."""'),
            ("schema.py", '"""What is asked', '"""All that is asked'),
        ],
        "patch",
        "it was trained again",
    ),
]


@pytest.mark.rule("M6")
@pytest.mark.parametrize(("changes", "level", "reason"), CASES)
def test_what_changed_asks_for_a_level(
    toy: Toy, changes: list[Change], level: str, reason: str
) -> None:
    def change() -> None:
        for file, old, new in changes:
            here = toy.dataset if file in ("schema.yml", "datasheet.md") else toy.model_folder
            toy.edit(here / file, old, new)

    found, reasons = proposed(toy, change)
    assert found == level
    assert reason in reasons


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


def test_before_1_0_0_the_second_number_of_a_dataset_is_its_meaning(toy: Toy) -> None:
    files = (toy.model_folder / "params.yml", toy.dataset / "datasheet.md")

    def to(old: str, new: str) -> None:
        for file in files:
            toy.edit(file, old, new)

    to("1.2.0", "0.1.0")
    assert proposed(toy, lambda: to("0.1.0", "0.1.1"))[0] == "patch"
    assert proposed(toy, lambda: to("0.1.1", "0.2.0"))[0] == "major"


def test_another_candidate_is_minor_and_another_figure_patch(toy: Toy) -> None:
    assert proposed(toy, lambda: None, "baseline")[0] == "minor"
    params = toy.model_folder / "params.yml"
    toy.edit(params, "{fit_intercept: true}", "{fit_intercept: true, tol: 0.001}")
    level, reasons = proposed(toy, lambda: toy.edit(params, "tol: 0.001", "tol: 1e-4"))
    assert level == "patch"
    assert reasons.startswith("parameter settings.tol changed: 0.001 before, now ")


@pytest.mark.rule("M6")
def test_the_version_is_proposed_and_a_smaller_one_refused(trained: Toy) -> None:
    said = trained.done("model", "register").out
    assert "frequency 1.0.0 (version 1) is registered, as the challenger" in said
    trained.done("model", "train", "--candidate", "linear")
    said = trained.done("model", "register").out
    assert "frequency 1.0.1 (version 2)" in said
    assert "patch: it was trained again" in said
    trained.edit(trained.model_folder / "schema.py", '    kind: Literal["home", "office"]', "")
    trained.done("model", "train", "--candidate", "linear")
    before = trained.registry()
    for wish in ("1.0.2", "1.9.0", "1.0.1", "0.9.0"):
        outcome = trained.run("model", "register", "--version", wish)
        assert outcome.code == 1
        assert f"{wish} is too small after 1.0.1: it takes 2.0.0 at least" in outcome.error
        assert "(major: input kind is gone)" in outcome.error
    assert "three numbers" in trained.run("model", "register", "--version", "2.0").error
    assert trained.registry() == before
    trained.done("model", "register", "--version", "3.0.0")
    tags = trained.registry()["tags"]
    assert [tags[version]["dslp.version"] for version in "123"] == ["1.0.0", "1.0.1", "3.0.0"]


@given(NUMBERS, FACTS, FACTS)
def test_a_proposal_is_the_next_version_of_its_level(
    last: tuple[int, int, int], before: dict[str, str], now: dict[str, str]
) -> None:
    different = [p for p in PARTS if json.loads(before[TAG + p]) != json.loads(now[TAG + p])]
    changed = {PARTS[part][0] for part in different}
    found = propose_version(text(last), before, now)
    largest = next((level for level in ("major", "minor") if level in changed), "patch")
    assert found.level == largest
    assert parse_version(found.version) == next_version(last, found.level) > last
    assert found.reasons


@given(NUMBERS, st.sampled_from(["major", "minor", "patch"]), NUMBERS)
def test_a_wish_is_taken_if_it_is_large_enough(
    last: tuple[int, int, int], level: str, wish: tuple[int, int, int]
) -> None:
    part = next(name for name, (of, _) in PARTS.items() if of == level)
    found = propose_version(text(last), {TAG + part: '{"a": "1"}'}, {TAG + part: '{"a": "2"}'})
    assert choose_version(None, text(last), found) == found.version
    if wish >= parse_version(found.version):
        assert choose_version(text(wish), text(last), found) == text(wish)
    else:
        with pytest.raises(Refused, match="too small"):
            choose_version(text(wish), text(last), found)


@given(NUMBERS)
def test_levels_are_in_order(last: tuple[int, int, int]) -> None:
    assert (
        last
        < next_version(last, "patch")
        < next_version(last, "minor")
        < next_version(last, "major")
    )


@given(st.text(max_size=12))
def test_only_three_numbers_are_a_version(wish: str) -> None:
    with contextlib.suppress(DslpError):
        assert text(parse_version(wish)) == wish


def test_code_is_what_it_does() -> None:
    one = textwrap.dedent(
        '''
        """A text."""
        def f(a):
            """Another."""
            return a + 1  # a comment
        '''
    )
    same = "def f(a):\n\n    return (a + 1)"
    assert code_digest(one) == code_digest(same)
    assert code_digest(one) != code_digest(same.replace("1", "2"))
    assert code_digest("def f(:") != code_digest("def g(:")


def test_a_part_too_long_for_a_tag_still_counts(toy: Toy) -> None:
    many = "\n".join(f"    column_{number}: float = 0.0" for number in range(400))
    toy.edit(toy.model_folder / "schema.py", "    amount: float", f"    amount: float\n{many}")
    assert max(map(len, part_tags(toy.model, "linear").values())) < 5000
    schema = toy.model_folder / "schema.py"
    level, reasons = proposed(toy, lambda: toy.edit(schema, "column_7: float", "column_7: int"))
    assert (level, reasons) == ("major", "inputs changed")
