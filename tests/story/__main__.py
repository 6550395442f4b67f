"""Plays the example's story in a generated project: python -m tests.story build/demo."""

import os
import sys
from pathlib import Path

# Two threads take longer than one where others work, too; what is on this machine needs no proxy.
os.environ |= {"OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

from tests.github.standin.server import Standin
from tests.github.standin.web import serve
from tests.story.team import play

github = Standin()
server = serve(github)
team = play(Path(sys.argv[1]), github)
team.dslp("logbook", "export", "build/history")  # so that nothing of it needs the stand-in later
team.dslp("logbook", "build", "--from", "build/history")
server.shutdown()
assert github.violations == [], github.violations
