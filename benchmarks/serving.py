"""How many requests a served model answers, beside MLflow's server and FastAPI by hand.

    uv run python -m benchmarks.serving [--seconds 10] [--runs 3]

The model is the example's boosted trees. Each contender is asked by `wrk` (which must be installed)
on the same machine: one client, then 32, each with one record at a time and a connection that it
keeps; all must predict the same. Memory is the resident one of all processes after the load; the
cold start is from the command to the first answer. By hand means `benchmarks/by_hand.py`. The
others are measured as they come, and with the number of OpenMP threads that `dslp model serve`
chooses for itself.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.machine import whole, write_table
from tests.services import free_port

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "template" / "src" / "{{ package_name }}"
CLIENTS = (1, 32)
DSLP = [sys.executable, "-m", "dslp"]
SETTINGS = '[project]\nname = "claims"\n\n[tool.dslp]\npackage = "claims"\n'
RECORD: dict[str, Any] = {
    "coinsurance": 25.0,
    "individual_deductible": True,
    "incentive_payment": 10.0,
    "expenditure_ceiling": 0.0,
    "physical_limitation": 0.0,
    "chronic_diseases": 3.0,
    "health": "good",
}
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[%s]]
done = function(summary, latency, requests)
  local e = summary.errors
  local wrong = e.connect + e.read + e.write + e.status + e.timeout
  print(string.format("%%d %%d %%d %%d %%d", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), wrong))
end
"""


@dataclass(frozen=True)
class Contender:
    """A server: what starts it, with what, and how it is asked."""

    name: str
    command: list[str]
    environment: dict[str, str]
    path: str
    body: str


def project(folder: Path) -> Path:
    """The example as a project with a champion; the folder of its model."""
    shutil.copytree(PACKAGE, folder / "src" / "claims")
    (folder / "pyproject.toml").write_text(SETTINGS)
    gates = folder / "src" / "claims" / "models" / "claim_frequency" / "gates.yml"
    gates.write_text("criterion: true\n")  # the others ask for the example's tests
    whole([*DSLP, "data", "build"], folder)
    again(folder)
    return next((folder / "mlruns").rglob("MLmodel")).parent


def again(folder: Path) -> None:
    """Train one more version of its model, and make it the champion."""
    for step in ("train --candidate boosted", "register", "promote"):
        whole([*DSLP, "model", *step.split()], folder)


def contenders(model: Path, port: int) -> list[Contender]:
    """Those that are compared."""
    python = [sys.executable, "-m"]
    listens = ["--port", str(port)]
    ours = [*python, "dslp", "model", "serve", *listens]
    mlflow = [*python, "mlflow", "models", "serve", "--env-manager", "local", *listens]
    mlflow += ["--model-uri", str(model)]
    by_hand = [*python, "uvicorn", "benchmarks.by_hand:app", "--no-access-log", *listens]
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    own = {"MODEL": str(model), "PYTHONPATH": str(ROOT)}
    quiet = path | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    one = {"OMP_NUM_THREADS": "1"}
    body, frame = json.dumps(RECORD), json.dumps({"dataframe_records": [RECORD]})
    return [
        Contender("dslp model serve", ours, path, "/predict", body),
        Contender("mlflow models serve", mlflow, quiet, "/invocations", frame),
        Contender("mlflow, one OpenMP thread", mlflow, quiet | one, "/invocations", frame),
        Contender("FastAPI by hand", by_hand, own, "/predict", body),
        Contender("by hand, one OpenMP thread", by_hand, own | one, "/predict", body),
    ]


@contextmanager
def running(contender: Contender, folder: Path, address: str) -> Iterator[tuple[int, float, float]]:
    """The server's process, the seconds until it answered, and its prediction; it is stopped."""
    started = time.perf_counter()
    process = subprocess.Popen(
        contender.command,
        cwd=folder,
        env=os.environ | contender.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    headers = {"Content-Type": "application/json"}
    asked = Request(address + contender.path, contender.body.encode(), headers)
    try:
        while True:
            try:
                with urlopen(asked, timeout=60) as response:
                    answer = response.read().decode()
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - started > 180:
                    raise SystemExit(f"{contender.name} does not start") from None
                time.sleep(0.02)
        number = re.search(r"\d+\.\d+", answer)
        assert number, answer
        yield process.pid, time.perf_counter() - started, float(number[0])
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def load(contender: Contender, address: str, clients: int, seconds: float) -> list[float]:
    """Requests a second, and milliseconds of the middle and of the slowest hundredth."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % contender.body)
        script.flush()
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "30s", "-s"]
        command += [script.name, address + contender.path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"wrk: {done.stdout} {done.stderr}")
    requests, duration, middle, slow, wrong = map(int, done.stdout.splitlines()[-1].split())
    if wrong:
        raise SystemExit(f"{contender.name}: {wrong} of {requests} requests failed")
    return [requests / duration * 1e6, middle / 1000, slow / 1000]


def memory(process: int) -> float:
    """Resident memory of a process and those it started, in MB."""
    total, tasks = 0.0, Path(f"/proc/{process}/task")
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            total = int(line.split()[1]) / 1000
    for task in tasks.iterdir():
        total += sum(memory(int(child)) for child in (task / "children").read_text().split())
    return total


def main() -> None:
    """Ask each contender in turn, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10, help="that each load is held")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; Debian and Ubuntu have it: apt-get install wrk")
    figures: dict[str, list[list[float]]] = {}
    predictions = set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = project(folder)
        for number in list(range(len(contenders(model, 0)))) * chosen.runs:
            port = free_port()  # of its own, since what was stopped may take a while to let go
            contender, address = contenders(model, port)[number], f"http://127.0.0.1:{port}"
            with running(contender, folder, address) as (process, cold, prediction):
                predictions.add(round(prediction, 9))
                loads = [load(contender, address, count, chosen.seconds) for count in CLIENTS]
                one = [cold, memory(process), *(figure for each in loads for figure in each)]
                figures.setdefault(contender.name, []).append(one)
                print(contender.name, *(f"{figure:,.1f}" for figure in one), flush=True)
    assert len(predictions) == 1, f"they predict {predictions}"
    heads = ["", "cold start, s", "memory, MB"]
    heads += [f"{n}: {what}" for n in CLIENTS for what in ("requests/s", "p50 ms", "p99 ms")]
    heads += [f"ours ÷ it, {n}" for n in CLIENTS]
    middles = {
        n: [statistics.median(each) for each in zip(*runs, strict=True)]
        for n, runs in figures.items()
    }
    ours, rows = middles["dslp model serve"], []
    for name, middle in middles.items():
        ratios = [f"{ours[place] / middle[place]:.1f}" for place in (2, 5)]
        rows.append([name, *(f"{figure:,.1f}" for figure in middle), *ratios])
    notes = f"; 1 and {CLIENTS[1]} clients for {chosen.seconds:g} s each"
    write_table("serving", heads, rows, notes, chosen.runs)


if __name__ == "__main__":
    main()
