"""One version is the champion: the challenger that passed its gates, and nobody else."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from dslp.tracking import registry
from dslp.tracking.history import Entry, next_time, read_entries, roles_after
from hypothesis import given
from hypothesis import strategies as st

from tests.library.toy import Toy


def history(toy: Toy) -> list[str]:
    """The audit trail as it is shown, newest first."""
    lines = toy.done("model", "history").out.splitlines()
    return [" ".join(line.split()) for line in lines[lines.index("") + 1 :]]


def champions(toy: Toy, count: int) -> None:
    """Make so many versions champion, one after the other."""
    for _ in range(count):
        toy.train_and_register()
        toy.done("model", "promote")


@pytest.mark.rule("M7")
def test_the_challenger_becomes_champion_with_who_when_why_and_issue(trained: Toy) -> None:
    trained.done("model", "register")
    assert trained.roles() == {"1": "challenger"}
    outcome = trained.done(
        *("model", "promote", "--why", "the board's “yes” [bold]", "--issue", "31"),
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0="user.name",
        GIT_CONFIG_VALUE_0="ada",
        GITHUB_ACTOR="",
    )
    assert "success criterion" in outcome.out
    assert "frequency 1.0.0 (version 1) is the champion" in outcome.out
    assert trained.roles() == {"1": "champion"}
    promoted, registered = history(trained)
    assert f"{datetime.now(UTC):%Y-%m-%d} " in promoted
    assert promoted.endswith("UTC promote 1.0.0 ada: the board's “yes” [bold] (#31)")
    assert "UTC register 1.0.0 " in registered


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
    assert "against 1.0.0 (version 1)" in outcome.out
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
    assert outcome.error.endswith("(version 2) stays the challenger: against 1.0.0 (version 1)")
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
    assert "no challenger; 1.0.0 (version 1) is the champion" in outcome.error


@pytest.mark.rule("M7")
def test_a_rollback_takes_one_command_and_keeps_the_history(trained: Toy) -> None:
    champions(trained, 3)
    trained.train_and_register()
    before = set(history(trained))
    outcome = trained.done("model", "rollback", "--why", "visits halved", "--issue", "8")
    assert (
        "frequency 1.0.1 (version 2) is the champion again, after 1.0.2 (version 3)" in outcome.out
    )
    current = {"2": "champion", "3": "taken back", "4": "challenger"}
    assert trained.roles() == {"1": "former champion"} | current
    assert before < set(history(trained))
    assert history(trained)[0].endswith("visits halved (#8)")
    trained.done("model", "rollback")
    assert trained.roles()["1"] == "champion"
    assert "no former champion to go back to" in trained.run("model", "rollback").error
    trained.done("model", "rollback", "--to", "1.0.2")
    assert trained.roles() == {
        "1": "former champion",
        "2": "taken back",
        "3": "champion",
        "4": "challenger",
    }
    trained.done("model", "promote")
    trained.done("model", "rollback")
    assert trained.roles()["3"] == "champion"


@pytest.mark.rule("M7")
@pytest.mark.parametrize("harm", ["deleted", "corrupt", "no params"])
def test_the_way_back_is_open_whatever_became_of_the_champion(trained: Toy, harm: str) -> None:
    champions(trained, 2)
    if harm == "no params":
        (trained.model_folder / "params.yml").write_text("{")
        (trained.model_folder / "schema.py").unlink()
    for file in (trained.root / "mlruns" / "artifacts").rglob("*"):
        if file.is_file() and harm == "deleted":
            file.unlink()
        elif file.is_file() and harm == "corrupt":
            file.write_bytes(b"\0")
    trained.done("model", "rollback")
    assert trained.roles() == {"1": "champion", "2": "taken back"}


def test_a_rollback_that_leads_nowhere_is_refused_and_changes_nothing(trained: Toy) -> None:
    assert "frequency has no champion" in trained.run("model", "rollback").error
    assert "frequency was never registered" in trained.done("model", "history").out
    champions(trained, 1)
    trained.train_and_register()
    before = trained.registry()
    for arguments, code, said in (
        ([], 2, "no former champion to go back to; 1.0.0 (version 1) stays the champion"),
        (["--to", "1"], 1, "1.0.0 (version 1) is the champion already"),
        (["--to", "2"], 1, "1.0.1 (version 2) was never the champion"),
        (["--to", "7"], 2, "no version 7; there are: 1.0.1 (version 2), 1.0.0 (version 1)"),
    ):
        outcome = trained.run("model", "rollback", *arguments)
        assert outcome.code == code
        assert said in outcome.error
    assert trained.registry() == before


@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_promotion_that_was_interrupted_has_happened_or_not(
    trained: Toy, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its entry it never was; after it, the next command puts the rest right."""
    from mlflow import MlflowClient

    champions(trained, 1)
    trained.train_and_register()
    writes = (
        "set_model_version_tag",
        "set_registered_model_alias",
        "delete_registered_model_alias",
    )
    done: list[str] = []

    def killed(name: str) -> Callable[..., None]:
        original = getattr(MlflowClient, name)

        def write(*arguments: object) -> None:
            if len(done) == step:
                raise KeyboardInterrupt
            done.append(str(arguments[-2]))
            original(*arguments)

        return write

    with monkeypatch.context() as patched:
        for name in writes:
            patched.setattr(MlflowClient, name, killed(name))
        trained.run("model", "promote")
    assert len(done) == step
    current = registry.versions_in_use("frequency", trained.project)
    champion = current["champion"]
    assert champion is not None
    promoted = any(written.startswith("dslp.audit.") for written in done)
    assert champion.version == ("2" if promoted else "1")
    assert (current["challenger"] is None) == promoted
    trained.run("model", "promote")
    assert trained.roles() == {"1": "former champion", "2": "champion"}


@pytest.mark.rule("M7")
def test_two_promotions_at_once_leave_one_champion(
    trained: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is begun while the first judges: the first sees it and steps back."""
    from dslp.models import release

    trained.done("model", "register")
    judge = vars(release)["check_gates"]

    def slowly(*arguments: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(release, "check_gates", judge)
            trained.done("model", "promote", "--why", "second")
        return judge(*arguments)

    monkeypatch.setattr(release, "check_gates", slowly)
    outcome = trained.run("model", "promote", "--why", "first")
    assert outcome.code == 1
    assert "by somebody else meanwhile; nothing was changed" in outcome.error
    assert trained.roles() == {"1": "champion"}
    assert history(trained)[0].endswith("second")


def test_what_tags_and_aliases_say_is_put_right(trained: Toy) -> None:
    """The audit trail is the truth: nobody becomes champion by a tag or an alias."""
    champions(trained, 1)
    trained.train_and_register()
    trained.client.set_model_version_tag("frequency", "2", "dslp.role", "champion")
    trained.client.set_registered_model_alias("frequency", "champion", "2")
    trained.client.set_model_version_tag("frequency", "2", "dslp.audit.x", "{no entry")
    current = registry.versions_in_use("frequency", trained.project)
    champion, challenger = current["champion"], current["challenger"]
    assert champion is not None
    assert challenger is not None
    assert (champion.version, champion.semantic) == ("1", "1.0.0")
    assert (challenger.version, challenger.uri) == ("2", "models:/frequency/2")
    trained.run("model", "rollback")
    assert trained.roles() == {"1": "champion", "2": "challenger"}


def test_files_that_were_changed_after_they_were_registered_are_not_loaded(trained: Toy) -> None:
    trained.done("model", "register")
    (file,) = (trained.root / "mlruns" / "artifacts").rglob("MLmodel")
    before = file.read_text()
    file.write_text(
        before.replace("skops_trusted_types:", "skops_trusted_types:\n      - os.system")
    )
    assert file.read_text() != before
    for command in (["promote"], ["score", "--input", "visits", "--output", "out.parquet"]):
        outcome = trained.run("model", *command)
        assert outcome.code == 2
        assert "is not what was registered" in outcome.error
    file.write_text(before)
    trained.done("model", "promote")


def test_a_search_that_gives_no_tags_is_completed_version_by_version(
    trained: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Unity Catalog answers."""
    from mlflow import MlflowClient
    from mlflow.entities.model_registry.model_version_search import ModelVersionSearch

    trained.done("model", "register")
    search = MlflowClient.search_model_versions

    def bare(*arguments: Any) -> list[Any]:
        return [
            ModelVersionSearch(one.name, one.version, one.creation_timestamp)
            for one in search(*arguments)
        ]

    monkeypatch.setattr(MlflowClient, "search_model_versions", bare)
    trained.done("model", "promote")
    champion = registry.versions_in_use("frequency", trained.project)["champion"]
    assert champion is not None
    assert champion.semantic == "1.0.0"


def test_files_that_are_gone_are_the_trouble_of_their_role_alone(trained: Toy) -> None:
    from dslp.models.model_files import models_in_use

    prefix: Any = {"DSLP_REGISTRY_PREFIX": "main.pricing"}
    trained.done("model", "register", **prefix)
    trained.done("model", "promote", **prefix)
    trained.done("model", "train", "--candidate", "linear")
    trained.done("model", "register", **prefix)
    (run,) = {one.run_id for one in trained.client.search_model_versions() if one.version == 2}
    shutil.rmtree(trained.root / "mlruns" / "artifacts" / "frequency" / run)
    os.environ.update(prefix)
    found = models_in_use(trained.project, "frequency", ["champion", "challenger"])
    assert found["champion"]["semantic"] == "1.0.0"
    assert "main.pricing.frequency" in found["champion"]["folder"]
    assert "cannot be brought here" in found["challenger"]["error"]
    assert list(models_in_use(trained.project, "frequency", ["champion"])) == ["champion"]


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["register", "promote", "rollback"]), st.integers(1, 5)), max_size=12
)


@given(ACTIONS)
def test_roles_follow_from_the_trail_whatever_was_done(actions: list[tuple[Any, int]]) -> None:
    """Never two champions, none lost, and a rollback's default is a former champion."""
    trail = [
        Entry(f"20240101T000000.{number:06}", str(version), action)
        for number, (action, version) in enumerate(actions)
    ]
    tags = [(entry.version, entry.tag()) for entry in trail]
    assert read_entries(reversed(tags)) == trail
    now = roles_after(trail)
    crowned = [entry.version for entry in trail if entry.action != "register"]
    assert now.champion == (crowned[-1] if crowned else None)
    assert {*now.champions, *now.taken_back} == set(crowned)
    assert not set(now.champions) & now.taken_back
    assert now.former is None or now.former in crowned
    roles = [now.role(version) for version in {entry.version for entry in trail}]
    assert roles.count("champion") == bool(crowned)
    assert roles.count("challenger") <= 1


@pytest.mark.rule("M7")
def test_what_was_done_with_a_version_outlives_it(trained: Toy) -> None:
    champions(trained, 1)
    trained.train_and_register()
    before = history(trained)
    trained.client.delete_model_version("frequency", "2")
    assert [line.replace("2 (deleted)", "1.0.1") for line in history(trained)] == before
    assert registry.versions_in_use("frequency", trained.project)["challenger"] is None


def test_an_entry_of_an_unknown_kind_is_no_promotion() -> None:
    unknown: Any = "archive"
    entry = Entry("20240101T000000.000001", "1", unknown)
    assert read_entries([("1", entry.tag())]) == []


def test_a_clock_that_is_behind_does_not_lose_an_entry() -> None:
    ahead = [Entry("29990101T000000.999999", "1", "promote")]
    assert next_time(ahead) == "29990101T000001.000000"
