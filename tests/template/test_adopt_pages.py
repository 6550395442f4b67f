"""The pages on adopting one component after the other, as they stand, in one repository (G2)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template_copy import ROOT, Template, commit, tree

pytestmark = [pytest.mark.slow, pytest.mark.rule("G2")]

# `uv run --project .github/dslp dslp` is this library: its environment takes minutes to install.
UV = f"""#!/bin/sh
[ "$1 $2 $3 $4" = "run --project .github/dslp dslp" ] || exit 2
shift 4
exec {sys.executable} -m dslp "$@"
"""
THEIRS = {
    "README.md": "# Shop\n",
    "shop/__init__.py": "",
    ".gitignore": "/data/\n/mlruns/\n/output/\n",
}
PATH = re.compile(r"`([\w/]+\.(?:py|yml))`[^`]*\Z")


class Shop:
    """A repository of a team, and its machine."""

    def __init__(self, folder: Path, template: Template) -> None:
        """Make the repository; the process is in it."""
        self.root, tools = folder / "shop", folder / "tools"
        for name, text in THEIRS.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text, encoding="utf-8")
        commit(self.root)
        template.copy(self.root, {"existing": True})
        commit(self.root)
        tools.mkdir()
        (tools / "uv").write_text(UV, encoding="utf-8")
        (tools / "uv").chmod(0o755)
        (tools / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
        (tools / "python").chmod(0o755)
        (tools / "copier").symlink_to(Path(sys.executable).with_name("copier"))
        self.path = f"{tools}:/usr/bin:/bin"
        self.printed: dict[str, str] = {}

    def follow(self, page: str) -> str:
        """Write the files of a page, type its commands once, in their order: what is printed."""
        if page in self.printed:
            return self.printed[page]
        text, before, out = (ROOT / "docs" / "adopt" / page).read_text("utf-8"), "", ""
        for prose, kind, block in re.findall(r"(.*?)```(\w+)\n(.*?)```", text, re.DOTALL):
            before += prose
            if kind == "console":
                out += self.type(block)
            elif match := PATH.search(before):
                (self.root / match[1]).parent.mkdir(parents=True, exist_ok=True)
                (self.root / match[1]).write_text(block, encoding="utf-8")
        self.printed[page] = out
        return out

    def type(self, commands: str) -> str:
        env = {**os.environ, "PATH": self.path}
        script = f"set -e\n{commands}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.root, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def shop(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("adopting"), template)


def test_a_suite_for_what_their_job_writes(shop: Shop) -> None:
    out = shop.follow("data.md")
    assert "proposed key: customer_id" in out
    assert "customers holds" in out
    assert shop.type("uv run --project .github/dslp dslp data validate customers --json")
    assert not (shop.root / "data").exists(), "nothing is copied"


@pytest.mark.campaign
def test_runs_of_their_own_script_are_compared(shop: Shop) -> None:
    out = shop.follow("experiments.md")
    assert re.search(r"forest: 0\.\d+ better than the baseline \(95 % sure", out)


@pytest.mark.campaign
def test_a_model_of_theirs_from_training_to_rollback(shop: Shop) -> None:
    shop.follow("data.md")
    out = shop.follow("models.md")
    assert "every gate is passed" in out
    champions = re.findall(r"leaving (\S+) \(version (\d)\) is the champion", out)
    assert champions[:2] == [("1.0.0", "1"), ("1.0.1", "2")]
    assert "rolled back" in out or len(champions) == 3
    files = tree(shop.root)
    assert {name: files[name].decode() for name in THEIRS} == THEIRS
