"""GitHub's own workflow parser and expression evaluator, kept running in a Node process."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.node import Missing, node

HERE = Path(__file__).parent


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

    def parse(self, name: str, text: str, called: dict[str, str]) -> dict[str, Any]:
        """A workflow file: `errors`, and without any its `template` and its `source`.

        Those that it may call are given by their path in the repository.
        """
        return self.ask(parse=text, name=name, called=called)

    def is_true(self, condition: Any, contexts: dict[str, Any], status: str) -> bool:
        """Whether an `if` of a workflow file holds."""
        answer = self.ask(evaluate=condition["expr"], contexts=contexts, status=status)
        return bool(answer["truthy"])

    def resolve(self, token: Any, contexts: dict[str, Any], status: str = "success") -> Any:
        """A value of a workflow file with its expressions evaluated."""
        if isinstance(token, list):
            return [self.resolve(one, contexts, status) for one in token]
        if not isinstance(token, dict):
            return token
        if token.keys() == {"expr"}:
            return self.ask(evaluate=token["expr"], contexts=contexts, status=status)["value"]
        return {key: self.resolve(one, contexts, status) for key, one in token.items()}
