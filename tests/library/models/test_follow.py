"""The server of a model follows what is promoted and rolled back, wherever the registry is."""

import os
from pathlib import Path
from typing import Any

import pytest
from dslp.models.api import Api
from dslp.models.live_model import Serving
from dslp.models.model_files import registry_state
from dslp.models.serving_metrics import Metrics

from tests.library.models.server import serving, until
from tests.library.toy import Toy


@pytest.mark.slow
@pytest.mark.rule("M7")
@pytest.mark.xdist_group("mlflow-server")
@pytest.mark.parametrize("account", ["", "me:s3cr%2Ft@"])
def test_promotions_and_rollbacks_at_a_server_are_followed(
    built: Toy, server: str, tmp_path: Path, account: str
) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = server.replace("//", f"//{account}")
    os.environ["DSLP_REGISTRY_PREFIX"] = built.package
    os.environ["DSLP_EXPERIMENT_PREFIX"] = built.package
    built.commit()
    built.train_and_register()
    built.done("model", "promote")
    with serving(built, tmp_path / "log") as running:
        assert running.champion() == "1"
        built.train_and_register()
        built.done("model", "promote")
        until(lambda: running.champion() == "2")
        built.done("model", "rollback")
        until(lambda: running.champion() == "1")
        look = registry_state(built.project, "frequency")
        assert look is not None
        assert look() == look(), "it is asked only when something was done"
        assert running.metric("dslp_registry_up") == 1
        assert "does not answer" not in running.errors.read_text()
        assert "s3cr" not in running.errors.read_text()


def test_where_a_look_fails_the_registry_is_asked_now_and_then(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def look() -> bytes:
        raise ValueError("nonnumeric port: 's3cret@host'")

    asked: list[int] = []

    def in_use(*_: Any) -> dict[str, Any]:
        asked.append(1)
        return {}

    monkeypatch.setattr("dslp.models.live_model.models_in_use", in_use)
    serving = Serving.__new__(Serving)
    serving.api = Api(toy.model)
    serving.metrics, serving.look, serving.roles = Metrics(), look, ("champion",)
    serving.seen, serving.failed, serving.again = b"a", "", float("inf")
    for _ in range(3):
        serving._turn()
    assert len(asked) == 1, "once it fails, and then not at every look"
    serving.again = 0
    serving._turn()
    assert len(asked) == 2
    assert b"dslp_registry_up 1.0" in serving.metrics.text()
    assert "ValueError" in str([one.__dict__ for one in caplog.records])
    assert "s3cret" not in str([one.__dict__ for one in caplog.records])
