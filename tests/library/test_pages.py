"""Every page of a project as a reader sees it: on any screen, in light and dark, from one host."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.browser import browser, served
from tests.library.data.test_profile import HOSTILE, TEMPLATE
from tests.library.models.test_monitor import month
from tests.library.toy import Toy

SCRIPT = "<script>alert(1)</script> [x](javascript:y) `a` | *b* ${{ c }} \u202e"
PAGES = ("experiments/lines", "models/frequency", "monitoring/frequency", "data/visits")


@pytest.fixture
def site(trained: Toy) -> Path:
    """The site of a project that has each page, with hostile text wherever text can be."""
    trained.edit(trained.dataset / "datasheet.md", "They are made up.", f'"{SCRIPT[:-2]}"')
    trained.done("experiment", "run", "--issue", "14")
    docs = trained.root / "docs"
    trained.done("experiment", "compare", "--issue", "14", "--page", "docs/experiments/lines.md")
    trained.done("model", "register")
    trained.done("model", "promote", "--why", SCRIPT)
    trained.done("model", "card")
    report = ("--report", "docs/monitoring/frequency.md")
    trained.run("model", "monitor", "--data", str(month(trained, amount=9.5)), *report)
    pq.write_table(pa.table(HOSTILE), trained.processed)
    trained.done("data", "profile")
    (docs / "index.md").write_text("# Start\n")
    settings = (TEMPLATE / "mkdocs.yml.jinja").read_text(encoding="utf-8").split("theme:")[1]
    (trained.root / "mkdocs.yml").write_text(f"site_name: toy\ntheme:{settings}")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(command, cwd=trained.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return trained.root / "site"


@pytest.mark.slow
@pytest.mark.rule("D5", "M9", "M11")
def test_a_page_fits_each_screen_and_runs_and_fetches_nothing_of_others(
    site: Path, tmp_path: Path
) -> None:
    with served(site) as address, browser(tmp_path / "chromium") as tab:
        for page in PAGES:
            for width in (360, 1400):
                for scheme in ("light", "dark"):
                    tab.open(f"{address}/{page}/", width, scheme)
                    where = f"{page} at {width} pixels, {scheme}"
                    assert not tab.errors, where
                    own = (address, "data:")
                    assert all(url.startswith(own) for url in tab.requests), where
                    assert tab.run("document.documentElement.scrollWidth <= innerWidth"), where
                    assert tab.run("document.images.length") >= 1, where
                    drawn = "[...document.images].every(image => image.naturalWidth > 0)"
                    assert tab.run(drawn), where
                    active = "img[src='x'], [onerror], [href^='javascript'], article script"
                    assert tab.run(f'document.querySelectorAll("{active}").length') == 0, where
                    ground = tab.run("getComputedStyle(document.body).backgroundColor")
                    assert (ground == "rgb(255, 255, 255)") == (scheme == "light"), where
