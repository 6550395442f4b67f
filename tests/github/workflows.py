"""Runs a workflow file here: triggers, conditions, steps and rights as GitHub would have them.

It knows what the template's workflows use: no containers, services or concurrency of single jobs;
of a matrix, the first job runs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.github import events
from tests.github.evaluator import Evaluator
from tests.github.events import Payload
from tests.github.standin.model import Repository
from tests.github.standin.server import Standin
from tests.github.steps import Step, Stub, Workspace, texts

LEVELS = ("none", "read", "write")
NOTE = re.compile(r"^\s*::(?:error|warning|notice)[^:]*::(.*)$", re.MULTILINE)


@dataclass
class Job:
    """What became of one job: a check of that name and conclusion."""

    name: str
    rights: dict[str, str]
    conclusion: str = "success"
    steps: list[Step] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    environment: str = ""
    summary: str = ""

    @property
    def annotations(self) -> list[str]:
        return NOTE.findall(self.log)

    @property
    def log(self) -> str:
        return "".join(step.log for step in self.steps)


@dataclass
class Outcome:
    """What a workflow did with an event; no jobs when the event did not start it."""

    jobs: dict[str, Job] = field(default_factory=dict)
    is_cancelled: bool = False

    @property
    def conclusions(self) -> dict[str, str]:
        return {job.name: job.conclusion for job in self.jobs.values()}

    def __str__(self) -> str:
        return "\n".join(f"{one.name}: {one.conclusion}\n{one.log}" for one in self.jobs.values())


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

    def run(self, name: str, event: str, payload: Payload) -> Outcome:
        return self.run_at_once(name, (event, payload))[0]

    def run_at_once(self, name: str, *happened: tuple[str, Payload]) -> list[Outcome]:
        """What becomes of events that follow so closely that no run ends before the last event.

        In a concurrency group one run goes on and one waits. A later one takes the place of the one
        that waits; with `cancel-in-progress`, of both; with `queue: max`, a hundred wait. What is
        not cancelled is run one after the other.
        """
        template, source = self.read(f".github/workflows/{name}")
        outcomes = [Outcome() for _ in happened]
        starts: dict[int, Start] = {}
        groups: dict[str, list[int]] = {}
        for number, (event, payload) in enumerate(happened):
            repository = self.github.repositories[payload["repository"]["full_name"].lower()]
            if not events.starts(repository, template["events"], event, payload):
                continue
            start = starts[number] = self.start(repository, event, payload, source["name"])
            contexts = {"github": start.github, "inputs": start.inputs, "vars": self.variables}
            rule = self.evaluator.resolve(template.get("concurrency"), contexts)
            rule = {"group": rule} if isinstance(rule, str) else rule or {"group": f"run {number}"}
            group = groups.setdefault(rule["group"].lower(), [])
            room = 100 if rule.get("queue") == "max" else 1
            for replaced in group[0 if rule.get("cancel-in-progress") else room :]:
                group.remove(replaced)
                outcomes[replaced].is_cancelled = True
                del starts[replaced]
            group.append(number)
        for number, start in starts.items():
            outcomes[number].jobs = self.jobs(template, source, start)
            checks = start.repository.checks.setdefault(events.judged_commit(start.github), {})
            checks |= outcomes[number].conclusions
        return outcomes

    def start(self, repository: Repository, event: str, payload: Payload, workflow: str) -> Start:
        github = events.github_context(repository, event, payload)
        github |= {"workflow": workflow, "run_id": str(next(self.github.ids))}
        github["api_url"] = self.github.url
        secrets = {} if events.is_restricted(github) else self.secrets
        return Start(github, repository, payload.get("inputs") or {}, secrets)

    def read(self, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A workflow file as GitHub understands it, and as it is written."""
        files = self.workflows.glob("*.yml")
        sources = {f".github/workflows/{file.name}": file.read_text("utf-8") for file in files}
        return self.evaluator.parse(path, sources[path], sources)

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
        raw = source["jobs"][template["id"]]
        wanted = raw.get("permissions", source.get("permissions", start.most))
        job = Job(template["id"], granted(wanted, events.is_restricted(start.github), start.most))
        token = self.github.add_workflow_token(start.repository, job.rights)
        needs = {name: ended[name] for name in template.get("needs", [])}
        matrix = raw.get("strategy", {}).get("matrix", {})
        contexts: dict[str, Any] = {
            "github": {**start.github, "job": job.name, "token": token},
            "needs": {n: {"result": j.conclusion, "outputs": j.outputs} for n, j in needs.items()},
            "vars": self.variables,
            "inputs": start.inputs,
            "matrix": {name: values[0] for name, values in matrix.items()},
        }
        before = {ended[name].conclusion for name in ancestors(raw, source["jobs"])}
        status = next((bad for bad in ("failure", "skipped") if bad in before), "success")
        if not self.evaluator.is_true(template["if"], contexts, status):
            job.conclusion = "skipped"
            return job
        environment = template.get("environment") or ""  # its address is of what the steps did
        name = (
            environment.get("name", environment) if isinstance(environment, dict) else environment
        )
        job.environment = self.evaluator.resolve(name, contexts) or ""
        contexts["secrets"] = start.secrets
        if "uses" in raw:
            return self.call(job, raw, start, contexts)
        contexts |= {
            "secrets": {**start.secrets, "GITHUB_TOKEN": token},
            "runner": {"temp": str(self.folder)},
            "steps": {},
            "env": texts(self.evaluator.resolve(template.get("env") or {}, contexts)),
        }
        workspace = Workspace(
            self.evaluator, self.workflows.parents[1], self.folder, self.stubs, self.env, contexts
        )
        for step, written in zip(template["steps"], raw["steps"], strict=True):
            job.steps.append(workspace.step(step, written))
        job.conclusion, job.summary = workspace.status, workspace.summary
        job.outputs = texts(self.evaluator.resolve(template.get("outputs") or {}, contexts))
        return job

    def call(self, job: Job, raw: dict[str, Any], start: Start, contexts: dict[str, Any]) -> Job:
        """Run the workflow that a job calls, with its secrets; the job is all that it does."""
        template, source = self.read(raw["uses"].removeprefix("$/"))
        inputs = self.evaluator.resolve(raw["with"], contexts)
        inner = Start(start.github, start.repository, inputs, start.secrets, job.rights)
        for each in self.jobs(template, source, inner).values():
            job.steps += each.steps
            job.summary += each.summary
            job.environment = each.environment
            if each.conclusion == "failure":
                job.conclusion = "failure"
        return job


def ancestors(raw: dict[str, Any], jobs: dict[str, Any]) -> set[str]:
    needs = raw.get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(ancestors(jobs[name], jobs) for name in direct))


def granted(
    wanted: Mapping[str, str], read_only: bool, most: Mapping[str, str] | None
) -> dict[str, str]:
    """The rights of a job's token: a fork's is read-only, a called job's at most its caller's."""
    rights = {key.replace("-", "_"): "read" if read_only else one for key, one in wanted.items()}
    if most is not None:
        for key, one in rights.items():
            assert LEVELS.index(one) <= LEVELS.index(most.get(key, "none")), f"caller has no {key}"
    return rights
