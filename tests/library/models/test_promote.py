"""One version is the champion: the challenger that passed its gates, and nobody else."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from dslp.tracking.history import Change, History, read_changes
from dslp.tracking.registry import Registry
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from tests.library.experiments.conftest import runs
from tests.library.models.conftest import refused
from tests.library.toy import Toy
from tests.workspaces import AzureML, workspace

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
    again = champion.done("model", "rollback").out
    assert "is the champion already; nothing to do\nto go further back: " in again
    assert champion.roles() == roles
    champion.done("model", "rollback", "--to", "1")
    assert champion.roles() == roles | {"1": "champion", "2": "taken back"}
    champion.done("model", "rollback", "--to", "1.0.2")
    assert champion.roles() == roles | {"2": "taken back", "3": "champion"}
    champion.done("model", "rollback")
    assert champion.roles()["1"] == "champion", "what a rollback went forward to can be left again"


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
        (["--to", "2"], 1, "1.0.1 (version 2) was never the champion"),
    ):
        refused(champion, "rollback", *arguments, code=code, error=reason)
    champion.done("model", "rollback", "--to", "1")
    assert champion.registry() == before
    champion.client.delete_registered_model("frequency")
    assert "frequency has no champion" in champion.run("model", "rollback").error


WRITES = [f"set_{w}" for w in ("model_version_tag", "registered_model_tag")] + [
    f"{w}_registered_model_alias" for w in ("set", "delete")
]


def interrupt(toy: Toy, writes: int, *command: str) -> None:
    """Run a command that is killed after so many writes into the registry."""
    written: list[object] = []

    def killed(name: str) -> Callable[..., None]:
        original = getattr(MlflowClient, name)

        def write(*arguments: object) -> None:
            original(*arguments)
            written.append(arguments)
            if len(written) == writes:
                raise KeyboardInterrupt

        return write

    with pytest.MonkeyPatch.context() as patched:
        for name in WRITES:
            patched.setattr(MlflowClient, name, killed(name))
        toy.run("model", *command)
    assert len(written) == writes


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_promotion_that_was_interrupted_has_happened_or_not(champion: Toy, writes: int) -> None:
    """It has once the alias was moved; before, the next promotion is the one that counts."""
    champion.train_and_register()
    interrupt(champion, writes, "promote", "--why", "first")
    promoted = writes == 3
    registry = Registry.read(champion.project, "frequency")
    assert registry.in_role("champion") == registry.release("2" if promoted else "1")
    assert (registry.in_role("challenger") is None) == promoted
    assert ("first [interrupted" in history(champion)[0]) == (writes == 2)
    champion.run("model", "promote")
    roles = [r.role for r in Registry.read(champion.project, "frequency").releases]
    assert roles == ["champion", "former champion"]


@pytest.mark.rule("M7")
@pytest.mark.parametrize("writes", [1, 2])
def test_a_rollback_that_is_run_again_goes_no_further_back(champion: Toy, writes: int) -> None:
    succeed(champion, 2)
    interrupt(champion, writes, "rollback")
    for _ in range(2):
        champion.done("model", "rollback")
        assert champion.roles() == {"1": "former champion", "2": "champion", "3": "taken back"}


@pytest.mark.campaign
@pytest.mark.rule("M5")
def test_a_training_that_is_registered_four_times_at_once_is_one_version(trained: Toy) -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: trained.shell("model", "register"), range(4)))
    assert [outcome.err for outcome in outcomes if outcome.code] == []
    says = sorted("is registered, as the challenger" in outcome.out for outcome in outcomes)
    assert says == [False] * 3 + [True]
    assert sum("(version 1) is this very training" in outcome.out for outcome in outcomes) == 3
    assert trained.roles() == {"1": "challenger"}


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


@given(ACTIONS, st.sampled_from([None, "1", "9"]))
def test_what_a_rollback_returns_to_follows_from_the_history(
    actions: list[tuple[Any, int]], by_hand: str | None
) -> None:
    """It is a version that was the champion, whatever was done, by other programs as well."""
    changes, champion = list[Change](), ""
    for number, (action, version) in enumerate(actions):
        replaced = champion if action != "register" else ""
        time = f"20240101T000000.{number:06}-0"
        changes.append(Change(time, action, str(version), replaced or None))
        champion = str(version) if action != "register" else champion
    tags = dict(change.tag() for change in changes)
    assert read_changes(tags | {"dslp.change.x": "{}", "dslp.change.y": "no"}) == changes
    moves = [change for change in changes if change.action != "register"]
    assert History(changes, champion).completed == moves
    champion = by_hand or champion
    former = History(changes, champion).former
    assert len(former) == len(set(former))
    assert set(former) <= {move.version for move in moves} - {champion}


@pytest.mark.parametrize(
    ("moves", "champion", "completed", "former", "rolled_back"),
    [
        ("1 2>1 3>2", "4", "123", "321", False),  # moved by hand
        ("1 2>1", None, "12", "21", False),  # deleted by hand
        ("1", None, "1", "1", False),
        ("1 2>1 3>1", "3", "13", "1", False),  # 2 was interrupted
        ("1 2>1 3>2 r2>3 4>3", "2", "1232", "1", True),  # both at once: the rollback is the last
    ],
)
def test_a_change_has_happened_where_the_champion_is_another_one_after_it(
    moves: str, champion: str | None, completed: str, former: str, rolled_back: bool
) -> None:
    changes = list[Change]()
    for move in moves.split():
        version, _, replaced = move.removeprefix("r").partition(">")
        action: Any = "rollback" if move.startswith("r") else "promote"
        changes.append(Change("", action, version, replaced or None))
    history = History(changes, champion)
    assert "".join(move.version for move in history.completed) == completed
    assert ("".join(history.former), history.rolled_back) == (former, rolled_back)


@pytest.mark.rule("M7")
def test_what_made_a_champion_outlives_its_version(champion: Toy) -> None:
    succeed(champion)
    before = history(champion)
    champion.client.delete_model_version("frequency", "2")
    after = [line.replace("2 (deleted)", "1.0.1") for line in history(champion)]
    assert [line.partition(" [")[0] for line in after] == [before[0], *before[2:]]
    champion.done("model", "rollback")
    assert champion.roles() == {"1": "champion"}
    champion.client.delete_registered_model_alias("frequency", "champion")
    assert (
        "(version 1) is the champion again" in champion.done("model", "rollback", "--to", "1").out
    )


@pytest.mark.rule("M5")
def test_a_version_that_was_made_by_hand_does_not_take_over_its_training(
    trained: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does another error than an unknown request let the server seem to have no aliases."""
    client = trained.client
    client.create_registered_model("frequency")
    (run,) = runs(trained, "training")
    client.create_model_version("frequency", f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_tag("frequency", "dslp.alias.challenger", "1")
    trained.done("model", "history")
    trained.done("model", "register")
    assert "dslp.alias.challenger" not in client.get_registered_model("frequency").tags

    def forbidden(*_: object) -> None:
        raise MlflowException("not you", error_code=PERMISSION_DENIED)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", forbidden)
    refused(trained, "promote", error="not you")
    assert trained.roles() == {"1": "superseded", "2": "challenger"}


def test_a_model_that_was_never_registered_has_no_history(toy: Toy) -> None:
    refused(toy, "history", error="frequency was never registered; first: uv run dslp model reg")


@pytest.mark.rule("G3", "M7")
@pytest.mark.xdist_group("mlflow-server")
def test_a_server_without_aliases_keeps_them_in_tags(built: Toy, server: str) -> None:
    """As Azure Machine Learning, here without its own package."""
    with workspace(AzureML, server) as azure:
        address = f"http://127.0.0.1:{azure.server_port}{AzureML.SCOPE}"
        os.environ |= {"MLFLOW_TRACKING_URI": address, "MLFLOW_TRACKING_TOKEN": "a-token"}
        os.environ |= dict.fromkeys(("DSLP_REGISTRY_PREFIX", "DSLP_EXPERIMENT_PREFIX"), "azure")
        built.commit()
        built.train_and_register()
        built.done("model", "promote")
        succeed(built)
        built.done("model", "rollback")
        releases = Registry.read(built.project, "frequency").releases
    assert [release.role for release in releases] == ["taken back", "champion"]
    model = MlflowClient(server, server).get_registered_model("azure.frequency")
    assert (model.tags["dslp.alias.champion"], model.aliases) == ("1", {})
