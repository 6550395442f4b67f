"""What `dslp logbook build` takes in repositories of 1,000 to 100,000 issues.

    uv run python -m benchmarks.logbook [--sizes 1000 10000 100000] [--runs 10000]

GitHub is the stand-in of the tests, in a process of its own, whose time counts as GitHub's. Of ten
issues, one is an Ask, one a Data issue, two are explorations, four experiments with three runs
each, one is a model, and one a task. The runs are in MLflow's local database; beyond so many issues
as `--runs` says there are none, since recording them takes hours. Each line is one whole process:
everything for the first time, then again with nothing changed, then with ten issues changed.
"""

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.machine import whole, write_table
from tests.github.standin.model import Issue, Repository
from tests.github.standin.server import Standin
from tests.github.standin.web import serve

DSLP = [sys.executable, "-W", "ignore", "-m", "dslp"]
SETTINGS = '[project]\nname = "claims"\n\n[tool.dslp]\npackage = "claims"\n'
KINDS = ["Ask", "Data", *["Explore"] * 2, *["Experiment"] * 4, "Model", "Task"]
WORDS = """
visit claim plan health predict member year boosted baseline deviance criterion drift
cost nurse region season contract forecast count price history doctor clinic budget
"""
START = datetime(2024, 1, 1, tzinfo=UTC)
FORM = {
    "Ask": "### Problem\n\n{text}\n\n### Desired outcome\n\n{text}\n\n### Value\n\n{value}\n",
    "Data": "### Ask\n\n#{ask}\n\n### Dataset\n\nclaims\n\n### Sources\n\n{text}\n",
    "Explore": "### Belongs to\n\n#{ask}\n\n### Goals\n\n- [ ] {text}\n\n### Insights\n\n{value}\n",
    "Experiment": "### Ask\n\n#{ask}\n\n### Goal\n\n{text}\n\n### Summary\n\n{value}\n",
    "Model": "### Ask\n\n#{ask}\n\n### Experiment\n\n#{tried}\n\n### What it does\n\n{text}\n",
    "Task": "{text}\n",
}


def words(draw: random.Random, count: int) -> str:
    """So many words."""
    return " ".join(draw.choices(WORDS.split(), k=count))


def time(number: int, days: float = 0) -> str:
    """When an issue was opened, or so many days later."""
    return f"{START + timedelta(minutes=10 * number, days=days):%Y-%m-%dT%H:%M:%SZ}"


def add_issues(repository: Repository, count: int) -> None:
    """Fill a repository; two of three issues are closed, and half of the experiments failed."""
    draw = random.Random(1)
    kinds = (*KINDS, "succeeded", "failed")
    labels = {kind: repository.labelled([kind])[0] for kind in kinds if kind != "Task"}
    for number in range(1, count + 1):
        kind, ask = KINDS[(number - 1) % 10], (number - 1) // 10 * 10 + 1
        is_closed = draw.random() < 0.67
        values = {"text": words(draw, 60), "value": words(draw, 40) * is_closed}
        body = FORM[kind].format(ask=ask, tried=ask + 4, **values)
        issue = Issue(next(repository.ids), number, words(draw, 6), body, repository.owner)
        issue.created = issue.updated = time(number)
        issue.labels = [labels[kind]] if kind in labels else []
        if is_closed:
            issue.state, issue.reason = "closed", "completed"
            issue.closed = issue.updated = time(number, draw.expovariate(0.1))
            if kind == "Experiment":
                issue.labels.append(labels[draw.choice(("succeeded", "failed"))])
        repository.issues[number] = issue


def run_standin(size: int, pipe: Connection) -> None:
    """The stand-in in a process of its own: it says where it is, and changes issues when asked."""
    standin = Standin()
    repository = standin.add_repository("ada/claims")
    add_issues(repository, size)
    serve(standin)
    pipe.send((standin.url, standin.add_token()))
    while changed := pipe.recv():
        if changed > 0:
            for number in range(1, 10 * changed, 10):
                repository.issues[number].title += " (changed)"
                repository.issues[number].updated = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        pipe.send(len(standin.requests))


def add_runs(project: Path, size: int) -> int:
    """Record the runs of the experiments; the database is copied, as MLflow has written it."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, RunTag

    (project / "mlruns").mkdir()
    client, draw = MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db"), random.Random(2)
    folder, count = client.create_experiment("claims/frequency"), 0
    for number in range(1, size + 1):
        ask = (number - 1) // 10 * 10 + 1
        for candidate in (
            ("mean", "linear", "trees") if KINDS[(number - 1) % 10] == "Experiment" else ()
        ):
            begin = int((START + timedelta(minutes=10 * number + count % 3)).timestamp() * 1000)
            level = {"mean": 1.0, "linear": 0.95, "trees": 0.9}[candidate]
            folds = [level + draw.gauss(0, 0.02) for _ in range(5)]
            judged = {"metric": "deviance", "better": "lower", "improvement": 0.05, "by": "share"}
            judged |= {
                "baseline": "mean",
                "is_baseline": candidate == "mean",
                "folds": folds,
                "ratio": 0.25,
            }
            tags = {
                "kind": "experiment",
                "issue": number,
                "ask": ask,
                "model": "frequency",
                "dataset": "claims",
            }
            tags |= {"dataset_version": "1.0.0", "dataset_digest": "d" * 64, "candidate": candidate}
            tags |= {
                "commit": "c" * 40,
                "clean": "true",
                "evaluate": "e",
                "folds": json.dumps(judged),
            }
            pairs = [RunTag(f"dslp.{name}", str(value)) for name, value in tags.items()]
            run = client.create_run(folder, begin, run_name=candidate)
            metrics = [Metric("deviance", sum(folds) / 5, begin, 0)]
            client.log_batch(run.info.run_id, metrics=metrics, tags=pairs)
            client.set_terminated(run.info.run_id, "FINISHED", begin + 60_000)
            count += 1
    return count


def measure(size: int, most: int) -> Iterator[list[str]]:
    """The lines of one size."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=run_standin, args=(size, theirs), daemon=True)
    server.start()
    url, token = ours.recv()
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary, "claims")
        project.mkdir()
        (project / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
        git = ["git", "-C", str(project)]
        subprocess.run([*git, "init", "--quiet", "--initial-branch", "main"], check=True)
        subprocess.run(
            [*git, "remote", "add", "origin", "https://github.com/ada/claims"], check=True
        )
        runs = add_runs(project, size) if size <= most else 0
        os.environ |= {
            "GITHUB_API_URL": url,
            "GITHUB_REPOSITORY": "ada/claims",
            "GITHUB_TOKEN": token,
        }
        sent = 0
        for name, changed in (("first", -1), ("nothing changed", -1), ("10 issues changed", 10)):
            if changed > 0:
                ours.send(changed)
                sent = ours.recv()
            took = whole([*DSLP, "logbook", "build"], project)
            ours.send(-1)
            requests, sent = (now := ours.recv()) - sent, now
            yield [
                f"{size:,}",
                f"{runs:,}",
                name,
                str(requests),
                f"{took.wall:.1f}",
                f"{took.peak:,.0f}",
            ]
    ours.send(0)
    server.join()


def main() -> None:
    """Measure each size, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--runs", type=int, default=10_000, help="issues that still have runs")
    options = parser.parse_args()
    heads = ["issues", "runs", "build", "requests", "seconds", "memory, MB"]
    rows = [row for size in options.sizes for row in measure(size, options.runs)]
    method = "One build a line"
    write_table("logbook", heads, rows, "", 1, method)


if __name__ == "__main__":
    main()
