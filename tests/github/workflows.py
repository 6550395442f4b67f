"""Runs a workflow file here: triggers, conditions, steps and rights as GitHub would have them.

Not done: matrices of several jobs, containers and services (refused with an error), concurrency
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
LEVELS = ("none", "read", "write")
NOTHING = {"string": "", "number": 0, "boolean": False}  # an input that is not given
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
    `workflows` is the folder of files that are run by their name.
    """

    evaluator: Evaluator
    github: Standin
    folder: Path
    workflows: Path
    stubs: dict[str, Callable[[StepRun], Mapping[str, str] | None]] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    timeout: float = 120

    def run(
        self, name: str, event: str, payload: Payload, repository: Repository | None = None
    ) -> Outcome:
        """What the workflow of that file does with the event."""
        template, source = self.read(f".github/workflows/{name}")
        payload = rehost(payload, self.github.url)
        named = self.github.repositories[payload["repository"]["full_name"].lower()]
        repository = repository or named
        files = changed_files(repository, event, payload)
        if not triggers.starts(template["events"], event, payload, files):
            return Outcome(False)
        about = context_of(repository, event, payload) | {
            "workflow": source.get("name", name),
            "api_url": self.github.url,
        }
        inputs = about["event"].get("inputs") or {}
        secrets = {} if is_foreign(about) else self.secrets
        return Outcome(True, self.jobs(template, source, about, repository, inputs, secrets))

    def read(self, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A workflow file as GitHub understands it, and as it is written."""
        texts = {
            f".github/workflows/{file.name}": file.read_text(encoding="utf-8")
            for file in self.workflows.glob("*.yml")
        }
        read = self.evaluator.parse(path, texts[path], texts)
        if read["errors"]:
            raise Invalid(f"{path}: {'; '.join(read['errors'])}")
        return read["template"], read["source"]

    def jobs(
        self,
        template: dict[str, Any],
        source: dict[str, Any],
        about: dict[str, Any],
        repository: Repository,
        inputs: dict[str, Any],
        secrets: dict[str, str],
        most: dict[str, str] | None = None,
    ) -> dict[str, Job]:
        """Run the jobs of a workflow, or of one that a job with the rights `most` calls."""
        jobs: dict[str, Job] = {}
        waiting = {job["id"]: job for job in template["jobs"]}
        while waiting:
            ready = [
                one for one in waiting.values() if not set(one.get("needs", [])) & waiting.keys()
            ]
            for job in ready:
                del waiting[job["id"]]
                jobs[job["id"]] = self.job(
                    job, source, dict(about), jobs, repository, inputs, secrets, most
                )
        return jobs

    def job(
        self,
        job: dict[str, Any],
        source: dict[str, Any],
        about: dict[str, Any],
        done: dict[str, Job],
        repository: Repository,
        inputs: dict[str, Any],
        secrets: dict[str, str],
        most: dict[str, str] | None,
    ) -> Job:
        """Run one job, if its condition holds."""
        raw = source["jobs"][job["id"]]
        matrix = raw.get("strategy", {}).get("matrix", {})
        several = [name for name, values in matrix.items() if len(values) != 1]
        if unknown := [key for key in ("container", "services") if key in raw] + several:
            raise Invalid(f"job {job['id']}: this runner knows no {', '.join(unknown)}")
        asked = raw.get("permissions", source.get("permissions"))
        rights = granted(asked, is_foreign(about), most)
        token = self.github.add_workflow_token(repository, rights)
        about |= {"job": job["id"], "token": token}
        needs = {name: done[name] for name in job.get("needs", [])}
        contexts: dict[str, Any] = {
            "github": about,
            "needs": {
                name: {"result": one.conclusion, "outputs": one.outputs}
                for name, one in needs.items()
            },
            "vars": self.variables,
            "inputs": inputs,
            "matrix": {name: values[0] for name, values in matrix.items()},
        }
        resolve, evaluate = self.evaluator.resolve, self.evaluator.evaluate
        status = status_of(ancestors(job["id"], source["jobs"], done))
        name = str(resolve(job.get("name") or job["id"], contexts))
        made = Job(job["id"], name, rights=rights)
        if not evaluate(job["if"]["expr"], contexts, status)["truthy"]:
            made.conclusion = "skipped"
            return made
        if "uses" in raw:
            return self.call(made, raw, about, repository, contexts | {"secrets": secrets})
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
            self.evaluator,
            self.workflows.parents[1],
            self.folder,
            self.stubs,
            self.env,
            contexts,
            defaults,
            self.timeout,
        )
        for step, written in zip(job["steps"], raw["steps"], strict=True):
            made.steps.append(workspace.step(step, written))
        made.conclusion, made.summary = workspace.status, workspace.summary
        made.outputs = texts(resolve(job.get("outputs") or {}, contexts))
        return made

    def call(
        self,
        made: Job,
        raw: dict[str, Any],
        about: dict[str, Any],
        repository: Repository,
        contexts: dict[str, Any],
    ) -> Job:
        """Run the workflow that a job calls; the job is then all that is done there."""
        template, source = self.read(raw["uses"].removeprefix("$/"))
        resolve, declared = self.evaluator.resolve, source["on"]["workflow_call"]
        given = resolve(raw.get("with") or {}, contexts)
        inputs = {
            name: given.get(name, one.get("default", NOTHING[one["type"]]))
            for name, one in (declared.get("inputs") or {}).items()
        }
        passed = raw.get("secrets") or {}
        secrets = contexts["secrets"] if passed == "inherit" else texts(resolve(passed, contexts))
        inner = self.jobs(template, source, about, repository, inputs, secrets, made.rights)
        for job in inner.values():
            made.steps += job.steps
            made.summary += job.summary
        if "failure" in {job.conclusion for job in inner.values()}:
            made.conclusion = "failure"
        results = {name: {"outputs": job.outputs} for name, job in inner.items()}
        for name, one in (declared.get("outputs") or {}).items():
            made.outputs |= texts({name: resolve(one["value"], {"jobs": results})})
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


def granted(asked: Any, read_only: bool, most: dict[str, str] | None = None) -> dict[str, str]:
    """The rights of a job's token; a fork's is read-only whatever it asks for.

    Raises:
        Invalid: a job of a called workflow asks for more than `most`, which its caller has.
    """
    if asked is None and most is not None:
        rights = most
    elif asked is None:
        rights = dict.fromkeys(READS, "read")
    elif isinstance(asked, str):
        rights = dict.fromkeys(RIGHTS, asked.removesuffix("-all"))
    else:
        rights = {key.replace("-", "_"): one for key, one in asked.items() if one != "none"}
    rights = {key: "read" if read_only else one for key, one in rights.items()}
    for key, one in rights.items():
        if most is not None and LEVELS.index(one) > LEVELS.index(most.get(key, "none")):
            raise Invalid(f"a called job asks for {key}: {one}, which its caller has not got")
    return rights | {"metadata": "read"}


def is_foreign(about: dict[str, Any]) -> bool:
    """Whether the event is a pull request from a fork, or of Dependabot: no writes, no secrets."""
    if about["event_name"] != "pull_request":
        return False
    head = about["event"]["pull_request"]["head"]["repo"]
    elsewhere = head is None or head["full_name"] != about["repository"]
    return elsewhere or about["actor"] == "dependabot[bot]"
