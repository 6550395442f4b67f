"""One version is the champion: the challenger that passed its gates, and nobody else."""

import pytest

from tests.lifecycle.toy import Toy


def test_the_challenger_becomes_champion_with_who_when_and_why(trained: Toy) -> None:
    trained.done("model", "register")
    assert trained.roles() == {"1": "challenger"}
    outcome = trained.done(
        "model",
        "promote",
        "--why",
        "the board's “yes”",
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0="user.name",
        GIT_CONFIG_VALUE_0="ada",
    )
    assert "success criterion" in outcome.out
    assert "frequency version 1 is the champion" in outcome.out
    assert trained.roles() == {"1": "champion"}
    tags = trained.registry()["tags"]["1"]
    assert tags["lifecycle.promoted_by"] == "ada"
    assert tags["lifecycle.promoted_why"] == "the board's “yes”"
    assert tags["lifecycle.promoted_at"].endswith("+00:00")


@pytest.mark.parametrize("champion", [False, True])
def test_a_gate_that_is_not_passed_changes_nothing(trained: Toy, champion: bool) -> None:
    trained.train_and_register()
    if champion:
        trained.done("model", "promote")
        trained.train_and_register()
    trained.edit(trained.model_folder / "params.yml", "improvement: 0.1", "improvement: 0.9")
    before = trained.registry()
    outcome = trained.run("model", "promote", "--why", "please")
    assert outcome.code == 1
    assert outcome.error.endswith("stays the challenger: success criterion")
    assert "failed" in outcome.out
    assert trained.registry() == before


def test_the_second_version_is_compared_with_the_champion(trained: Toy) -> None:
    trained.train_and_register()
    trained.done("model", "promote")
    trained.train_and_register()
    assert trained.roles() == {"1": "champion", "2": "challenger"}
    outcome = trained.done("model", "promote")
    assert "against version 1" in outcome.out
    assert "+0.0%" in outcome.out
    assert trained.roles() == {"1": "former champion", "2": "champion"}


def test_a_challenger_that_is_worse_than_the_champion_stays_challenger(trained: Toy) -> None:
    trained.train_and_register()
    trained.done("model", "promote")
    trained.edit(trained.model_folder / "gates.yml", "criterion: true", "criterion: false")
    trained.done("model", "train", "--candidate", "baseline")
    trained.done("model", "register")
    outcome = trained.run("model", "promote")
    assert outcome.code == 1
    assert outcome.error.endswith("version 2 stays the challenger: against version 1")
    assert trained.roles() == {"1": "champion", "2": "challenger"}
    trained.edit(trained.model_folder / "gates.yml", "margin: 0.0", "margin: 9.0")
    trained.done("model", "promote")
    assert trained.roles() == {"1": "former champion", "2": "champion"}


def test_a_new_challenger_supersedes_the_former_one(trained: Toy) -> None:
    trained.train_and_register()
    trained.train_and_register()
    assert trained.roles() == {"1": "superseded", "2": "challenger"}


def test_a_champion_alone_cannot_be_promoted_again(trained: Toy) -> None:
    trained.train_and_register()
    trained.done("model", "promote")
    outcome = trained.run("model", "promote")
    assert outcome.code == 2
    assert "no challenger; version 1 is the champion" in outcome.error


@pytest.mark.parametrize(
    ("gates", "problem"),
    [
        ("", "must hold a mapping"),
        ("criterion: maybe\n", "criterion: Input should be a valid boolean"),
        ("champion: {margin: -1}\n", "champion.margin"),
        ("champion: {margn: 1}\n", "champion.margn: Extra inputs"),
        ("speed: 3\n", "speed: Extra inputs"),
    ],
)
def test_gates_that_are_none_are_refused(trained: Toy, gates: str, problem: str) -> None:
    trained.done("model", "register")
    (trained.model_folder / "gates.yml").write_text(gates)
    outcome = trained.run("model", "promote")
    assert outcome.code == 2
    assert "gates.yml" in outcome.error
    assert problem in outcome.error
    assert trained.roles() == {"1": "challenger"}
