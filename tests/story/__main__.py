"""Plays the example's story in a generated project: python -m tests.story build/demo."""

import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = (
    "1"  # as on a machine whose cores are shared: threads cost more than they bring
)

from tests.github.standin.server import Standin
from tests.github.standin.web import serve
from tests.story.team import play

github = Standin()
server = serve(github)
play(Path(sys.argv[1]), github)
server.shutdown()
assert github.violations == [], github.violations
