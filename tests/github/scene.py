"""A project on the stand-in's GitHub, and the tool run as a workflow runs it."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

from dslp.cli import main

from tests.github.standin.model import Issue, Repository, Status
from tests.github.standin.server import Standin

PYPROJECT = '[tool.dslp]\npackage = "demo"\nbranch = "{branch}"\n'
ASK = "### Ask\n\n#1\n"
DONE = f"{ASK}\n### Runs\n\n[twelve](runs)\n\n### Summary\n\nIt works.\n"  # an experiment's
WORKFLOW = {"contents": "read", "issues": "read", "pull_requests": "read", "statuses": "write"}
ISSUES_RIGHTS = {**WORKFLOW, "issues": "write"}
DATASET = {
    f"src/demo/datasets/claims/{name}": "x\n"
    for name in ("pipeline.py", "schema.yml", "suite.yml", "datasheet.md")
}


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass
class Scene:
    """A project's folder and its repository on the stand-in, with what a test adds to it."""

    folder: Path
    github: Standin
    repository: Repository
    token: str

    def issue(self, kind: str, body: str = "", *labels: str, **values: Any) -> Issue:
        """An issue of a type; `Task` has no label."""
        kinds = () if kind == "Task" else (kind,)
        return self.repository.add_issue(f"A {kind}", body, (*kinds, *labels), **values)

    def pull(self, head: str, base: str = "main", **values: Any) -> Issue:
        """A pull request, with the files of a dataset where it is a data branch."""
        if head.startswith("data/"):
            values.setdefault("files", DATASET)
        return self.repository.add_pull(head, base, **values)

    def run(self, *arguments: str, event: Any = None, **env: str) -> Ended:
        values = {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_REPOSITORY": self.repository.full_name,
            "GITHUB_TOKEN": self.token,
            "PATH": os.environ["PATH"],
            **env,
        }
        if event is not None:
            file = self.folder / "event.json"
            file.write_text(json.dumps(event), encoding="utf-8")
            values["GITHUB_EVENT_PATH"] = str(file)
        out, err, code = StringIO(), StringIO(), 0
        with (
            chdir(self.folder),
            mock.patch.dict(os.environ, values, clear=True),
            mock.patch("sys.argv", ["dslp", *arguments]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
        assert "Traceback" not in err.getvalue(), err.getvalue()
        return Ended(code, out.getvalue(), err.getvalue())

    def check(self, pull: Issue) -> tuple[Ended, Status | None]:
        """Check and publish, as the workflow does: how it ended, and the commit's status."""
        ended = self.run("check", "--pull-request", str(pull.number), "--publish")
        return ended, self.status(pull)

    def protect(self, *options: str) -> None:
        token, self.token = self.token, self.github.add_token()
        assert self.run("protect", *options).code == 0
        self.token = token
        self.github.forget()

    def stop_anywhere(self, begin: Callable[[], object], *command: str) -> Iterator[int]:
        """Run a command, then once for each change that it made, stopped after that change."""
        begin()
        self.run(*command)
        writes = [n for n, one in enumerate(self.github.requests, 1) if one.method != "GET"]
        for number in writes:
            self.github.repositories.clear()
            begin()
            self.github.kill_at(number)
            self.run(*command)
            self.github.forget()
            yield number

    def status(self, pull: Issue) -> Status | None:
        statuses = self.repository.statuses.get(self.repository.head_sha(pull), [])
        return statuses[0] if statuses else None


def make(folder: Path, github: Standin, branch: str = "main", **values: Any) -> Scene:
    """A project with `branch` as the collaboration branch, and a token as workflows have it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(branch=branch), encoding="utf-8")
    repository = github.add_repository("ada/claims", **values)
    if branch != "main":
        repository.commit(branch, {})
    token = github.add_workflow_token(repository, WORKFLOW)
    return Scene(folder, github, repository, token)
