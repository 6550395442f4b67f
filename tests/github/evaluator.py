"""GitHub's own workflow parser and expression evaluator, kept running in a Node process."""

import json
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Evaluator:
    def __init__(self, modules: Path) -> None:
        command = ["node", str(HERE / "evaluate.mjs"), str(modules)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert "error" not in answer, f"{answer} (in {str(question)[:200]})"
        return answer

    def parse(
        self, name: str, text: str, called: dict[str, str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """A workflow file as GitHub understands it, and as it is written.

        Those that it may call are given by their path in the repository.
        """
        answer = self.ask(parse=text, name=name, called=called)
        assert not answer["errors"], f"{name}: {answer['errors']}"
        return answer["template"], answer["source"]

    def is_true(self, condition: Any, contexts: dict[str, Any], status: str) -> bool:
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
