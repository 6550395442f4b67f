"""Runs the steps of one job on this machine, with the files and commands that GitHub gives them."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from tests.github.evaluator import Evaluator

SHELLS = {
    "": ["bash", "-e", "{0}"],
    "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail", "{0}"],
    "sh": ["sh", "-e", "{0}"],
    "python": [sys.executable, "{0}"],
}
DO_NOTHING = ("actions/checkout", "astral-sh/setup-uv", "actions/setup-python")
CONTEXT = (
    *("action", "actor", "api_url", "base_ref", "event_name", "head_ref", "job", "ref", "ref_name"),
    *("ref_type", "repository", "repository_owner", "run_attempt", "run_id", "run_number"),
    *("server_url", "sha", "triggering_actor", "workflow"),
)
# What a machine of GitHub's does not have: who tests here, and with which credentials.
PRIVATE = re.compile(r"(GH|GITHUB|ACTIONS|RUNNER)_|CI$|VIRTUAL_ENV$")


class StepFailed(Exception):
    """Raised by a stub whose action fails."""


@dataclass(frozen=True)
class StepRun:
    """What a stub of an action is told."""

    uses: str
    inputs: dict[str, Any]
    env: dict[str, str]
    folder: Path


@dataclass(frozen=True)
class Annotation:
    """A remark that GitHub shows beside the code or the run."""

    level: str
    message: str
    title: str = ""
    file: str = ""
    line: str = ""


@dataclass
class Step:
    """What became of one step; `outcome` is before `continue-on-error`, `conclusion` after."""

    id: str
    name: str
    outcome: str = "success"
    conclusion: str = "success"
    command: str = ""
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    annotations: list[Annotation] = field(default_factory=list)


@dataclass
class Workspace:
    """The state that the steps of a job share."""

    evaluator: Evaluator
    repository: Path
    folder: Path
    stubs: dict[str, Callable[[StepRun], Mapping[str, str] | None]]
    env: dict[str, str]
    contexts: dict[str, Any]
    defaults: dict[str, Any]
    timeout: float
    status: str = "success"
    summary: str = ""
    paths: list[str] = field(default_factory=list)

    def step(self, step: dict[str, Any], written: dict[str, Any]) -> Step:
        """Run one step, if its condition holds."""
        resolve = self.evaluator.resolve
        self.contexts["job"] = {"status": self.status}
        kept = self.contexts["env"]
        own = resolve(step.get("env") or {}, self.contexts, self.status)
        self.contexts["env"] = {**kept, **{key: text(one) for key, one in own.items()}}
        name = step.get("name") or step.get("uses") or step["id"]
        made = Step(step["id"], str(resolve(name, self.contexts, self.status)))
        condition = self.evaluator.evaluate(step["if"]["expr"], self.contexts, self.status)
        if condition["truthy"]:
            try:
                if "uses" in step:
                    self.use(step["uses"], written, made)
                else:
                    self.execute(step["run"], written, made, kept)
            except StepFailed as failed:
                made.outcome = "failure"
                made.log += f"{failed}\n"
            lenient = resolve(step.get("continue-on-error", False), self.contexts, self.status)
            made.conclusion = "success" if lenient else made.outcome
            if made.conclusion == "failure":
                self.status = "failure"
        else:
            made.outcome = made.conclusion = "skipped"
        self.contexts["env"] = kept
        self.contexts["steps"][made.id] = {
            "outcome": made.outcome,
            "conclusion": made.conclusion,
            "outputs": made.outputs,
        }
        return made

    def use(self, uses: str, written: dict[str, Any], made: Step) -> None:
        """Let a stub stand for an action of somebody else; the repository's own runs."""
        action = uses.partition("@")[0]
        made.command = uses
        if uses.startswith("$/"):
            self.use_own(uses.removeprefix("$/"), written.get("with") or {}, made)
        elif stub := self.stubs.get(action):
            inputs = self.evaluator.resolve(written.get("with") or {}, self.contexts, self.status)
            said = stub(StepRun(uses, inputs, self.contexts["env"], self.folder))
            made.outputs |= said or {}
        elif action not in DO_NOTHING:
            raise LookupError(f"no stub for `uses: {uses}`")

    def use_own(self, path: str, given: dict[str, Any], made: Step) -> None:
        """Run the steps of a composite action, which get their inputs and no secrets."""
        action = yaml.safe_load((self.repository / path / "action.yml").read_text("utf-8"))
        steps, declared = action["runs"]["steps"], action.get("inputs", {})
        assert action["runs"]["using"] == "composite", path
        assert "outputs" not in action, f"{path}: this runner knows no outputs of an action"
        assert all("shell" in step for step in steps if "run" in step), (
            f"{path}: a shell is missing"
        )
        assert given.keys() <= declared.keys(), f"{path} has no inputs {given.keys() - declared}"
        job = {"runs-on": "ubuntu-latest", "steps": steps}
        text_of_it = json.dumps({"on": "push", "jobs": {"steps": job}})
        read = self.evaluator.parse(path, text_of_it, {})
        assert not read["errors"], read["errors"]
        values = self.evaluator.resolve(given, self.contexts, self.status)
        inputs = {name: text(values.get(name, one["default"])) for name, one in declared.items()}
        contexts = {key: one for key, one in self.contexts.items() if key != "secrets"}
        inner = replace(self, contexts={**contexts, "inputs": inputs, "steps": {}}, summary="")
        written = read["source"]["jobs"]["steps"]["steps"]
        for one, source in zip(read["template"]["jobs"][0]["steps"], written, strict=True):
            step = inner.step(one, source)
            made.log += step.log
            made.annotations += step.annotations
        self.summary += inner.summary
        if inner.status == "failure":
            raise StepFailed(f"{path} failed")

    def execute(
        self, run: Any, written: dict[str, Any], made: Step, shared: dict[str, str]
    ) -> None:
        """Run a script as the runner would, and read what it left."""
        resolve = self.evaluator.resolve
        asked = resolve({**self.defaults, **written_run(written)}, self.contexts, self.status)
        made.command = text(resolve(run, self.contexts, self.status))
        with tempfile.TemporaryDirectory() as temporary:
            files = {
                name: Path(temporary) / name.lower()
                for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")
            }
            for file in files.values():
                file.touch()
            event = Path(temporary) / "event.json"
            event.write_text(json.dumps(self.contexts["github"]["event"]), encoding="utf-8")
            script = Path(temporary) / "script.sh"
            script.write_text(made.command, encoding="utf-8", newline="\n")
            env = self.environment() | {key: str(file) for key, file in files.items()}
            env |= {"GITHUB_EVENT_PATH": str(event), "RUNNER_TEMP": self.contexts["runner"]["temp"]}
            shell = [part.format(script) for part in SHELLS[asked.get("shell", "")]]
            try:
                done = subprocess.run(
                    shell,
                    cwd=self.folder / asked.get("working-directory", "."),
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=self.timeout,
                )
            except subprocess.TimeoutExpired as late:
                raise StepFailed(f"the step took longer than {self.timeout} s") from late
            made.log += done.stdout.decode(errors="replace")
            listen(made)
            made.outputs |= pairs(files["GITHUB_OUTPUT"].read_text(encoding="utf-8"))
            shared |= pairs(files["GITHUB_ENV"].read_text(encoding="utf-8"))
            self.paths += files["GITHUB_PATH"].read_text(encoding="utf-8").split()
            self.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        if done.returncode:
            raise StepFailed(f"Process completed with exit code {done.returncode}.")

    def environment(self) -> dict[str, str]:
        """The environment of a script: this machine's, without what is private to it."""
        env = {key: one for key, one in os.environ.items() if not PRIVATE.match(key)}
        github = self.contexts["github"]
        env |= {f"GITHUB_{name.upper()}": text(github.get(name)) for name in CONTEXT}
        env |= {"CI": "true", "GITHUB_ACTIONS": "true", "RUNNER_OS": "Linux"}
        env["GITHUB_WORKSPACE"] = str(self.folder)
        env |= {**self.env, **self.contexts["env"]}
        env["PATH"] = os.pathsep.join([*reversed(self.paths), env.get("PATH", "")])
        return env


def written_run(written: dict[str, Any]) -> dict[str, Any]:
    """How a step says it is to be run."""
    return {key: one for key, one in written.items() if key in ("shell", "working-directory")}


def text(value: Any) -> str:
    """A value as an environment variable holds it."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def pairs(said: str) -> dict[str, str]:
    """The values in a file of outputs or variables, one a line or between two delimiters."""
    found: dict[str, str] = {}
    lines = iter(said.splitlines())
    for line in lines:
        name, heredoc, delimiter = line.partition("<<")
        if heredoc and "=" not in name:
            block: list[str] = []
            for inner in lines:
                if inner == delimiter:
                    break
                block.append(inner)
            else:
                raise StepFailed(f"Invalid value. Matching delimiter not found '{delimiter}'")
            found[name] = "\n".join(block)
        elif line:
            name, equals, value = line.partition("=")
            if not equals:
                raise StepFailed(f"Invalid format '{line}'")
            found[name] = value
    return found


def listen(step: Step) -> None:
    """Take the commands that a script printed, as the runner reads them on every line."""
    stopped = ""
    for line in step.log.splitlines():
        command = re.match(r"\s*::([\w-]+)((?: [^:]*)?)::(.*)", line)
        if stopped:
            stopped = "" if line.strip() == f"::{stopped}::" else stopped
        elif command:
            name, message = command[1], unescape(command[3])
            given = dict(one.strip().split("=", 1) for one in command[2].split(",") if "=" in one)
            values = {key: unescape(one) for key, one in given.items()}
            if name in ("error", "warning", "notice"):
                known = {
                    key: one for key, one in values.items() if key in ("title", "file", "line")
                }
                step.annotations.append(Annotation(name, message, **known))
            elif name == "set-output" and "name" in values:  # deprecated, and still obeyed
                step.outputs[values["name"]] = message
            elif name == "stop-commands":
                stopped = message


def unescape(said: str) -> str:
    """The characters that a command cannot hold as they are."""
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        said = said.replace(code, character)
    return said
