"""What the logbook reads of MLflow, and of git where there is no GitHub."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dslp.core.settings import Project
from dslp.experiments.gains import gain
from dslp.logbook.events import Pull, Run, Work
from dslp.logbook.git_source import read_git
from dslp.logbook.tracking_source import FILE, read_tracking
from mlflow import MlflowClient

from tests.library.toy import Toy


def day(number: int) -> datetime:
    """So many days after the first one."""
    return datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(days=number)


class Repository:
    """A git repository whose commits are made on days that the test says."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root, "claims", root / "data")
        root.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")
        self.commit(0)

    def git(self, *arguments: str, on: int = 0) -> str:
        date = f"{day(on)}" if on < 10_000 else f"@{on} +0000"
        dates = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), date)
        command = ["git", "-C", str(self.project.root), *arguments]
        return subprocess.check_output(command, env=os.environ | dates, text=True).strip()

    def commit(self, *days: int, message: str = "work") -> None:
        for on in days:
            self.git("commit", "-q", "--allow-empty", "-m", message, on=on)

    def branch(self, name: str, *days: int) -> None:
        self.git("switch", "-q", "--create", name, "main")
        self.commit(*days)

    def merge(self, on: int, name: str, into: str, *options: str) -> str:
        self.git("switch", "-q", into)
        self.git("merge", "-q", "--no-ff", "--no-edit", *options, name, on=on)
        return self.git("rev-parse", "HEAD")

    def read(self, *runs: Run) -> tuple[dict[int, Work], dict[str, Pull]]:
        works, pulls = read_git(self.project, runs)
        return {one.issue.number: one for one in works}, {one.pull.head: one for one in pulls}


def run(number: int, kind: str, on: int, **tags: str) -> Run:
    """A run for an issue of Ask 11."""
    tags = {"issue": str(number), "ask": "11", "question": "How many <visits>?", **tags}
    own = {f"dslp.{name}": value for name, value in tags.items()}
    return Run(f"r{number}-{on}", "x", kind, "FINISHED", day(on), day(on), tags=own)


@pytest.mark.rule("C1", "B4", "B6", "I11")
def test_branches_and_runs_tell_what_was_done_without_github(tmp_path: Path) -> None:
    one, same = Repository(tmp_path / "x"), {"model": "frequency", "candidate": "boosted"}
    one.branch("explore/12-what-is-missing", 1, 2)
    one.git("tag", "archive/explore/12-what-is-missing")
    one.branch("experiment/15-linear", 3)
    one.git("tag", "-a", "-m", "ended", "archive/experiment/15-linear", on=5)
    one.branch("experiment/16-boosted-trees", 4, 6)
    one.branch("model/18-frequency", 7)
    into_model = one.merge(8, "experiment/16-boosted-trees", "model/18-frequency")
    words = "Merge pull request #20 from ada/model/18-frequency\n\nText"
    into_main = one.merge(9, "model/18-frequency", "main", "-m", words)
    one.branch("data/13-claims", 10)
    gone = one.git("for-each-ref", "--format=%(refname:short)", "refs/heads/*/*").splitlines()
    one.git("branch", "-q", "-D", *(name for name in gone if name != "data/13-claims"))
    one.git("update-ref", "refs/remotes/origin/21-docs/faq", "HEAD")
    runs = [run(16, "experiment", 5, **same), run(18, "training", 7, **same)]
    works, pulls = one.read(*runs, run(30, "experiment", 12), run(31, "training", 13))
    facts = [(n, w.issue.title, w.issue.labels, w.created, w.closed) for n, w in works.items()]
    assert facts == [
        (11, "How many <visits>?", ("Ask",), day(4), None),
        (12, "What is missing", ("Explore",), day(1), day(2)),
        (13, "Claims", ("Data",), day(10), None),
        (15, "Linear", ("Experiment",), day(3), day(5)),
        (16, "Boosted trees", ("Experiment", "succeeded"), day(4), day(8)),
        (18, "Frequency", ("Model",), day(7), day(9)),
        (21, "Docs faq", (), day(10), None),
        (30, "Experiment 30", ("Experiment",), day(12), None),
        (31, "Model 31", ("Model",), day(13), None),
    ]
    assert works[18].issue.body == "### Ask\n\n#11\n\n### Experiment\n\n#16"
    assert works[16].issue.body == works[30].issue.body == "### Ask\n\n#11"
    commits = {name: (one.pull.base, one.commit) for name, one in pulls.items() if one.commit}
    expected = {"experiment/16-boosted-trees": ("model/18-frequency", into_model)}
    assert commits == expected | {"model/18-frequency": ("main", into_main)}


def test_what_main_or_a_model_has_ends_a_branch_whatever_the_merge_says(tmp_path: Path) -> None:
    one, pulled = (
        Repository(tmp_path / "x"),
        "Merge branch 'experiment/16-boosted' of https://example.org/x",
    )
    one.branch("experiment/16-boosted", 1)
    one.branch("explore/12-visits", 2)
    one.merge(3, "experiment/16-boosted", "explore/12-visits")
    one.git("switch", "-q", "--create", "elsewhere", "experiment/16-boosted")
    one.commit(4)
    one.git("switch", "-q", "main")
    one.commit(5)
    one.merge(6, "main", "experiment/16-boosted")
    one.merge(7, "elsewhere", "experiment/16-boosted", "-m", pulled)
    one.branch("data/13-claims", 8)
    one.merge(9, "data/13-claims", "main", "-m", "Data: claims arrive")
    one.branch("experiment/17-lines", 10)
    one.git("switch", "-q", "main")
    one.git("merge", "-q", "--ff-only", "experiment/17-lines")
    one.commit(11)
    one.branch("experiment/18-new")
    works, _ = one.read()
    assert {number: (work.issue.state, work.closed) for number, work in works.items()} == {
        12: ("open", None),
        13: ("closed", day(9)),
        16: ("open", None),
        17: ("closed", day(10)),
        18: ("open", None),
    }
    one.git("switch", "-q", "data/13-claims")
    one.commit(12)
    works, _ = one.read()
    assert (works[13].issue.state, works[13].created, works[16].created) == ("open", day(8), day(1))


def test_hostile_names_texts_and_times_are_plain_values(tmp_path: Path) -> None:
    one = Repository(tmp_path / "x")
    for name in ("experiment/19-<script>", "experiment/20-a/b", "-", "💥/21-x", "model/22-x\u202e"):
        one.git("update-ref", f"refs/heads/{name}", "HEAD")
        one.git("update-ref", f"refs/tags/archive/{name}", "HEAD")
    one.git("update-ref", "refs/tags/archive/experiment/23-tree", one.git("write-tree"))
    one.commit(1, message="Merge branch 'experiment/24-no-merge'\n\n\x01\x1b[31m" + "x" * 100_000)
    one.branch("experiment/25-far")
    one.commit(99_999_999_999, message="\x01Merge \x1b]8;;x")
    tags = {"branch": "experiment/28-\x00", "question": "a\u202eb\n\n# c"}
    works, pulls = one.read(run(27, "experiment", 1, **tags))
    assert ({*works}, {*pulls}) == ({11, 25, 27}, {"experiment/25-far"})
    assert works[25].created == datetime(2100, 1, 1, tzinfo=UTC)
    assert works[11].issue.title == "a\\u202eb\\u000a\\u000a# c"


def test_shallow_clones_and_folders_without_a_commit_work(tmp_path: Path) -> None:
    one, shallow, empty = Repository(tmp_path / "x"), tmp_path / "shallow", tmp_path / "empty"
    one.branch("data/13-claims", 4, 5)
    options = ("--quiet", "--depth=1", "--no-single-branch")
    one.git("clone", *options, one.project.root.as_uri(), str(shallow))
    (work,), _ = read_git(replace(one.project, root=shallow), ())
    assert (work.issue.number, work.created) == (13, day(5))
    one.git("init", "--quiet", str(empty))
    assert read_git(replace(one.project, root=empty), ()) == ((), ())
    shutil.rmtree(empty / ".git")
    works, _ = read_git(replace(one.project, root=empty), [run(16, "experiment", 1)])
    assert [work.issue.number for work in works] == [11, 16]


@pytest.mark.rule("C1", "C2", "E3", "M7")
def test_records_tell_what_is_judged_and_what_was_done_and_name_nobody(champion: Toy) -> None:
    champion.git("switch", "--quiet", "--create", "experiment/16-lines")
    champion.done("experiment", "run")
    compared = json.loads(champion.done("experiment", "compare", "--issue", "16", "--json").out)
    shutil.rmtree(champion.model_folder)
    read = read_tracking(champion.project)
    kinds = sorted(run.kind for run in read.runs)
    assert kinds == ["environment", "experiment", "experiment", "training"]
    baseline, own = (json.loads(one.tag("folds")) for one in read.runs if one.issue == 16)
    better = gain(baseline["folds"], own["folds"], own["better"], own["ratio"], own["by"])
    expected = compared["results"][0]["details"]["candidates"][1]
    assert [better.estimate, better.low, better.high] == [expected["gain"], *expected["interval"]]
    assert (baseline["is_baseline"], own["is_baseline"]) == (True, False)
    (version,) = read.versions
    assert (version.model, version.version, version.role) == ("frequency", "1", "champion")
    assert [run.kind for run in read.runs if run.id == version.run] == ["training"]
    assert [(one.action, one.version) for one in read.changes] == [
        ("register", "1"),
        ("promote", "1"),
    ]
    times = [read.runs[0].start, *(one.at for one in read.changes), datetime.now(UTC)]
    assert times == sorted(times)
    for private in ("Somebody", "mlflow.", platform.node(), str(champion.root), f":{os.getpid()}"):
        assert private not in repr(read)
    assert (version.url, read.runs[0].url, read.notes) == ("", "", ())


def test_runs_are_read_again_only_where_they_are_new_or_had_not_ended(tracked: Toy) -> None:
    client, begin = tracked.client, int(time.time() * 1000) - 10 * 86_400_000
    folder = client.create_experiment("former model")

    def add(hours: int, end: bool = True) -> str:
        start = begin + hours * 3_600_000
        identifier = str(client.create_run(folder, start).info.run_id)
        if end:
            client.set_terminated(identifier, end_time=start + 1)
        return identifier

    def read() -> list[tuple[str, str, str]]:
        runs = read_tracking(tracked.project).runs
        return [(run.id, run.status, run.tag("note")) for run in runs]

    assert read() == []
    old, gone, running = add(2), add(4), add(6, end=False)
    assert [identifier for identifier, *_ in read()] == [old, gone, running]
    for identifier in (old, gone, running):
        client.set_tag(identifier, "dslp.note", "https://ada:secret@example.org/x")
    client.set_terminated(running, "FAILED")
    client.delete_run(gone)
    address, new = "https://example.org/x", add(8)
    rest = [(running, "FAILED", address), (new, "FINISHED", "")]
    assert read() == [(old, "FINISHED", ""), *rest]
    client.restore_run(gone)
    assert read() == [(old, "FINISHED", address), (gone, "FINISHED", address), *rest]
    client.set_tag(new, "dslp.note", "changed")
    (tracked.root / FILE).write_text('["broken", ')
    assert read()[-1] == (new, "FINISHED", "changed")
    client.delete_experiment(folder)
    assert read() == []


@pytest.mark.xdist_group("mlflow-server")
def test_records_of_a_server_have_pages_and_other_repositories_are_left_out(
    tracked: Toy, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked.git("remote", "add", "origin", "https://github.com/ada/claims.git")
    client, name = MlflowClient(server, server), "logbook model"
    folder, runs = client.create_experiment(name), list[str]()
    for owner in ("ada/other", "fork/claims", "ada/claims"):
        tags = {"mlflow.source.name": f"https://github.com/{owner}#src", "dslp.model": name}
        info = client.create_run(folder, tags=tags).info
        runs.append(info.run_id)
    client.create_registered_model(name)
    client.create_model_version(name, f"{info.artifact_uri}/model", info.run_id)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.replace("//", "//ada:secret@"))
    read = read_tracking(tracked.project)
    urls = [one.url for one in read.runs if one.tag("model") == name]
    assert urls == [f"{server}/#/experiments/{folder}/runs/{run}" for run in runs[1:]]
    assert [one.url for one in read.versions] == [f"{server}/#/models/logbook%20model/versions/1"]
    assert "1 runs of other repositories" in read.notes[0]
    monkeypatch.setenv("DSLP_EXPERIMENT_PREFIX", "logbook")
    assert len(read_tracking(tracked.project).runs) == 3


def test_without_records_there_is_a_note_and_nothing_needs_mlflow(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note() -> str:
        (note,) = (read := read_tracking(toy.project)).notes
        assert (read.runs, read.versions, read.changes) == ((), (), ())
        return note

    assert "no run is recorded: mlruns/mlflow.db is missing" in note()
    assert not (toy.root / "mlruns").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:secret@127.0.0.1:9")
    began = time.monotonic()
    assert "tracking at http://127.0.0.1:9 does not answer" in note()
    assert time.monotonic() - began < 30  # MLflow would try for minutes
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert "MLflow is not installed" in note()
    code = "import sys, dslp.logbook.git_source, dslp.logbook.tracking_source; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not {"mlflow", "pandas", "scipy"} & {*modules}
