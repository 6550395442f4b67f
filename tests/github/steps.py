"""Runs the steps of one job here, with the files and variables that GitHub gives them."""

import json
import os
import re
import subprocess
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
}
DO_NOTHING = ("actions/checkout", "astral-sh/setup-uv")
FILES = ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
# What a machine of GitHub's does not have: who tests here, and with which credentials.
PRIVATE = re.compile(r"(GH|GITHUB|ACTIONS|RUNNER)_|CI$|VIRTUAL_ENV$")

Stub = Callable[[dict[str, Any]], Mapping[str, str] | None]  # an action: inputs → outputs


class StepFailed(Exception):
    """The step, or the action that a stub stands for, fails."""


@dataclass
class Step:
    """What became of one step; a failure does not count where it may continue on one."""

    conclusion: str = "success"
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Workspace:
    evaluator: Evaluator
    repository: Path
    folder: Path
    stubs: Mapping[str, Stub]
    env: dict[str, str]
    contexts: dict[str, Any]
    status: str = "success"
    summary: str = ""

    def resolve(self, token: Any) -> Any:
        return self.evaluator.resolve(token, self.contexts, self.status)

    def step(self, template: dict[str, Any], source: dict[str, Any]) -> Step:
        step, job_env = Step(), self.contexts["env"]
        self.contexts["env"] = job_env | texts(self.resolve(template.get("env") or {}))
        if not self.evaluator.is_true(template["if"], self.contexts, self.status):
            step.conclusion = "skipped"
        else:
            try:
                if "uses" in template:
                    self.use(template["uses"], source.get("with") or {}, step)
                else:
                    self.execute(template["run"], SHELLS[source.get("shell", "")], step, job_env)
            except StepFailed as failed:
                step.log += f"{failed}\n"
                if not self.resolve(template.get("continue-on-error", False)):
                    step.conclusion = self.status = "failure"
        self.contexts["env"] = job_env
        self.contexts["steps"][template["id"]] = {"outputs": step.outputs}
        return step

    def use(self, uses: str, inputs: dict[str, Any], step: Step) -> None:
        """Let a stub stand for an action of somebody else; the repository's own runs."""
        action = uses.partition("@")[0]
        if uses.startswith("$/"):
            self.use_own(uses.removeprefix("$/"), inputs, step)
        elif action in self.stubs:
            step.outputs |= self.stubs[action](self.resolve(inputs)) or {}
        elif action not in DO_NOTHING:
            raise LookupError(f"no stub for `uses: {uses}`")

    def use_own(self, path: str, inputs: dict[str, Any], step: Step) -> None:
        """Run the steps of a composite action, which get their inputs and no secrets."""
        action = yaml.safe_load((self.repository / path / "action.yml").read_text("utf-8"))
        declared = action["inputs"]
        assert inputs.keys() <= declared.keys(), f"{path} has no {inputs.keys() - declared.keys()}"
        job = {"runs-on": "ubuntu-latest", "steps": action["runs"]["steps"]}
        workflow = json.dumps({"on": "push", "jobs": {"steps": job}})
        parsed, written = self.evaluator.parse(path, workflow, {})
        values = {name: one["default"] for name, one in declared.items()} | self.resolve(inputs)
        contexts = {key: one for key, one in self.contexts.items() if key != "secrets"}
        inner = replace(self, contexts={**contexts, "inputs": texts(values), "steps": {}})
        sources = written["jobs"]["steps"]["steps"]
        for template, source in zip(parsed["jobs"][0]["steps"], sources, strict=True):
            step.log += inner.step(template, source).log
        if inner.status == "failure":
            raise StepFailed(f"{path} failed")

    def execute(self, run: Any, shell: list[str], step: Step, job_env: dict[str, str]) -> None:
        """Run a script as the runner would, and read what it left."""
        with tempfile.TemporaryDirectory() as temporary:
            files = {name: Path(temporary) / name.lower() for name in FILES}
            for file in files.values():
                file.touch()
            event, script = Path(temporary) / "event.json", Path(temporary) / "script.sh"
            event.write_text(json.dumps(self.contexts["github"]["event"]), encoding="utf-8")
            script.write_text(str(self.resolve(run)), encoding="utf-8")
            env = self.environment() | {key: str(file) for key, file in files.items()}
            env |= {"GITHUB_EVENT_PATH": str(event), "RUNNER_TEMP": self.contexts["runner"]["temp"]}
            ended = subprocess.run(
                [part.format(script) for part in shell],
                cwd=self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=300,
            )
            step.log += ended.stdout.decode(errors="replace")
            step.outputs |= pairs(files["GITHUB_OUTPUT"])
            job_env |= pairs(files["GITHUB_ENV"])
            self.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        if ended.returncode:
            raise StepFailed(f"Process completed with exit code {ended.returncode}.")

    def environment(self) -> dict[str, str]:
        """The environment of a script: this machine's, without what is private to it."""
        env = {key: one for key, one in os.environ.items() if not PRIVATE.match(key)}
        github = {key: one for key, one in self.contexts["github"].items() if key != "event"}
        env |= {f"GITHUB_{key.upper()}": one for key, one in texts(github).items()}
        del env["GITHUB_TOKEN"]  # a script has it only where the workflow says so
        env |= {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(self.folder)}
        return {**env, **self.env, **self.contexts["env"]}


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as environment variables and outputs hold them."""
    return {
        key: str(one).lower() if isinstance(one, bool) else "" if one is None else str(one)
        for key, one in values.items()
    }


def pairs(file: Path) -> dict[str, str]:
    """The values in a file of outputs or variables, one a line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
