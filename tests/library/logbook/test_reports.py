"""Reports: figures by reference, as they were on a report's date, or a finding for each."""

import re
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import markdown
import pytest
from dslp.core.report import Finding
from dslp.core.settings import Project
from dslp.logbook.events import Logbook
from dslp.logbook.pages import slug, write_pages
from dslp.logbook.reports import render_reports
from dslp.logbook.story import build_stories
from dslp.logbook.tracking_source import LEFT_OUT, read_tracking

from tests import clean
from tests.library.logbook.scene import claims
from tests.library.toy import Toy
from tests.template_copy import ROOT

HEAD = "---\ntitle: October\naudience: Planners\ndecision: Which\ndate: {}\nask: 11\n---\n"
# The runs of the scene: 3 and 4 are of boosted trees, 5 is linear, 9 and 10 are trainings.
RUN = {number: f"{number:032x}"[::-1] for number in range(20)}
STALE = "<small>(as of 1 July 2026; {})</small>"


@pytest.fixture(scope="module")
def book() -> Logbook:
    """The scene, where the first 8 letters of a run's id tell it apart."""
    logbook = claims().logbook
    runs = tuple(replace(run, id=run.id[::-1]) for run in logbook.runs)
    versions = tuple(replace(one, run=one.run[::-1]) for one in logbook.versions)
    return replace(logbook, runs=runs, versions=versions)


def render(
    book: Logbook, root: Path, text: str, on: str = "2026-07-01"
) -> tuple[str, list[Finding]]:
    """The page of a report with this text, and what is wrong with it."""
    file, pages = root / "reports" / "x.md", root / "docs" / "logbook"
    file.parent.mkdir(exist_ok=True)
    file.write_text(HEAD.format(on) + text, encoding="utf-8", newline="")
    project = Project(root, "claims", root / "data")
    findings = render_reports(project, book, build_stories(book), pages)
    page = (pages / "reports" / "x.md").read_text(encoding="utf-8")
    return page, [one for one in findings if one.severe]


def filled(book: Logbook, root: Path, directive: str, on: str = "2026-07-01") -> str:
    """What takes the place of a directive."""
    page, findings = render(book, root, f"so: {directive}\n", on)
    assert findings == []
    return page.split("\nso: ")[1].split("\n")[0]


@pytest.mark.rule("C3")
def test_a_figure_is_what_was_recorded_and_leads_to_its_record(
    book: Logbook, tmp_path: Path
) -> None:
    def figure(directive: str) -> tuple[str, str]:
        match = re.match(r"<bdi>\[(.*?)\]\(\.\./(\S+)\)</bdi>", filled(book, tmp_path, directive))
        assert match, directive
        return match[1], match[2]

    run, model = f"run:{RUN[4][:8]}", "model:claim_frequency@1.0.0"
    place = f"asks/11.md#run-{RUN[4][:8]}"
    # (0.92 · 2.4 + 0.92 · 2.5 + 2.1 + 2.4 + 2.2) / 5 = 2.2416, and of the mean 12.2 / 5 = 2.44
    assert figure(f"{{{run} deviance}}") == ("2.242", place)
    text, where = figure(f"{{{run}\n  improvement}}")  # 1 - 2.2416 / 2.44 = 0.0813
    assert (text[:36], where) == ("8.1 % better than the baseline (95 %", place)
    assert figure(f"{{{run} split.seed}}") == ("1", place)
    text, where = figure(f"{{{model} improvement}}")
    assert re.search(r"^8\.1 % better .*3\.5 and 12\.7 % better\)$", text), (
        "the interval that was recorded"
    )
    assert where == "models/claim_frequency.md#version-1"
    assert figure(f"{{{model}}}") == ("claim_frequency 1.0.0", where)
    assert figure("{dataset:claims@1.0.0 rows}") == (
        "20,190",
        f"datasets/claims.md#version-{slug('1.0.0')}",
    )
    assert figure("{ask:#11}") == ("Predict the visits of a year", "asks/11.md")
    page, _ = render(book, tmp_path, f"{{{run} deviance}} {{{run} improvement}}")
    source = f"- [<bdi>run {RUN[4][:8]}</bdi>](../{place}), 25 January 2026, data <bdi>claims 1.0.0"
    commit = f"{book.repository}/commit/{2004:040x}"
    assert f"{source}</bdi>, code [0000000]({commit}): <bdi>deviance</bdi>, <bdi>" in page
    assert "- **For:** <bdi>Planners</bdi>\n- **Decision:** <bdi>Which</bdi>\n" in page


@pytest.mark.rule("C3")
def test_a_figure_says_what_has_moved_on_and_stays_as_it_was_on_its_date(
    book: Logbook, tmp_path: Path
) -> None:
    def mark(directive: str, on: str = "2026-07-01") -> str:
        return filled(book, tmp_path, directive, on).partition("</bdi>")[2].strip()

    newer, in_use = "claims 1.1.0 is newer", "claim_frequency 1.0.0 is in use"
    assert mark("{dataset:claims@1.1.0 rows}") == mark("{dataset:claims@1.0.0}") == ""
    assert mark("{dataset:claims@1.0.0 rows}") == STALE.format(newer)
    assert mark("{model:claim_frequency@1.0.0 improvement}") == STALE.format(newer)
    assert mark("{model:claim_frequency@1.0.1 improvement}") == STALE.format(in_use)
    assert mark(f"{{run:{RUN[10][:8]} holdout_deviance}}") == STALE.format(in_use)
    assert mark("{plot:16}") == STALE.format(newer)
    # On 21 January, run 3 was the newest of its candidate; run 4 followed on 25 January.
    for on in ("2026-01-21", "2026-07-01"):  # (0.9 · 4.9 + 6.6) / 5 = 2.202, 1 - 2.202 / 2.44
        own = filled(book, tmp_path, f"{{run:{RUN[3][:8]} improvement}}", on)
        assert own.startswith("<bdi>[9.8 % better")
    assert "![boosted: 9.8 % better" in filled(book, tmp_path, "{plot:16}", "2026-01-21")
    picture = tmp_path / "docs" / "logbook" / "reports" / "x" / "issue-16.svg"
    before = picture.read_text(encoding="utf-8")
    assert "![boosted: 8.1 % better" in filled(book, tmp_path, "{plot:16}")
    assert "+9.8 %" in before
    assert "+8.1 %" in picture.read_text(encoding="utf-8")
    # A sweep that ended later chose the settings of run 4.
    scene, sentence = claims(), f"{{run:{RUN[4][:8]} sentence}}"
    scene.run(90, "sweep", 99, metrics={"trials": 7.0, "failed": 0.0}, best=RUN[4])
    swept = replace(book, runs=(*book.runs, scene.runs[-1]))
    assert "the best of 7 trials" in filled(swept, tmp_path, sentence)
    then = [filled(one, tmp_path, sentence, "2026-02-01") for one in (book, swept)]
    assert then[0] == then[1]


@pytest.mark.rule("C3")
@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a\n\n{run:9000000 improvement}", 10, "'run:9000000' is not in the record; do you mean"),
        ("{run:40000000 devianz}", 8, "'devianz' is not in the record; do you mean deviance? "),
        ("{model:claim_frequency improvement}", 8, "do you mean model:claim_frequency@1.0.1? "),
        ("{dataset:claim@1.0.0 rows}", 8, "do you mean dataset:claims@1.0.0? "),
        ("| a |\n| - |\n| {ask:12} |", 10, "'ask:12' is not in the record; "),
        ("{Model:x y}", 8, "no figures of this kind; do you mean model? "),
        ("> {modle:\n> x}", 8, "no figures of this kind; do you mean model? "),
        ("{ask:11 state\n\nb", 8, "end with }"),
        ("- ` a\n- {ask:11 x} `", 9, "'x' is not in the record"),
        ("` a\n\n{ask:11 x} `", 10, "'x' is not in the record"),
        ("!!! note\n\n    b {plot:17 x}", 10, "'x' is not in the record"),
        ("{plot:99}", 8, "'plot:99' is not in the record; do you mean plot:"),
        ("{plot:12}", 8, "nothing of it was compared with a baseline by 20 February 2026"),
        (f"{{run:{RUN[10][:8]} improvement}}", 8, "it is of 26 March 2026, after the report's"),
        ("{model:claim_frequency@1.0.1}", 8, "it is of 27 March 2026, after the report's date"),
        ("```\n{ask:11}", 8, "this block of code has no end"),
        ("\\\\{run:x}", 8, "'run:x' is not in the record"),
    ],
)
def test_a_directive_without_a_record_is_a_finding_with_its_line(
    book: Logbook, tmp_path: Path, text: str, line: int, message: str
) -> None:
    _, (finding,) = render(book, tmp_path, text, "2026-02-20")
    assert finding.subject == f"reports/x.md:{line}"
    assert message in finding.problem


@pytest.mark.rule("C3")
@pytest.mark.parametrize("on", ["2026-01-19", "2026-02-16", "2026-03-28"])
def test_what_was_recorded_later_changes_nothing_but_the_marks(
    book: Logbook, tmp_path: Path, on: str
) -> None:
    text = "\n".join(
        f"{{run:{RUN[n][:8]}{figure}}}" for n in (3, 4, 9) for figure in ("", " improvement")
    )
    text += "\n{plot:16}\n{plot:18}\n{dataset:claims@1.0.0 rows}\n{ask:11}\n"
    text += "{model:claim_frequency@1.0.0 improvement}\n{model:claim_frequency@1.0.1}"
    same_name = replace(book.runs[3], id=RUN[3][:8] + "0" * 24, start=book.read, end=book.read)
    whole = replace(book, runs=(*book.runs, same_name))
    at = datetime.fromisoformat(f"{on}T23:59:59+00:00")
    before = replace(
        book,
        runs=tuple(run for run in book.runs if run.end and run.end < at),
        versions=tuple(one for one in book.versions if one.created < at),
        changes=tuple(one for one in book.changes if one.at < at),
    )
    pages = list[object]()
    for logbook in (before, whole):
        page, _ = render(logbook, tmp_path, text, on)
        pictures = (tmp_path / "docs" / "logbook" / "reports").rglob("*.svg")
        pages.append(
            [re.sub(r" <small>.*?</small>", "", page), *(p.read_bytes() for p in sorted(pictures))]
        )
    assert pages[0] == pages[1]


@pytest.mark.rule("C3")
def test_where_mlflow_was_not_read_the_build_goes_on(book: Logbook, tmp_path: Path) -> None:
    bare = replace(book, runs=(), versions=(), changes=(), notes=(f"{LEFT_OUT}: x.",))
    names = ("run:12345678 deviance", "model:a@1.0.0", "dataset:claims@1.0.0 rows", "plot:16")
    text = "\n\n".join(f"{{{name}}}" for name in names)
    page, findings = render(bare, tmp_path, text)
    assert findings == []
    assert page.count("<em>not available here</em>") == len(names)
    _, findings = render(bare, tmp_path, "{run:x\n\n{rum:x}")
    assert len(findings) == 2, "what is written wrong is wrong everywhere"
    _, findings = render(replace(bare, notes=()), tmp_path, text)
    assert len(findings) == len(names)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{ask:11}", "begins with a head between two ---"),
        ("# October\n" + HEAD.format("2026-03-03"), "begins with a head between two ---"),
        (HEAD.format("March"), "a date such as 2026-03-03"),
        (HEAD.format("2026-02-30"), "the head"),
        (HEAD.replace("date: {}\n", ""), "a date such as 2026-03-03"),
        (HEAD.format("2999-01-01"), "the date of the report, 2999-01-01, is in the future"),
    ],
)
def test_a_report_without_a_head_or_a_date_is_named_and_other_pages_are_left_alone(
    book: Logbook, tmp_path: Path, text: str, problem: str
) -> None:
    render(book, tmp_path, "")
    for name, other in (("a", "# {ours: too}\n"), ("b", "---\nlayout: post\n---\n"), ("x", text)):
        (tmp_path / "reports" / f"{name}.md").write_text(other)
    pages, project = tmp_path / "docs" / "logbook", Project(tmp_path, "claims", tmp_path / "data")
    (finding,) = render_reports(project, book, (), pages)
    assert (finding.severe, finding.subject) == (True, "reports/x.md:1")
    assert problem in finding.problem
    assert list(pages.iterdir()) == []


def test_code_comments_and_all_that_is_no_directive_stay_as_they_are(
    book: Logbook, tmp_path: Path
) -> None:
    kept = ["```\n{run:x}\n```", "~~~~ md\n{run:x}\n~~~\n\n~~~~", "`{run:x}`", "``a ` {run:x}``"]
    kept += ["\\{run:x}", "<!-- {run:x} -->", "{: .wide }", "{{ a }} {% b %}", "$\\frac{run}{x}$"]
    kept += ["$x_{i:j}$ {good: yes}", "- ```\n  {run:x}\n  ```", "> ~~~\n> {run:x}\n> ~~~"]
    kept += ["שלום **לך**, {#b}", "- a\n\n    `b` <b>c</b>\n- d", "| a |\n| - |\n| `|` |"]
    body = "\n\n".join(kept)
    page, findings = render(book, tmp_path, body.replace("\n", "\r\n"))
    assert findings == []
    assert page.endswith(f"1 July 2026\n- **Question:** [Ask #11](../asks/11.md)\n\n{body}\n")
    file = tmp_path / "reports" / "x.md"
    lines = file.read_text(encoding="utf-8").replace("\n", "\r\n")
    file.write_text(f"\ufeff\r\n{lines}", encoding="utf-8", newline="")
    render_reports(Project(tmp_path, "claims", tmp_path), book, (), tmp_path / "docs" / "logbook")
    assert (
        "- **Decision:** <bdi>Which</bdi>" in (tmp_path / "docs/logbook/reports/x.md").read_text()
    )


@pytest.mark.rule("C4")
def test_what_people_and_machines_wrote_is_shown_as_text(book: Logbook, tmp_path: Path) -> None:
    run = book.runs[-1]
    evil = {"javascript:alert(1)": "](javascript:alert(1)) <img src=x onerror=alert(1)>"}
    tags = {**run.tags, "dslp.commit": "f" * 40, "dslp.dataset": "<b>](x)"}
    runs = (replace(run, params=evil, tags=tags), *book.runs[:-1])
    hostile = replace(book, runs=runs, repository="https://x.org/a)](b")
    name = f"run:{run.id[:8]}"
    text = f"שלום {{ask:51}} לך, {{{name} javascript:alert(1)}} {{{name}}}"
    page, findings = render(hostile, tmp_path, text)
    assert findings == []
    html = markdown.markdown(page)
    assert set(re.findall(r"<(\w+)", html)) == {"h1", "h2", "ul", "li", "strong", "p", "bdi", "a"}
    places = re.findall(r'href="([^"]*)"', html)
    assert {place.split("/")[0] for place in places} == {"..", "https:"}, places
    assert f"https://x.org/a%29%5D%28b/commit/{'f' * 40}" in places
    assert page.count("<bdi>[") == 3, "a figure in another script than its line is set apart"
    assert "\u202e" not in page
    _, (finding,) = render(hostile, tmp_path, f"{{{name} <script>\u202e}}")
    assert "\n" not in finding.problem


@pytest.mark.slow
@pytest.mark.rule("C3", "C4")
def test_each_link_of_a_report_has_its_place_on_the_site(book: Logbook, tmp_path: Path) -> None:
    text = f"{{run:{RUN[4][:8]} deviance}} {{model:claim_frequency@1.0.0}} {{ask:11}}\n\n"
    text += "{plot:16}\n\n## {dataset:claims@1.0.0 rows} rows\n\n!!! note\n\n    {ask:34}"
    assert render(book, tmp_path, text)[1] == []
    project, docs = Project(tmp_path, "claims", tmp_path / "data"), tmp_path / "docs"
    write_pages(project, book, build_stories(book), docs / "logbook")
    shutil.copytree(ROOT / "template" / "docs" / "assets", docs / "assets")
    (tmp_path / "mkdocs.yml").write_text(clean.site_settings())
    (docs / "index.md").write_text("# Start\n")
    assert clean.site_faults(tmp_path) == []
    page = (tmp_path / "site" / "logbook" / "reports" / "x.html").read_text(encoding="utf-8")
    anchors = re.findall(r'href="\.\./([\w/]+\.html)#([\w.-]+)"', page)
    assert len(anchors) > 6
    for target, anchor in anchors:
        other = (tmp_path / "site" / "logbook" / target).read_text(encoding="utf-8")
        assert f'id="{anchor}"' in other, anchor
    assert "{" not in re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert 'href="reports.html"' in (tmp_path / "site/logbook/index.html").read_text()


@pytest.mark.rule("I10", "C3")
def test_a_new_report_begins_with_the_figure_of_the_champion(champion: Toy) -> None:
    new = ("new", "report", "October-contracts", "--issue", "21")
    outcome = champion.done(*new)
    assert "written: reports/october_contracts.md" in outcome.out
    assert "so audience and decision are to be written" in outcome.err
    file = champion.root / "reports" / "october_contracts.md"
    file.write_text(file.read_text(encoding="utf-8") + "Mine.\n", encoding="utf-8")
    assert "exists already; nothing was written" in champion.run(*new).error
    assert "cannot be a name" in champion.run("new", "report", "../x", "--issue", "2").error
    project = Project.find(champion.root)
    tracked = read_tracking(project)
    (finding,) = render_reports(project, tracked, (), champion.root / "docs" / "logbook")
    assert not finding.severe
    assert (finding.rule, "to be written; to be written" in finding.problem) == ("I10", True)
    page = (champion.root / "docs/logbook/reports/october_contracts.md").read_text("utf-8")
    (release,) = tracked.versions
    better = 100 * next(r for r in tracked.runs if r.id == release.run).metrics["improvement"]
    assert page.startswith("# October contracts\n\n- **For:** <bdi><em>not written yet</em></bdi>")
    assert f"is <bdi>[{better:.1f} % better than the baseline (95 % sure: " in page
    assert "Mine." in page
