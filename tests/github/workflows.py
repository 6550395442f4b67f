"""Runs a workflow file here: triggers, conditions, steps and rights as GitHub would have them.

Not done: matrices of several jobs, containers and services (refused with an error), concurrency
and environments (ignored).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.github import events
from tests.github.evaluator import Evaluator
from tests.github.standin.model import Repository
from tests.github.standin.server import Standin
from tests.github.steps import Step, Stub, Workspace, texts

LEVELS = ("none", "read", "write")


class Invalid(Exception):
    """GitHub would not accept the workflow file, or this runner does not know what it asks for."""


@dataclass
class Job:
    """What became of one job: a check of that name and conclusion."""

    name: str
    rights: dict[str, str]
    conclusion: str = "success"
    steps: list[Step] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    @property
    def annotations(self) -> list[str]:
        """What the steps wrote as ::error, ::warning and ::notice."""
        return [note for step in self.steps for note in step.annotations]

    @property
    def log(self) -> str:
        """Everything that the steps printed."""
        return "".join(step.log for step in self.steps)


@dataclass
class Outcome:
    """What a workflow did with an event; no jobs when the event did not start it."""

    started: bool
    jobs: dict[str, Job] = field(default_factory=dict)

    @property
    def conclusions(self) -> dict[str, str]:
        """The checks by name."""
        return {job.name: job.conclusion for job in self.jobs.values()}

    def __str__(self) -> str:
        jobs = self.jobs.values()
        return "\n".join(f"{job.name}: {job.conclusion}\n{job.log}" for job in jobs)


@dataclass(frozen=True)
class Start:
    """What the jobs of a workflow have in common; `most` are the rights of who calls it."""

    github: dict[str, Any]
    repository: Repository
    inputs: dict[str, Any]
    secrets: dict[str, str]
    most: dict[str, str] | None = None


@dataclass
class Runner:
    """Where workflows run: in `folder`, against the stand-in, with stubs for actions.

    A stub gets the step's inputs and returns the action's outputs; `env` is added to every step.
    `workflows` is the folder of files that are run by their name.
    """

    evaluator: Evaluator
    github: Standin
    folder: Path
    workflows: Path
    stubs: dict[str, Stub] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    timeout: float = 300

    def run(self, name: str, event: str, payload: dict[str, Any]) -> Outcome:
        """What the workflow of that file does with the event."""
        template, source = self.read(f".github/workflows/{name}")
        repository = self.github.repositories[payload["repository"]["full_name"].lower()]
        files = events.changed_files(repository, event, payload)
        if not events.starts(template["events"], event, payload, files):
            return Outcome(False)
        github = events.github_context(repository, event, payload)
        github |= {"workflow": source.get("name", name), "api_url": self.github.url}
        secrets = {} if is_from_fork(github) else self.secrets
        start = Start(github, repository, payload.get("inputs") or {}, secrets)
        return Outcome(True, self.jobs(template, source, start))

    def read(self, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A workflow file as GitHub understands it, and as it is written."""
        files = self.workflows.glob("*.yml")
        sources = {f".github/workflows/{file.name}": file.read_text("utf-8") for file in files}
        parsed = self.evaluator.parse(path, sources[path], sources)
        if parsed["errors"]:
            raise Invalid(f"{path}: {'; '.join(parsed['errors'])}")
        return parsed["template"], parsed["source"]

    def jobs(
        self, template: dict[str, Any], source: dict[str, Any], start: Start
    ) -> dict[str, Job]:
        """Run the jobs of a workflow, each after those that it needs."""
        ended: dict[str, Job] = {}
        waiting = {job["id"]: job for job in template["jobs"]}
        while waiting:
            for name, job in list(waiting.items()):
                if not set(job.get("needs", [])) & waiting.keys():
                    ended[name] = self.job(waiting.pop(name), source, start, ended)
        return ended

    def job(
        self, template: dict[str, Any], source: dict[str, Any], start: Start, ended: dict[str, Job]
    ) -> Job:
        """Run one job, if its condition holds."""
        raw = source["jobs"][template["id"]]
        matrix = raw.get("strategy", {}).get("matrix", {})
        several = [name for name, values in matrix.items() if len(values) != 1]
        if unknown := [key for key in ("container", "services") if key in raw] + several:
            raise Invalid(f"job {template['id']}: this runner does not know {', '.join(unknown)}")
        wanted = raw.get("permissions", source.get("permissions", {"contents": "read"}))
        rights = granted(wanted, is_from_fork(start.github), start.most)
        token = self.github.add_workflow_token(start.repository, rights)
        needs = {name: ended[name] for name in template.get("needs", [])}
        contexts: dict[str, Any] = {
            "github": {**start.github, "job": template["id"], "token": token},
            "needs": {
                name: {"result": one.conclusion, "outputs": one.outputs}
                for name, one in needs.items()
            },
            "vars": self.variables,
            "inputs": start.inputs,
            "matrix": {name: values[0] for name, values in matrix.items()},
        }
        status = status_of({ended[name].conclusion for name in ancestors(raw, source["jobs"])})
        job = Job(template["id"], rights)
        if not self.evaluator.is_true(template["if"], contexts, status):
            job.conclusion = "skipped"
            return job
        contexts["secrets"] = start.secrets
        if "uses" in raw:
            return self.call(job, raw, start, contexts)
        contexts |= {
            "secrets": {**start.secrets, "GITHUB_TOKEN": token},
            "runner": {"os": "Linux", "arch": "X64", "name": "here", "temp": str(self.folder)},
            "env": {},
            "steps": {},
        }
        resolve = self.evaluator.resolve
        contexts["env"] = texts(resolve(template.get("env") or {}, contexts))
        root = self.workflows.parents[1]
        workspace = Workspace(
            self.evaluator, root, self.folder, self.stubs, self.env, contexts, self.timeout
        )
        for step, written in zip(template["steps"], raw["steps"], strict=True):
            job.steps.append(workspace.step(step, written))
        job.conclusion, job.summary = workspace.status, workspace.summary
        job.outputs = texts(resolve(template.get("outputs") or {}, contexts))
        return job

    def call(self, job: Job, raw: dict[str, Any], start: Start, contexts: dict[str, Any]) -> Job:
        """Run the workflow that a job calls; the job is then all that is done there."""
        template, source = self.read(raw["uses"].removeprefix("$/"))
        inputs = self.evaluator.resolve(raw.get("with") or {}, contexts)
        assert raw["secrets"] == "inherit", "this runner knows no other way to pass secrets"
        assert not source["on"]["workflow_call"].get("outputs"), "nor outputs of what is called"
        inner = Start(start.github, start.repository, inputs, start.secrets, job.rights)
        for each in self.jobs(template, source, inner).values():
            job.steps += each.steps
            job.summary += each.summary
            if each.conclusion == "failure":
                job.conclusion = "failure"
        return job


def ancestors(raw: dict[str, Any], jobs: dict[str, Any]) -> set[str]:
    """The names of all jobs that a job waits for, directly or not."""
    needs = raw.get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(ancestors(jobs[name], jobs) for name in direct))


def status_of(conclusions: set[str]) -> str:
    """What success() and failure() look at, for a job that waits for jobs that ended like this."""
    return next((bad for bad in ("failure", "skipped") if bad in conclusions), "success")


def granted(
    wanted: Mapping[str, str], read_only: bool, most: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The rights of a job's token; a fork's is read-only whatever it asks for.

    Raises:
        Invalid: a job of a called workflow asks for more than `most`, which its caller has.
    """
    rights = {key.replace("-", "_"): "read" if read_only else one for key, one in wanted.items()}
    for key, one in rights.items():
        if most is not None and LEVELS.index(one) > LEVELS.index(most.get(key, "none")):
            raise Invalid(f"a called job asks for {key}: {one}, which its caller does not have")
    return rights | {"metadata": "read"}


def is_from_fork(github: Mapping[str, Any]) -> bool:
    """Whether the event is a pull request from a fork, or of Dependabot: no writes, no secrets."""
    if github["event_name"] != "pull_request":
        return False
    head = github["event"]["pull_request"]["head"]["repo"]
    return bool(head["full_name"] != github["repository"] or github["actor"] == "dependabot[bot]")
