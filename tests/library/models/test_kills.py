"""Commands killed at random moments: nothing is lost, and the same command again puts it right."""

import json
import subprocess
import sys

import pytest

from tests.library.toy import Toy

# One process imports everything once, and forks the commands, each of which opens the registry.
RUN = """
import json, os, random, signal, sys, time
import mlflow.sklearn, skops.io, sqlalchemy, dslp.models.release
from dslp.cli import main
from dslp.core.settings import Project
from dslp.tracking.registry import Registry

def fork(act):
    if child := os.fork():
        return child
    sys.stdout = sys.stderr = open(os.devnull, "w")
    try:
        code = act()
    except SystemExit as end:
        code = end.code
    os._exit(code or 0)

def start(words):
    sys.argv = ["dslp", "model", *words.split()]
    return fork(main)

def state():
    def write():
        registry = Registry.read(Project.find(), "frequency")
        changes = [change.action for change in registry.history.changes]
        with open("state.json", "w") as file:
            json.dump([registry.in_use, changes, len(registry.releases)], file)
    assert os.waitpid(fork(write), 0)[1] == 0
    return json.load(open("state.json"))

def killed(words):
    child = start(words)
    time.sleep(draw.uniform(0, longest[words]))
    os.kill(child, signal.SIGKILL)
    survived.append(os.waitpid(child, 0)[1] == 0)
    between = state()
    began = time.monotonic()
    os.waitpid(start(words), 0)
    longest[words] = time.monotonic() - began
    return between, state()

draw, survived = random.Random(int(sys.argv[2])), []
longest = dict.fromkeys(("register", "promote", "rollback"), 1.0)
for number in range(2, int(sys.argv[1]) // 3 + 2):
    old = state()[0]["champion"]
    assert os.waitpid(start("train --candidate linear"), 0)[1] == 0
    _, (in_use, changes, versions) = killed("register")
    assert changes.count("register") == versions == number, (changes, versions, number)
    new = in_use["challenger"]
    assert (in_use["champion"], new) == (old, str(number)), in_use
    between, (in_use, changes, _) = killed("promote")
    assert between[0]["champion"] in (old, new)
    assert in_use["champion"] == new, in_use
    assert changes.count("promote") >= number, changes
    between, (in_use, changes, _) = killed("rollback")
    assert between[0]["champion"] in (old, new)
    assert in_use["champion"] == old, (in_use, old)
print(json.dumps({"injected": len(survived), "ended before": sum(survived)}))
"""


@pytest.mark.rule("M7")
@pytest.mark.parametrize("kills", [pytest.param(201, marks=pytest.mark.campaign), 3])
def test_no_kill_loses_a_version_a_champion_or_a_change(champion: Toy, kills: int) -> None:
    command = [sys.executable, "-c", RUN, str(kills), "20240601"]
    done = subprocess.run(command, cwd=champion.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert json.loads(done.stdout.splitlines()[-1])["injected"] == kills
