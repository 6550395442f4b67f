"""Every page of a project as a reader sees it: on any screen, in light and dark, from one host."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import clean
from tests.browser import axe, browser, screenshot, served, type_text
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
    ask = docs / "logbook" / "asks" / "11.md"
    ask.parent.mkdir(parents=True)
    ask.write_text("# Which visits will be claimed?\n\nIt failed for want of thermometers.\n")
    shutil.copytree(TEMPLATE / "docs" / "assets", docs / "assets", dirs_exist_ok=True)
    (trained.root / "mkdocs.yml").write_text(clean.site_settings())
    assert clean.site_faults(trained.root) == []
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
                    tab.open(f"{address}/{page}.html", width, scheme)
                    where = f"{page} at {width} pixels, {scheme}"
                    screenshot(tab, f"{page.replace('/', '-')}-{width}-{scheme}")
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
                    assert axe(tab) == [], where


@pytest.mark.slow
@pytest.mark.rule("C4")
def test_search_finds_what_failed_by_keyboard_from_disk_and_from_a_server(
    site: Path, tmp_path: Path
) -> None:
    with served(site) as address, browser(tmp_path / "chromium") as tab:
        for start in (site.as_uri(), address):
            tab.open(f"{start}/index.html", 1400, "light")
            assert not tab.run("document.body.innerText.includes('Which visits')")
            type_text(tab, "/")
            tab.wait_for("document.activeElement !== document.body")
            type_text(tab, "thermom")
            results = "document.activeElement.shadowRoot.querySelectorAll('[role=option]')"
            tab.wait_for(f"{results}.length === 1 && {results}[0].href.includes('asks/11')")
            screenshot(tab, f"search-{start[:4]}")
            type_text(tab, "\n")
            tab.wait_for("document.title.startsWith('Which visits')")
            assert not tab.errors, start
            assert all(url.startswith((start, "data:")) for url in tab.requests), start
