"""One version is the champion: the challenger that passed its gates, and nobody else."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from dslp.tracking import registry
from dslp.tracking.history import Entry, read_entries, roles_after
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from tests.library.models.conftest import refused
from tests.library.toy import Toy

pytestmark = pytest.mark.slow


def history(toy: Toy) -> list[str]:
    """The audit trail as it is shown, newest first."""
    lines = toy.done("model", "history").out.splitlines()
    return [" ".join(line.split()) for line in lines[lines.index("") + 1 :]]


def succeed(toy: Toy, count: int = 1) -> None:
    """Make so many more versions champion, one after the other."""
    for _ in range(count):
        toy.train_and_register()
        toy.done("model", "promote")


@pytest.mark.rule("M7")
def test_the_challenger_becomes_champion_with_who_when_why_and_issue(trained: Toy) -> None:
    assert "first: uv run dslp model register" in trained.run("model", "promote").error
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


def test_a_challenger_that_is_worse_than_the_champion_stays_challenger(champion: Toy) -> None:
    gates = champion.model_folder / "gates.yml"
    champion.edit(gates, "criterion: true", "criterion: false")
    champion.done("model", "train", "--candidate", "baseline")
    champion.done("model", "register")
    outcome = refused(champion, "promote", code=1)
    assert outcome.error.endswith("(version 2) stays the challenger: against 1.0.0 (version 1)")
    assert champion.roles() == {"1": "champion", "2": "challenger"}
    champion.train_and_register()
    assert champion.roles() == {"1": "champion", "2": "superseded", "3": "challenger"}
    champion.edit(gates, "margin: 0.0", "margin: 9.0")
    champion.done("model", "promote")
    assert champion.roles() == {"1": "former champion", "2": "superseded", "3": "champion"}
    error = "(version 3) is the champion; first: uv run dslp model register"
    refused(champion, "promote", error=error)


@pytest.mark.rule("M7")
def test_a_rollback_takes_one_command_and_keeps_the_history(champion: Toy) -> None:
    succeed(champion, 2)
    champion.train_and_register()
    before = set(history(champion))
    outcome = champion.done("model", "rollback", "--why", "visits halved", "--issue", "8")
    assert "1.0.1 (version 2) is the champion again, after 1.0.2 (version 3)" in outcome.out
    roles = {"1": "former champion", "2": "champion", "3": "taken back", "4": "challenger"}
    assert champion.roles() == roles
    assert before < set(history(champion))
    assert history(champion)[0].endswith("visits halved (#8)")
    champion.done("model", "rollback")
    assert champion.roles()["1"] == "champion"
    champion.done("model", "rollback", "--to", "1.0.2")
    assert champion.roles() == roles | {"2": "taken back", "3": "champion"}


@pytest.mark.rule("M7")
@pytest.mark.parametrize("harm", ["deleted", "corrupt", "no params"])
def test_the_way_back_is_open_whatever_became_of_the_champion(champion: Toy, harm: str) -> None:
    succeed(champion)
    if harm == "no params":
        (champion.model_folder / "params.yml").write_text("{")
        (champion.model_folder / "schema.py").unlink()
    for file in (champion.root / "mlruns" / "artifacts").rglob("*"):
        if file.is_file() and harm == "deleted":
            file.unlink()
        elif file.is_file() and harm == "corrupt":
            file.write_bytes(b"\0")
    champion.done("model", "rollback")
    assert champion.roles() == {"1": "champion", "2": "taken back"}


def test_a_rollback_that_leads_nowhere_is_refused_and_changes_nothing(champion: Toy) -> None:
    champion.train_and_register()
    before = champion.registry()
    for arguments, code, reason in (
        ([], 2, "no former champion to go back to; 1.0.0 (version 1) stays the champion"),
        (["--to", "1"], 1, "1.0.0 (version 1) is the champion already"),
        (["--to", "2"], 1, "1.0.1 (version 2) was never the champion"),
    ):
        refused(champion, "rollback", *arguments, code=code, error=reason)
    assert champion.registry() == before
    champion.client.delete_registered_model("frequency")
    assert "frequency has no champion" in champion.run("model", "rollback").error


WRITES = ("set_model_version_tag", "set_registered_model_alias", "delete_registered_model_alias")


@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_promotion_that_was_interrupted_has_happened_or_not(
    champion: Toy, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its entry it never was; after it, the next command puts the rest right."""
    champion.train_and_register()
    written: list[str] = []

    def killed(name: str) -> Callable[..., None]:
        original = getattr(MlflowClient, name)

        def write(*arguments: object) -> None:
            if len(written) == step:
                raise KeyboardInterrupt
            written.append(str(arguments[-2]))
            original(*arguments)

        return write

    with monkeypatch.context() as patched:
        for name in WRITES:
            patched.setattr(MlflowClient, name, killed(name))
        champion.run("model", "promote")
    assert len(written) == step
    current = registry.versions_in_use("frequency", champion.project)
    promoted = any(name.startswith("dslp.audit.") for name in written)
    assert current["champion"]
    assert current["champion"].version == ("2" if promoted else "1")
    assert (current["challenger"] is None) == promoted
    champion.run("model", "promote")
    assert champion.roles() == {"1": "former champion", "2": "champion"}


@pytest.mark.rule("M7")
def test_two_promotions_at_once_leave_one_champion(
    trained: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins while the first tests: the first sees it and steps back."""
    from dslp.models import release

    trained.done("model", "register")
    check_gates = vars(release)["check_gates"]

    def slowly(*arguments: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(release, "check_gates", check_gates)
            trained.done("model", "promote", "--why", "second")
        return check_gates(*arguments)

    monkeypatch.setattr(release, "check_gates", slowly)
    error = "somebody else has registered or promoted a version of frequency meanwhile"
    refused(trained, "promote", "--why", "first", code=1, error=error)
    assert trained.roles() == {"1": "champion"}
    assert history(trained)[0].endswith("second")


def test_files_that_were_changed_after_they_were_registered_are_not_loaded(trained: Toy) -> None:
    trained.done("model", "register")
    (file,) = (trained.root / "mlruns" / "artifacts").rglob("MLmodel")
    before = file.read_text()
    trained.edit(file, "skops_trusted_types:", "skops_trusted_types:\n      - os.system")
    for command in (["promote"], ["score", "--input", "visits", "--output", "out.parquet"]):
        refused(trained, *command, error="is not what was registered")
    file.write_text(before)
    trained.done("model", "promote")


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
    roles = roles_after(trail)
    crowned = [entry.version for entry in trail if entry.action != "register"]
    assert roles.champion == (crowned[-1] if crowned else None)
    assert {*roles.champions, *roles.taken_back} == set(crowned)
    assert not set(roles.champions) & roles.taken_back
    assert roles.former is None or roles.former in crowned
    held = [roles.role(version) for version in {entry.version for entry in trail}]
    assert held.count("champion") == bool(crowned)
    assert held.count("challenger") <= 1


@pytest.mark.rule("M7")
def test_what_was_done_with_a_version_outlives_it(champion: Toy) -> None:
    champion.train_and_register()
    before = history(champion)
    champion.client.delete_model_version("frequency", "2")
    assert [line.replace("2 (deleted)", "1.0.1") for line in history(champion)] == before
    assert registry.versions_in_use("frequency", champion.project)["challenger"] is None
