"""A served model answers by its schema, splits its traffic, and follows the registry."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pandas as pd
import pytest
from dslp.models.api import Api
from dslp.models.live_model import draw_share
from dslp.models.web_api import openapi_document
from openapi_spec_validator import validate

from tests.library.conftest import begin_tracking
from tests.library.models.conftest import refused
from tests.library.models.server import Server, load, serving, until
from tests.library.toy import Toy

pytestmark = pytest.mark.slow
RECORD = {"amount": 3.5, "kind": "home"}
RAISES = """    visits: float

    @field_validator("visits")
    @classmethod
    def _finite(cls, value: float) -> float:
        return 1 / 0 if value > 1e9 else value"""


@pytest.fixture(scope="module")
def released(trained_once: Toy, tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A toy project with a champion, version 1, and a challenger, version 2."""
    toy = trained_once.copy(tmp_path_factory.mktemp("released") / "toy")
    toy.edit(toy.model_folder / "schema.py", "    visits: float", RAISES)
    toy.edit(toy.model_folder / "schema.py", "import Base", "import field_validator, Base")
    toy.train_and_register()
    toy.done("model", "promote")
    toy.train_and_register()
    return toy


@pytest.fixture(scope="module")
def running(released: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a champion, and a challenger for half of the requests."""
    with serving(released, tmp_path_factory.mktemp("served") / "log", "--share", "0.5") as server:
        yield server


@pytest.mark.rule("M2", "M9", "M12")
def test_each_record_is_answered_by_the_schema_and_logged(running: Server) -> None:
    answer = running.ask("/predict", RECORD, X_Request_ID="visit-1")
    assert answer.status == 200
    assert list(answer.json) == ["visits"]
    assert answer.headers["x-request-id"] == "visit-1"
    several = running.ask("/predict", [RECORD, {**RECORD, "amount": 9}])
    assert several.json[0] == answer.json != several.json[1]
    for number in range(9):
        keyed = [running.ask("/predict", RECORD, X_Split_Key=str(number)) for _ in range(2)]
        assert keyed[0].headers["x-model-role"] == keyed[1].headers["x-model-role"]
    named = several.headers["x-request-id"]
    assert len(named) == 32
    until(lambda: sum(line["request_id"] == named for line in running.logged()) == 2)
    lines = [line for line in running.logged() if line["request_id"] == named]
    assert [line["row"] for line in lines] == [0, 1]
    assert [line["prediction"] for line in lines] == several.json
    assert lines[0]["inputs"] == RECORD
    for name in ("version", "role"):
        assert lines[0][name] == several.headers[f"x-model-{name}"]
    assert lines[0]["time"].endswith("+00:00")
    assert lines[0]["latency_ms"] > 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on PATH")
def test_the_printed_command_works_as_it_stands(running: Server) -> None:
    done = subprocess.run(running.curl, shell=True, capture_output=True, text=True)
    assert running.curl.startswith("curl ")
    assert list(json.loads(done.stdout)) == ["visits"]


def test_a_body_that_the_schema_does_not_allow_is_refused_by_field(running: Server) -> None:
    for body, *field in (
        (b'{"amount": 1}', "record", "kind"),
        (b'{"amount": NaN, "kind": "home"}', "record", "amount"),
        (b'{"amount": 1e999, "kind": "home"}', "record", "amount"),
        (b'{"amount": 1, "kind": "elsewhere"}', "record", "kind"),
        (b'[{"amount": 1, "kind": "home"}, {"amount": 2}]', "records", 1, "kind"),
        (b"[]", "records"),
        (b"",),
        (b"no JSON", 0),
        (json.dumps([RECORD] * 1001).encode(), "records"),
    ):
        answer = running.ask("/predict", body)
        assert answer.status == 422
        assert ["body", *field] in [problem["loc"] for problem in answer.json["detail"]]
    for body in (b"[" * 100_000, b'{"amount":' * 10_000, b"\xff", b"1" * 5_000):
        assert running.ask("/predict", body).status in (400, 422)


def test_what_is_too_much_no_json_or_fails_stops_nobody_else(running: Server) -> None:
    assert running.ask("/predict", b" " * 1_000_001).status == 413
    assert running.ask("/predict", b"{}", Content_Type="text/plain").status == 422
    connection = HTTPConnection("127.0.0.1", running.port)  # and a body without a length
    parts, headers = iter([b" " * 100_000] * 11), {"Content-Type": "application/json"}
    connection.request("POST", "/predict", parts, headers)
    assert connection.getresponse().status == 413
    connection.close()
    assert running.ask("/predict", RECORD | {"amount": 1e12}).status == 500
    assert 'status="500"' in running.ask("/metrics").body.decode()
    assert running.ask("/predict", RECORD).status == 200


def test_a_request_that_does_not_arrive_or_is_too_large_is_closed(running: Server) -> None:
    start = b"POST /predict HTTP/1.1\r\nContent-Type: application/json\r\n"
    beginnings = [
        b"",
        b"POST /pre",
        start + b"X-Half: ",
        start + b"Content-Length: 9\r\n\r\n{",
        start + b"X-Long: " + b"a" * 1_000_000,
        b"GET /health HTTP/1.1\r\nX-Long: " + b"a" * 150_000 + b"\r\n\r\n",
        start + b"X-Short: a\r\n" * 100_000,
        start + b"Transfer-Encoding: chunked\r\n\r\n" + (b"8000" + b"\r\n" + b" " * 0x8000) * 99,
    ]
    with ExitStack() as stack:
        connections = []
        for beginning in beginnings:
            opened = socket.create_connection(("127.0.0.1", running.port), timeout=30)
            connections.append(stack.enter_context(opened))
            with suppress(OSError):  # it may be closed before all is sent
                opened.sendall(beginning)
        for beginning, opened in zip(beginnings, connections, strict=True):
            with suppress(OSError):
                while answer := opened.recv(1000):
                    assert answer.startswith(b"HTTP/1.1 4"), beginning[:60]
    assert running.ask("/predict", RECORD).status == 200


def test_a_log_that_somebody_deletes_is_begun_anew(running: Server) -> None:
    running.ask("/predict", RECORD, X_Request_ID="last")  # all that was to be written is written
    until(lambda: "last" in [line["request_id"] for line in running.logged()])
    shutil.rmtree(running.log)
    assert running.ask("/predict", RECORD, X_Request_ID="after").status == 200
    until(lambda: [line["request_id"] for line in running.logged()] == ["after"])
    assert running.metric("dslp_log_begun_anew_total") >= 1
    assert running.metric("dslp_lost_predictions_total") == 0


@pytest.mark.campaign
def test_a_server_that_is_killed_leaves_a_log_that_can_be_read(
    champion: Toy, tmp_path: Path
) -> None:
    for number in range(20):
        with serving(champion, tmp_path / "log") as server:
            with suppress(OSError, HTTPException), load(server, RECORD) as answers:
                time.sleep(0.1 + number / 20)
                server.process.kill()
                server.process.wait()
            lines = [
                line for file in server.log.glob("*") for line in file.read_text().splitlines()
            ]
            whole = [line for line in lines if line.endswith("}}")]
            assert len(lines) - len(whole) <= number + 1, "a file may end in half a line"
            assert all(map(json.loads, whole))
            assert {answer.status for answer in answers} == {200}


@pytest.mark.rule("M12")
def test_each_challenger_gets_its_share_of_the_keys_and_others_than_the_last() -> None:
    keys = [f"customer {number}" for number in range(10_000)]
    first, second = ({k for k in keys if draw_share("frequency", c, k) < 0.2} for c in "23")
    assert [len(first), len(second)] == pytest.approx([2000, 2000], abs=150)
    assert len(first & second) == pytest.approx(400, abs=80)


def test_health_metrics_versions_and_the_api_can_be_read(running: Server) -> None:
    for path in ("/", "/docs"):
        page = running.ask(path).body.decode()
        assert "curl -H" in page
        assert not re.search("(src|href)=.?(http|//)", page), "an outside request"
    running.ask("/predict", RECORD)
    assert running.metric("dslp_latency_seconds_count") > 0
    assert running.metric('dslp_model{role="challenger",version="2"}') == 1
    assert running.ask("/health").json["challenger"]["version"] == "2"
    document = running.ask("/openapi.json").json
    validate(document)
    codes = document["paths"]["/predict"]["post"]["responses"]
    assert set(codes) == {"200", "400", "413", "422", "500", "503"}
    assert set(document["components"]["schemas"]["Request"]["properties"]) == set(RECORD)


@pytest.mark.campaign
@pytest.mark.rule("M7")
def test_ten_promotions_under_held_load_lose_no_request(champion: Toy, tmp_path: Path) -> None:
    with serving(champion, tmp_path / "log") as server, load(server, RECORD) as answers:
        for version in range(2, 12):
            champion.train_and_register()
            champion.done("model", "promote")
            until(lambda version=version: server.champion() == str(version))
        champion.done("model", "rollback")
        until(lambda: server.champion() == "10")
    assert {answer.status for answer in answers} == {200}
    assert len(answers) > 1000
    requests = [answer.headers["x-request-id"] for answer in answers]
    assert sorted(requests) == sorted(line["request_id"] for line in server.logged())
    assert {line["version"] for line in server.logged()} == {str(n) for n in range(1, 12)}


@pytest.mark.rule("M7")
def test_a_tracking_server_is_followed(built: Toy, server: str, tmp_path: Path) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = server.replace("//", "//me:s3cr%2Ft@")
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
        assert running.metric("dslp_registry_up") == 1
        assert "does not answer" not in running.errors.read_text()
        assert "s3cr" not in running.errors.read_text()


@pytest.mark.rule("M7")
def test_a_version_that_cannot_be_loaded_changes_nothing(released: Toy, tmp_path: Path) -> None:
    released.done("model", "promote")  # so that there is another one to go back to
    database = released.root / "mlruns" / "mlflow.db"
    with serving(released, tmp_path / "log", "--share", "0") as server:
        current = server.champion()
        other = {"1": "2", "2": "1"}[current]
        (local,) = (released.root / "data" / "interim" / "models" / "frequency").glob(f"{other}-*")
        whole = (local / "model.skops").read_bytes()
        copies = [one for one in released.root.rglob("model.skops") if one.read_bytes() == whole]
        assert len(copies) >= 2
        for path in copies:  # the one that is downloaded as well
            path.write_bytes(whole[:99])
        released.done("model", "rollback", "--to", other)
        until(lambda: server.metric("dslp_failed_switches_total") >= 1)
        reason = "not switched: champion version .* is not what was registered"
        assert re.search(reason, server.errors.read_text())
        assert server.ask("/predict", RECORD).headers["x-model-version"] == current
        for path in copies:
            path.write_bytes(whole)
        content = database.read_bytes()
        database.write_bytes(b"no database" * 1000)  # and the registry may go away
        until(lambda: server.metric("dslp_registry_up") == 0)
        assert server.ask("/predict", RECORD).status == 200
        database.write_bytes(content)
        until(lambda: server.metric("dslp_registry_up") == 1)
        error = "nothing can listen at 127.0.0.1"
        refused(released, "serve", "--port", server.port, error=error)
    released.edit(released.model_folder / "schema.py", "amount: float", "amount: int")
    error = "(Request: amount); train, register and promote again"
    refused(released, "serve", "--port", "0", error=error)


def test_without_a_champion_nothing_is_served(trained: Toy) -> None:
    error = "has no champion yet; first: uv run dslp model promote"
    refused(trained, "serve", "--port", "0", error=error)


FIELDS = """amount: float
    count: int | None
    flag: bool | None
    whole: int
    at: datetime
    text: str
    note: str | None"""


@pytest.mark.rule("M2")
def test_a_model_is_trained_on_the_types_that_a_request_brings(built: Toy) -> None:
    """Whatever types the columns are stored in, and whatever else is in the request."""
    schema = built.model_folder / "schema.py"
    built.edit(schema, "amount: float", FIELDS)
    built.edit(schema, "from typing", "from datetime import datetime\nfrom typing")
    stored = {"count": "int64", "flag": "bool", "whole": "int32"}
    noon = datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    rows = built.rows().astype({"amount": "float32"})
    rows = rows.assign(**{name: pd.Series(1, rows.index, kind) for name, kind in stored.items()})
    rows = rows.assign(at=noon, text="a", note=None)
    built.with_rows(rows.astype({"kind": "category", "text": "category", "note": object}))
    record = {"amount": 1, "kind": "home", "count": None, "flag": None, "whole": 1, "text": "a"}
    record |= {"at": noon.isoformat(), "note": None}
    full = record | {"count": 3, "flag": True, "note": "b"}
    api = Api(built.model)
    records = [api.request.model_validate(one) for one in (record, full)]
    served = api.frame(records)
    for place in (0, 1):
        assert api.frame(records[place:][:1]).equals(served.iloc[[place]].reset_index(drop=True))
    code = "def train(inputs, target, params):\n    return inputs\n"
    (built.model_folder / "train.py").write_text(code)
    trained = built.model.fit("linear", built.rows())
    assert trained.dtypes.to_dict() == served.dtypes.to_dict()
    for name in ("at", "text"):
        assert trained[name].iloc[0] == served[name].iloc[0]
    assert str(trained["at"].iloc[0]) == "2024-01-01 11:00:00"
    version = openapi_document(api)["info"]["version"]
    assert version == openapi_document(Api(built.model))["info"]["version"]
    built.edit(schema, "whole: int", "whole: int = 0")
    assert version != openapi_document(Api(built.model))["info"]["version"]
    with pytest.raises(OverflowError):
        api.frame([records[0].model_copy(update={"whole": 10**20})])


# Names of columns that no field in Python can have.
NAMES = {"amount": 'the "Größe" (cm) of a.b/c~*', "kind": "class", "visits": "Monthly Visits 😀"}


@pytest.mark.rule("M2")
def test_a_column_has_its_own_name_from_training_to_monitoring(
    toy: Toy, empty_store: Path, tmp_path: Path
) -> None:
    schema, log = toy.model_folder / "schema.py", tmp_path / "log"
    toy.edit(toy.dataset / "pipeline.py", "return raw", f"return raw.rename(columns={NAMES})")
    toy.edit(toy.model_folder / "features.py", '["amount"]', f"[{NAMES['amount']!r}]")
    toy.edit(toy.model_folder / "params.yml", "target: visits", f"target: {NAMES['visits']}")
    toy.edit(schema, "import BaseModel", "import BaseModel, Field")
    for field, kind in {
        "amount": "float",
        "kind": 'Literal["home", "office"]',
        "visits": "float",
    }.items():
        column = NAMES[field]
        toy.edit(schema, f"    {field}: {kind}", f"    {field}: {kind} = Field(alias={column!r})")
        toy.edit(toy.dataset / "schema.yml", f"  {field}:", f"  {column!r}:")
        toy.edit(toy.dataset / "suite.yml", f"column: {field},", f"column: {column!r},")
    toy.done("data", "build")
    begin_tracking(toy, empty_store).train_and_register()
    toy.done("model", "promote")
    rows, (amount, kind, target) = toy.rows(), NAMES.values()
    records = json.loads(rows[[amount, kind]].to_json(orient="records"))
    with serving(toy, log) as server:
        answers = server.ask("/predict", records).json
        refusal = server.ask("/predict", {"amount": 1, "kind": "home"}).json["detail"]
        assert [one["loc"][-1] for one in refusal] == [amount, kind]
        document = server.ask("/openapi.json").json
        assert list(document["components"]["schemas"]["Request"]["properties"]) == [amount, kind]
        until(lambda: len(server.logged()) == len(rows))
        last = server.logged()[-1]
    assert [last["inputs"], last["prediction"]] == [records[-1], answers[-1]]
    for file, write in (("rows.csv", rows.to_csv), ("rows.parquet", rows.to_parquet)):
        write(tmp_path / file, index=False)
        paths = ("--input", str(tmp_path / file), "--output", str(tmp_path / "out.parquet"))
        toy.done("model", "score", *paths)
        scored = pd.read_parquet(tmp_path / "out.parquet")[f"predicted_{target}"]
        assert scored.tolist() == pytest.approx([answer[target] for answer in answers])
    monitored = toy.done("model", "monitor", "--predictions", str(log)).out
    card = Path(toy.done("model", "card").out.partition("written: ")[2].strip()).read_text()
    assert [name for name in NAMES.values() if name not in monitored] == []
    assert target in card
    toy.edit(schema, "alias='class'", "validation_alias='class'")
    refused(toy, "train", error="Request.kind has several names; write one: Field(alias=")
    toy.edit(schema, "validation_alias='class'", f"alias={amount!r}")
    refused(toy, "train", error="two fields of Request are the same column")
