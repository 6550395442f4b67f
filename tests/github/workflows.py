"""Runs a workflow file here: triggers, conditions, steps and rights as GitHub would have them.

Not done: matrices, containers, services and called workflows (refused with an error), concurrency
and environments (passed over).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.github import triggers
from tests.github.contexts import changed_files, context_of
from tests.github.evaluator import Evaluator
from tests.github.standin.model import Repository
from tests.github.standin.server import Standin
from tests.github.standin.web import rehost
from tests.github.steps import Annotation, Step, StepRun, Workspace

Payload = dict[str, Any]
READS = ("contents", "packages")  # what a token may read when no `permissions` say otherwise
RIGHTS = (
    *("actions", "checks", "contents", "deployments", "discussions", "issues", "packages"),
    *("pages", "pull_requests", "security_events", "statuses"),
)


class Invalid(Exception):
    """GitHub would not accept the workflow file, or this runner does not know what it asks for."""


@dataclass
class Job:
    """What became of one job: a check of that name and conclusion."""

    id: str
    name: str
    conclusion: str = "success"
    steps: list[Step] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    rights: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    @property
    def annotations(self) -> list[Annotation]:
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


@dataclass
class Runner:
    """Where workflows run: in `folder`, against the stand-in, with stubs for actions.

    A stub gets the step's inputs and returns the action's outputs; `env` is added to every step.
    """

    evaluator: Evaluator
    github: Standin
    folder: Path
    stubs: dict[str, Callable[[StepRun], Mapping[str, str] | None]] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    timeout: float = 120

    def run(
        self, workflow: Path, event: str, payload: Payload, repository: Repository | None = None
    ) -> Outcome:
        """What the workflow does with the event."""
        text = workflow.read_text(encoding="utf-8")
        read = self.evaluator.parse(f".github/workflows/{workflow.name}", text)
        if read["errors"]:
            raise Invalid(f"{workflow.name}: {'; '.join(read['errors'])}")
        template, source = read["template"], read["source"]
        payload = rehost(payload, self.github.url)
        named = self.github.repositories[payload["repository"]["full_name"].lower()]
        repository = repository or named
        files = changed_files(repository, event, payload)
        if not triggers.starts(template["events"], event, payload, files):
            return Outcome(False)
        about = context_of(repository, event, payload) | {
            "workflow": source.get("name", workflow.name),
            "api_url": self.github.url,
        }
        jobs: dict[str, Job] = {}
        waiting = {job["id"]: job for job in template["jobs"]}
        while waiting:
            ready = [
                one for one in waiting.values() if not set(one.get("needs", [])) & waiting.keys()
            ]
            for job in ready:
                del waiting[job["id"]]
                jobs[job["id"]] = self.job(job, source, dict(about), jobs, repository)
        return Outcome(True, jobs)

    def job(
        self,
        job: dict[str, Any],
        source: dict[str, Any],
        about: dict[str, Any],
        done: dict[str, Job],
        repository: Repository,
    ) -> Job:
        """Run one job, if its condition holds."""
        raw = source["jobs"][job["id"]]
        for key in ("strategy", "container", "services", "uses"):
            if key in raw:
                raise Invalid(f"job {job['id']}: this runner knows no `{key}`")
        asked = raw.get("permissions", source.get("permissions"))
        rights = granted(asked, read_only=is_foreign(about))
        token = self.github.add_workflow_token(repository, rights)
        about |= {"job": job["id"], "token": token}
        secrets = {} if is_foreign(about) else self.secrets
        needs = {name: done[name] for name in job.get("needs", [])}
        contexts: dict[str, Any] = {
            "github": about,
            "needs": {
                name: {"result": one.conclusion, "outputs": one.outputs}
                for name, one in needs.items()
            },
            "vars": self.variables,
            "inputs": about["event"].get("inputs") or {},
        }
        resolve, evaluate = self.evaluator.resolve, self.evaluator.evaluate
        status = status_of(ancestors(job["id"], source["jobs"], done))
        name = str(resolve(job.get("name") or job["id"], contexts))
        made = Job(job["id"], name, rights=rights)
        if not evaluate(job["if"]["expr"], contexts, status)["truthy"]:
            made.conclusion = "skipped"
            return made
        contexts |= {
            "secrets": {**secrets, "GITHUB_TOKEN": token},
            "runner": {"os": "Linux", "arch": "X64", "name": "here", "temp": str(self.folder)},
            "env": {},
            "steps": {},
        }
        contexts["env"] = texts(resolve(source.get("env") or {}, contexts))
        contexts["env"] |= texts(resolve(job.get("env") or {}, contexts))
        defaults = (source.get("defaults") or {}).get("run", {})
        defaults |= (raw.get("defaults") or {}).get("run", {})
        workspace = Workspace(
            self.evaluator, self.folder, self.stubs, self.env, contexts, defaults, self.timeout
        )
        for step, written in zip(job["steps"], raw["steps"], strict=True):
            made.steps.append(workspace.step(step, written))
        made.conclusion, made.summary = workspace.status, workspace.summary
        made.outputs = texts(resolve(job.get("outputs") or {}, contexts))
        return made


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as environment variables and outputs hold them."""
    return {
        key: str(one).lower() if isinstance(one, bool) else "" if one is None else str(one)
        for key, one in values.items()
    }


def ancestors(job: str, jobs: dict[str, Any], done: dict[str, Job]) -> list[Job]:
    """All jobs that a job waits for, directly or not."""
    needs = jobs[job].get("needs", [])
    direct = [needs] if isinstance(needs, str) else needs
    return [one for name in direct for one in [done[name], *ancestors(name, jobs, done)]]


def status_of(jobs: list[Job]) -> str:
    """What success() and failure() look at, for a job that waits for these."""
    conclusions = {job.conclusion for job in jobs}
    if "failure" in conclusions:
        return "failure"
    return "skipped" if "skipped" in conclusions else "success"


def granted(asked: Any, read_only: bool) -> dict[str, str]:
    """The rights of a job's token; a fork's is read-only whatever it asks for."""
    if asked is None:
        rights = dict.fromkeys(READS, "read")
    elif isinstance(asked, str):
        rights = dict.fromkeys(RIGHTS, asked.removesuffix("-all"))
    else:
        rights = {key.replace("-", "_"): one for key, one in asked.items() if one != "none"}
    return {key: "read" if read_only else one for key, one in rights.items()} | {"metadata": "read"}


def is_foreign(about: dict[str, Any]) -> bool:
    """Whether the event is a pull request from a fork, or of Dependabot: no writes, no secrets."""
    if about["event_name"] != "pull_request":
        return False
    head = about["event"]["pull_request"]["head"]["repo"]
    elsewhere = head is None or head["full_name"] != about["repository"]
    return elsewhere or about["actor"] == "dependabot[bot]"
