"""A served model answers by its schema, splits its traffic, and follows the registry."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from dslp.models.api import Api
from dslp.models.prediction_log import Answered, Log
from dslp.models.predictor import Loaded, Problem
from dslp.models.request_body import read_records
from openapi_spec_validator import validate

from tests.library.models.server import Server, load, release, serving, until
from tests.library.toy import Toy

RECORD = {"amount": 3.5, "kind": "home"}


@pytest.fixture(scope="module")
def released(data: Path, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A toy project with a champion, version 1, and a challenger, version 2."""
    toy = release(tmp_path_factory.mktemp("released") / "toy", data, empty_store)
    toy.train_and_register()
    return toy


@pytest.fixture(scope="module")
def server(released: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a champion, and a challenger for half of the requests."""
    with serving(released, tmp_path_factory.mktemp("served") / "log", "--share", "0.5") as running:
        yield running


@pytest.mark.slow
@pytest.mark.rule("M2")
def test_a_record_is_answered_by_the_schema_with_the_version_that_answered(server: Server) -> None:
    answer = server.ask("/predict", RECORD, X_Request_ID="visit-1")
    assert answer.status == 200
    assert list(answer.json) == ["visits"]
    assert answer.headers["x-request-id"] == "visit-1"
    assert answer.headers["x-model-version"] in ("1", "2")
    several = server.ask("/predict", [RECORD, {**RECORD, "amount": 9}])
    assert len(several.json) == 2
    assert several.json[0] == answer.json != several.json[1]
    assert len(several.headers["x-request-id"]) == 32


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"amount": 1}', ["kind"]),
        (b'{"amount": "much", "kind": "home"}', ["amount"]),
        (b'{"amount": NaN, "kind": "home"}', ["amount"]),
        (b'{"amount": 1e999, "kind": "home"}', ["amount"]),
        (b'{"amount": 1, "kind": "elsewhere"}', ["kind"]),
        (b'[{"amount": 1, "kind": "home"}, {"amount": 2}]', [1, "kind"]),
        (b"[]", []),
        (b"", []),
        (b"no JSON", []),
        (b'"text"', []),
        (b"[" * 100_000, []),
        (b'{"amount":' * 10_000, []),
    ],
)
def test_a_body_that_the_schema_does_not_allow_is_told_by_field(
    server: Server, body: bytes, field: list[object]
) -> None:
    answer = server.ask("/predict", body)
    assert answer.status == 422
    assert ["body", *field] in [problem["loc"] for problem in answer.json["detail"]]


@pytest.mark.slow
def test_what_is_too_much_or_no_json_is_turned_away(server: Server) -> None:
    assert server.ask("/predict", [RECORD] * 1001).status == 413
    assert server.ask("/predict", b"[" + b"1," * 400_000 + b"1]").status == 413
    assert server.ask("/predict", b" " * 1_000_001).status == 413
    assert server.ask("/predict", b"{}", Content_Type="text/plain").status == 415
    assert server.ask("/predict").status == 405
    assert server.ask("/elsewhere", RECORD).status == 404
    connection = server.connection()  # no length is said, and no end comes
    connection.putrequest("POST", "/predict")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.putheader("Content-Type", "application/json")
    connection.endheaders()
    for _ in range(11):
        connection.send(b"186a0\r\n" + b" " * 100_000 + b"\r\n")
    assert connection.getresponse().status == 413
    connection.close()
    assert server.ask("/predict", RECORD).status == 200


@pytest.mark.slow
@pytest.mark.rule("M12")
def test_a_key_is_answered_by_the_same_model_each_time(server: Server) -> None:
    roles = {}
    for number in range(60):
        key = f"customer {number}"
        asked = [server.ask("/predict", RECORD, X_Split_Key=key) for _ in range(2)]
        (roles[key],) = {answer.headers["x-model-role"] for answer in asked}
    assert min(Counter(roles.values()).values()) > 15


@pytest.mark.slow
@pytest.mark.rule("M9")
def test_each_prediction_is_logged_with_what_it_was_made_from(server: Server) -> None:
    answer = server.ask("/predict", [RECORD, RECORD], X_Request_ID="logged ✓".encode().decode("l1"))
    named = answer.headers["x-request-id"]
    until(lambda: any(line["request_id"] == named for line in server.logged()))
    lines = [line for line in server.logged() if line["request_id"] == named]
    assert [line["row"] for line in lines] == [0, 1]
    line = lines[0]
    assert line["inputs"] == RECORD
    assert line["prediction"] == answer.json[0]
    assert line["version"] == answer.headers["x-model-version"]
    assert line["role"] == answer.headers["x-model-role"]
    assert line["time"].endswith("+00:00")
    assert line["latency_ms"] > 0


@pytest.mark.slow
def test_it_says_how_it_is(server: Server, released: Toy) -> None:
    assert server.ask("/health").status == 200
    assert server.ask("/ready").status == 200
    server.ask("/predict", RECORD)
    assert server.metric('dslp_requests_total{role="champion",status="200"') > 0
    assert server.metric("dslp_latency_seconds_count") > 0
    assert server.metric('dslp_model{role="challenger",version="2"}') == 1
    assert server.metric("dslp_registry_up") == 1
    assert server.ask("/version").json["challenger"]["version"] == "2"
    document = server.ask("/openapi.json").json
    validate(document)
    assert set(document["components"]["schemas"]["Request"]["properties"]) == set(RECORD)


@pytest.mark.campaign
@pytest.mark.rule("M7")
def test_ten_promotions_under_held_load_lose_no_request(
    data: Path, empty_store: Path, tmp_path: Path
) -> None:
    toy = release(tmp_path / "toy", data, empty_store)
    with serving(toy, tmp_path / "log") as server:
        with load(server, RECORD) as held:
            for version in range(2, 12):
                toy.train_and_register()
                toy.done("model", "promote")
                until(lambda version=version: server.champion() == str(version))
            toy.done("model", "rollback")
            until(lambda: server.champion() == "10")
        server.stop()
        lines = server.logged()
    assert held.errors == 0
    assert held.requests > 1000
    times = Counter(line["request_id"] for line in lines)
    assert set(times.values()) == {1}
    assert len(times) >= held.requests  # what was asked when the load ended was answered too
    assert {line["version"] for line in lines} == {str(version) for version in range(1, 12)}


@pytest.mark.slow
def test_what_cannot_be_switched_to_leaves_the_server_as_it_is(
    released: Toy, tmp_path: Path
) -> None:
    released.done("model", "promote")  # so that there is another one to go back to
    database = released.root / "mlruns" / "mlflow.db"
    with serving(released, tmp_path / "log", "--share", "0") as server:
        now = server.champion()
        other = {"1": "2", "2": "1"}[now]
        (copy,) = (released.root / "data" / "interim" / "models" / "frequency").glob(f"{other}-*")
        whole = (copy / "model.skops").read_bytes()
        (copy / "model.skops").write_bytes(whole[:99])
        released.done("model", "rollback", "--to", other)
        until(lambda: server.metric("dslp_failed_switches_total") == 1)
        assert any(
            said["event"] == "not switched" and "is not what was registered" in said["reason"]
            for said in server.said()
        )
        assert server.ask("/predict", RECORD).headers["x-model-version"] == now
        refused = released.shell("model", "serve", "--port", "0")
        assert refused.code == 2
        assert "is not what was registered" in refused.error
        (copy / "model.skops").write_bytes(whole)
        database.rename(tmp_path / "away")  # and the registry may go away
        until(lambda: server.metric("dslp_registry_up") == 0)
        assert server.ask("/predict", RECORD).status == 200
        (tmp_path / "away").rename(database)
        until(lambda: server.metric("dslp_registry_up") == 1)
        taken = released.shell("model", "serve", "--port", str(server.port))
        assert taken.code == 2
        assert "nothing can listen at 127.0.0.1" in taken.error
    schema = released.model_folder / "schema.py"
    before = schema.read_text()
    released.edit(schema, "amount: float", "amount: int")
    changed = released.shell("model", "serve", "--port", "0")
    schema.write_text(before)
    assert changed.code == 2
    assert "(Request: amount); train, register and promote again" in changed.error


@pytest.mark.slow
def test_without_a_champion_or_a_registry_nothing_is_served(tracked: Toy) -> None:
    outcome = tracked.shell("model", "serve", "--port", "0")
    assert outcome.code == 2
    assert "has no champion yet; first: uv run dslp model promote" in outcome.error
    away = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    outcome = tracked.shell("model", "serve", "--port", "0", **away)
    assert outcome.code == 2
    assert "http://127.0.0.1:9 does not answer" in outcome.error


@pytest.mark.rule("M12")
def test_each_challenger_gets_its_share_of_the_keys_and_others_than_the_last() -> None:
    from dslp.models.live_model import draw_share

    keys = [f"customer {number}" for number in range(10_000)]
    first, second = (
        {key for key in keys if draw_share("frequency", challenger, key) < 0.2}
        for challenger in ("2", "3")
    )
    assert len(first) == pytest.approx(2000, abs=150)
    assert len(second) == pytest.approx(2000, abs=150)
    assert len(first & second) == pytest.approx(400, abs=80)


SCHEMA = """
import datetime, enum
from pydantic import BaseModel

class K(enum.Enum):
    home = "home"

class Request(BaseModel):
    kind: K | None
    text: str | None = None
    count: int | None = None
    whole: int = 0
    flag: bool | None = None
    day: datetime.date | None = None

class Response(BaseModel):
    visits: float
"""


@pytest.mark.rule("M2")
def test_what_a_model_sees_of_a_record_does_not_depend_on_its_neighbours(toy: Toy) -> None:
    (toy.model_folder / "schema.py").write_text(SCHEMA)
    api = Api(toy.model)
    body = """[{"kind": null}, {"kind": "home", "text": "a", "count": 3, "flag": true,
        "day": "2024-01-01"}]"""
    records, _ = read_records(api, body.encode())
    both = api.frame(records)
    for place, record in enumerate(records):
        alone = api.frame([record])
        assert alone.dtypes.to_dict() == both.dtypes.to_dict()
        assert alone.equals(both.iloc[[place]].reset_index(drop=True))
    assert both["kind"].tolist()[1] == "home"


@pytest.mark.rule("M2")
def test_a_model_is_trained_on_the_types_that_a_request_brings(built: Toy) -> None:
    """A column without gaps, of 32 bits, of categories or of times is not what is served."""
    fields = "count: int | None\n    flag: bool | None\n    small: float\n    whole: int"
    fields += (
        "\n    day: date\n    at: datetime\n    text: str\n    sure: bool\n    note: str | None"
    )
    built.edit(built.model_folder / "schema.py", "amount: float", f"amount: float\n    {fields}")
    times = "from datetime import date, datetime\nfrom typing"
    built.edit(built.model_folder / "schema.py", "from typing", times)
    rows = built.rows().astype({"amount": "float32"})
    stored = {"count": "int64", "flag": "bool", "small": "int16", "whole": "int32"}
    rows = rows.assign(**{name: pd.Series(1, rows.index, kind) for name, kind in stored.items()})
    noon = datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    rows = rows.assign(day=noon.date(), at=noon, text="a", sure=True, note=None).astype(
        {"kind": "category", "text": "category", "sure": "boolean", "note": object}
    )
    built.with_rows(rows)
    rows = built.rows()
    record = {"amount": 1, "kind": "home", "count": None, "flag": None, "small": 1, "whole": 1}
    record |= {"day": "2024-01-01", "at": noon.isoformat(), "text": "a", "sure": True, "note": None}
    model = built.model
    records, _ = read_records(Api(model), json.dumps([record]).encode())
    answered = Api(model).frame(records)
    served = answered.dtypes.to_dict()
    seen: list[pd.DataFrame] = []

    def predict(inputs: pd.DataFrame) -> list[float]:
        seen.append(inputs)
        return [0.0] * len(inputs)

    model.predict(predict, rows)
    (built.model_folder / "train.py").write_text(
        "def train(inputs, target, params):\n    return inputs\n"
    )
    trained = built.model.fit("linear", rows)
    assert trained.dtypes.to_dict() == served == seen[0].dtypes.to_dict()
    for name in ("day", "at", "text"):
        assert trained[name].iloc[0] == answered[name].iloc[0]
    assert str(trained["at"].iloc[0]) == "2024-01-01 11:00:00"


@pytest.mark.rule("M2")
def test_an_api_has_the_version_of_what_is_asked_and_answered(toy: Toy) -> None:
    def version() -> str:
        return str(Api(toy.model).openapi()["info"]["version"])

    before = version()
    for file in ("params.yml", "../../datasets/visits/datasheet.md"):
        toy.edit(toy.model_folder / file, "version: 1.2.0", "version: 1.3.0")
    assert version() == before
    toy.edit(toy.model_folder / "schema.py", "amount: float", "amount: float = 0")
    assert version() != before


def test_a_number_that_no_column_holds_is_told_by_field(toy: Toy) -> None:
    (toy.model_folder / "schema.py").write_text(SCHEMA)
    with pytest.raises(Problem) as caught:
        read_records(
            Api(toy.model), b'[{"kind": null}, {"kind": null, "whole": 1%s}]' % (b"0" * 20)
        )
    assert caught.value.status == 422
    assert caught.value.detail[0]["loc"] == ["body", 1, "whole"]


def test_whatever_an_estimator_raises_is_a_500_that_counts_and_is_not_tried_again(
    toy: Toy,
) -> None:
    from dslp.models.serving import application
    from dslp.models.serving_metrics import Metrics

    async def predict(*_: Any) -> None:
        raise OverflowError

    serving: Any = SimpleNamespace(api=Api(toy.model), metrics=Metrics(), last=None)
    serving.choose = lambda _: Loaded("champion", "1", "1.0.0", "run", "folder", None)
    serving.predictor = SimpleNamespace(predict=predict)
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(RECORD).encode()}

    async def send(message: Any) -> None:
        said.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
    asyncio.run(application(serving)(scope | {"query_string": b""}, receive, send))
    assert said[0]["status"] == 500
    assert b'status="500"' in serving.metrics.text()
    assert serving.last is None


def test_a_line_that_cannot_be_written_is_counted_and_the_next_one_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dslp.models import prediction_log

    lost: list[int] = []
    log = Log(tmp_path, lambda lines, _: lost.append(lines))
    record = SimpleNamespace(model_dump_json=lambda: "{}")
    for one in (object(), record):
        log.add(Answered({"request_id": "a"}, [one], [record]))
    log.close()
    assert lost == [1]
    assert len([line for file in tmp_path.iterdir() for line in file.open()]) == 1
    monkeypatch.setattr(prediction_log, "WAITING", 2)
    monkeypatch.setattr(Log, "_write", lambda _: None)  # a disk that does not answer
    stuck = Log(tmp_path, lambda lines, _: lost.append(lines))
    for _ in range(3):
        stuck.add(Answered({}, [record] * 5, [record] * 5))
    assert lost == [1, 5]


def test_following_the_registry_goes_on_whatever_happens(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dslp.models.live_model import Serving
    from dslp.models.serving_metrics import Metrics

    serving = Serving.__new__(Serving)
    serving.poll, serving.metrics = 0.001, Metrics()
    turns: list[int] = []

    def turn(_: Serving) -> None:
        turns.append(1)
        raise KeyError("tags")

    monkeypatch.setattr(Serving, "_turn", turn)

    async def some() -> None:
        watching = asyncio.create_task(serving.watch())
        while len(turns) < 3:
            await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(asyncio.wait_for(some(), 9))
    assert b"failed_switches_total" in serving.metrics.text()
