"""The pages of the logbook as a reader sees them: on any screen, with any text."""

import gzip
import itertools
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dslp.core.settings import Project
from dslp.logbook.events import Event, Logbook
from dslp.logbook.graph import COLUMNS, draw_graph, draw_timeline
from dslp.logbook.pages import duration, write_pages
from dslp.logbook.story import Step, Story, build_stories
from hypothesis import given
from hypothesis import strategies as st

from tests import clean
from tests.browser import Browser, axe, browser, screenshot, served, type_text
from tests.library.logbook.scene import DIGESTS, REPOSITORY, Scene, claims, day
from tests.template_copy import ROOT

CANARY = '</script><script>canary = 1</script><img src=x onerror="canary = 1"> | [a](javascript:b)'
CANARY += " **b** `c` {{ d }} {% e %} ${f} &lt; --- \u202egnol\u202c 🦊 שלום\r\n\r\n# heading\r\n"
LONG = "m" * 80  # of a name
PAGES = "index asks/11 asks/61 asks/year-2026 tried other records datasets/claims"
PAGES += " models/claim_frequency"


@pytest.fixture(scope="module")
def book() -> Logbook:
    """The scene, with hostile text wherever text can be, and ids that differ in 8 letters."""
    scene = claims()
    scene.issue(61, "Ask", CANARY, {"Value": CANARY}, 140)
    fields = {"Ask": "#61", "Summary": CANARY + "x" * 1_000_000}
    scene.issue(62, "Experiment, failed", CANARY, fields, 141, 143)
    for number, name in ((50, "mean"), (51, CANARY + "n" * 300)):
        scene.candidate(number, name, (2.4, 2.5), 142, issue=62, ask=61, version=CANARY)
    scene.run(52, "experiment", 143, issue=62, ask=61, params={CANARY: CANARY}, dataset=CANARY)
    scene.run(53, "dataset", 143, issue=None, ask=None, version=CANARY, dataset="../" + CANARY)
    scene.change("promote", 2, 1, 83, CANARY)
    both = {"Ask": "#61, #39", "Summary": "Seen:\n- `trees` <b>\n- more, see #41\n" + "whole " * 30}
    scene.issue(63, "Experiment, succeeded", "Of two questions", both, 144, 145)
    for number, name, level in ((54, "mean", 0.0), (55, "infinite", -1.0)):
        scene.candidate(number, name, [level] * 5, 144, issue=63, ask=None)
    for number, end in ((56, "x"), (57, "y")):
        scene.run(number, "dataset", 144, issue=None, ask=None, version="1.0.0", dataset=LONG + end)
        scene.run(number + 2, "experiment", 144, issue=63, ask=None, dataset=LONG + end)
    scene.version(3, "0.9.0", "former champion", 38, 9, 18)
    scene.change("promote", 3, None, 38.5)
    logbook = replace(scene.logbook, notes=(f"MLflow did not answer: {CANARY}",))
    runs = tuple(replace(run, id=run.id[::-1], url="javascript:canary=1") for run in logbook.runs)
    versions = tuple(replace(one, run=one.run[::-1]) for one in logbook.versions)
    changes = tuple(replace(one, issue=41 if one.why else None) for one in logbook.changes)
    return replace(logbook, runs=runs, versions=versions, changes=changes)


@pytest.fixture(scope="module")
def root(book: Logbook, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    shipped = ROOT / "template" / "src" / "{{ package_name }}" / "datasets" / "claims"
    shutil.copytree(shipped, root / "src" / "claims" / "datasets" / "claims")
    for name in ("data/claims", "models/claim_frequency", "logbook/measures"):
        (root / "docs" / name).parent.mkdir(parents=True)
        (root / "docs" / f"{name}.md").write_text("# A page of another\n", encoding="utf-8")
    write(root, book)
    scene = Scene()
    for number in range(1, 1_201, 2):
        title = f"Question {number}: " + "how many visits will members need? " * 3
        kind, field = ("Ask", "Problem") if number < 121 else ("Task", "x")
        scene.issue(number, kind, title, {field: title}, number / 10)
        belongs = {"Belongs to": f"#{number % 120}"}
        scene.issue(number + 1, "Explore", title, belongs, number / 10)
    write(root, scene.logbook, "many/logbook")
    return root


@pytest.fixture(scope="module")
def site(root: Path) -> Path:
    assert clean.site_faults(root) == []  # each link and each anchor exists
    return root / "site"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


def write(root: Path, book: Logbook, folder: str = "logbook") -> None:
    project, docs = Project(root, "claims", root / "data"), root / "docs"
    write_pages(project, book, build_stories(book), docs / folder)
    (docs / "index.md").write_text("# Start\n")
    shutil.copytree(ROOT / "template" / "docs" / "assets", docs / "assets", dirs_exist_ok=True)
    (root / "mkdocs.yml").write_text(clean.site_settings())


def words(root: Path, page: str) -> str:
    """What a page says, on one line."""
    html = (root / "docs" / "logbook" / f"{page}.md").read_text(encoding="utf-8")
    inline = re.sub(r"</?(?:a|b|bdi|code|i|span|time)\b[^>]*>", "", html.split("---\n", 2)[2])
    text = re.sub(r"<[^>]+>", " ", inline)
    return " ".join(re.sub(r"&#(\d+);", lambda code: chr(int(code[1])), text).split())


@pytest.mark.rule("C1", "C4")
def test_the_first_page_says_what_was_asked_and_what_came_of_it(root: Path) -> None:
    text = words(root, "index")
    for expected in (
        *("9 questions asked", "1 with a model in use", "1 answered in another way"),
        "Predict the visits of a year In use since 5 April 2026, when version 1.0.1 was taken",
        "Is plan B used? Answered on 26 March 2026: Contracts for plan B were ended: 40,000 a year",
        *(
            "claim_frequency 1.0.0 since 5 April 2026, with a way back",
            "Survival model Experiment · on hold · for 5 months",
        ),
        "Neural network on diagnoses 30 January 2026 · A neural network needs more rows",
        *("Experiment 1 succeeded 1 failed Model 1 in use 1 taken back 1 done", "Data 1 blocked -"),
        *("3 in work for an answer", "Open work 6 pieces of work open, 2 of them on hold or"),
        *("As of 24 July 2026, from GitHub and MLflow", "Not complete. MLflow did not answer"),
    ):
        assert expected in text


@pytest.mark.rule("C1", "C3", "E2", "X3")
def test_the_page_of_an_ask_shows_each_step_and_the_record_of_each_figure(root: Path) -> None:
    text = words(root, "asks/11")
    for expected in (
        "#17 Neural network on diagnoses · failed Experiment · 19 January 2026 to "
        "30 January 2026 (11 days) · issue #17 · pull request #21 at 0000000",
        *("follows from claims 1.0.0 A neural network", "One in three never visits. https://"),
        "claim_frequency 1.0.0 is in use again, in place of 1.0.1: visits of children",
        *("uv run dslp model rollback claim_frequency --to 0.9.0", "mean the baseline 2.44"),
        "boosted 2.242 +8.1 % is enough +7.4 to +8.8 %",
    ):
        assert expected in text
    assert not re.search(r"\b(claim_frequency|version) \d+(?!\.?\d)", text)
    now = "What is in use in use claim_frequency 1.0.0 is in use since 5 April 2026: 8.1"
    assert now in text
    html = (root / "docs" / "logbook" / "asks" / "11.md").read_text(encoding="utf-8")
    records = re.findall(r'<tr><th><bdi>.*href="#(run-\w{8})"', html)
    assert len(records) == 8
    for record in records:
        facts = html.split(f'id="{record}"')[1].split("</p>")[0]
        assert re.search(r'href="\.\./datasets/claims\.md#version-1.[01].0"', facts)
        assert f'href="{REPOSITORY}/commit/' in facts
        assert any(digest in facts for digest in DIGESTS.values())


@pytest.mark.rule("C3")
def test_each_gain_leads_to_its_run(root: Path, tmp_path: Path) -> None:
    pages = {
        name: (root / "docs" / "logbook" / f"{name}.md").read_text(encoding="utf-8")
        for name in ("index", "asks/year-2026", "asks/11", "tried", "models/claim_frequency")
    }
    record = r'href="[^"]*#run-\w{8}"'
    for name in ("index", "asks/year-2026", "asks/11", "models/claim_frequency"):
        parts = re.split(r"\d ?% better than the baseline", pages[name])
        assert all(re.search(record, part.split("</p>")[0]) for part in parts[1:]), name
    assert re.search(rf"<td[^>]*><a {record}>-21\.3 ?%", pages["tried"])
    model = words(root, "models/claim_frequency")
    assert "deviance, lower is better 2; the baseline 2.2 Better than the baseline by +8.1" in model
    assert "is in use since 5 April 2026: 8.1" in model
    write(tmp_path, claims().logbook)
    for page in ("asks/11", "models/claim_frequency"):
        assert "There is no earlier version to go back to." in words(tmp_path, page)


@pytest.mark.rule("C1", "E5")
def test_datasets_models_and_all_that_was_tried_have_their_pages(root: Path) -> None:
    data, model = words(root, "datasets/claims"), words(root, "models/claim_frequency")
    assert "How it is built. pipeline.py undoes the logarithms, folds three health ind" in data
    assert not re.search(r"History\.|\*", data.split("Versions")[0])
    version = "claims 1.0.0 first version Registered 13 January 2026 Rows 20,190 Checks all 27"
    assert version + " checks hold" in data
    assert "11 runs: #16 (5), #17 (2), #18 (1), #32 (1), #63 (2); claim_frequency 0.9.0; " in data
    assert "Personal data no" in data
    assert "claim_frequency 1.0.1 · taken back" in model
    assert "Its model card" in model
    assert "20,190" in words(root, "records")
    tried = words(root, "tried")
    assert "whole …" in tried
    assert "Experiment #17 Neural network on diagnoses A neural network needs" in tried
    assert "failed -21.3 % #11 19 January 2026" in tried
    assert "Experiment #41 Serves nothing open 11 January 2026" in tried
    assert "#40 Mend the readme closed" in words(root, "other")


@pytest.mark.slow
@pytest.mark.rule("C4")
def test_a_page_fits_each_screen_and_hostile_text_is_text(site: Path, tab: Browser) -> None:
    with served(site) as address:
        for page in PAGES.split():
            for width, scheme in ((360, "dark"), (1400, "light")):
                tab.open(f"{address}/logbook/{page}.html", width, scheme)
                where = f"{page} at {width} pixels, {scheme}"
                screenshot(tab, f"logbook-{page.replace('/', '-')}-{width}-{scheme}")
                assert not tab.errors, where
                assert all(url.startswith((address, "data:")) for url in tab.requests), where
                assert tab.run("document.documentElement.scrollWidth <= innerWidth"), where
                assert tab.run("typeof canary") == "undefined", where
                active = ".lb :is(img, script, [onerror], strong, em, [href^=javascript])"
                assert tab.run(f'document.querySelectorAll("{active}").length') == 0, where
                assert axe(tab) == [], where
        tab.open(f"{address}/logbook/asks/61.html", 1400, "light")
        shown = tab.run("document.querySelector('#issue-62 + p + .lb-text').innerText")
        assert shown.startswith("</script><script>canary = 1</script><img src=x onerror=")
        assert "\\u202egnol\\u202c 🦊 שלום\n\n# heading\n" in shown
        assert len(shown) < 5_000


@pytest.mark.slow
@pytest.mark.rule("C1", "C4")
def test_the_graph_is_walked_by_keyboard(site: Path, tab: Browser) -> None:
    page = (site / "logbook" / "asks" / "11.html").as_uri()
    tab.open(page, 1400, "light")
    assert tab.run("document.querySelector('.lb-graph').getBoundingClientRect().right < innerWidth")
    tab.run("document.querySelector('.lb-scroll').focus({focusVisible: true})")
    boxes = tab.run("[...document.querySelectorAll('.lb-graph a')].map(box => box.hash)")
    assert len(boxes) == 14
    for box in boxes:
        type_text(tab, "\t")
        assert tab.run("document.activeElement.hash") == box
        assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    type_text(tab, "\n")
    tab.wait_for(f"location.hash === '{boxes[-1]}'")
    record = "document.querySelector('.lb-results a')"
    tab.run(f"{record}.click()")  # opens the run's record, which is folded
    tab.wait_for("document.querySelector(':target').checkVisibility()")
    tab.open(page, 360, "light")
    assert tab.run("timeline.offsetTop < way.offsetTop")


@pytest.mark.slow
def test_the_search_index_has_outcomes_and_no_lists_and_no_records(site: Path) -> None:
    items = json.loads((site / "search.json").read_text(encoding="utf-8"))["items"]
    lists = ("logbook/index", "logbook/tried", "logbook/records", "asks/year")
    assert not [one["location"] for one in items if any(part in one["location"] for part in lists)]
    assert [one for one in items if "logbook/other" in one["location"]]  # it stands nowhere else
    own = [one for one in items if one["location"].endswith("asks/11.html#issue-17")]
    assert [one["title"] for one in own] == ["#17 Neural network on diagnoses · failed"]
    assert own[0]["text"].strip() == "A neural network needs more rows than there are."


@pytest.mark.slow
@pytest.mark.rule("C4", "E5")
def test_search_finds_a_failed_attempt_from_disk_too(site: Path, tab: Browser) -> None:
    with served(site) as address:
        for start in (site.as_uri(), address):
            tab.open(f"{start}/logbook/index.html", 1400, "light")
            type_text(tab, "/")
            tab.wait_for("document.activeElement !== document.body")
            type_text(tab, "neural network failed")
            options = "document.activeElement.shadowRoot.querySelectorAll('[role=option]')"
            tab.wait_for(f"[...{options}].some(one => /asks.11.html.*#issue-17$/.test(one.href))")
            assert tab.run("typeof canary") == "undefined"
            assert not tab.errors, start


def test_only_what_changed_is_written(book: Logbook, tmp_path: Path) -> None:
    folder = tmp_path / "docs" / "logbook"
    folder.mkdir(parents=True)
    for name in ("measures.md", "reports.md"):
        (folder / name).write_text("# Of another\n")
    write(tmp_path, book)
    assert 'href="reports.md"' in (folder / "index.md").read_text(encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    works = tuple(work for work in book.works if work.issue.number not in (36, 37, 38))
    write(tmp_path, replace(book, works=works))
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    assert before.keys() - after.keys() == {folder / "asks" / "36.md"}
    changed = {path.relative_to(folder).as_posix() for path in after if after[path] != before[path]}
    assert changed == {"index.md", "tried.md", "asks/year-2026.md", "datasets/claims.md"}
    assert {folder / "measures.md", folder / "reports.md"} <= after.keys()


def test_pages_of_old_are_as_if_written_for_the_first_time(book: Logbook, tmp_path: Path) -> None:
    """An issue has got an Ask, and one of two Asks of an experiment is gone."""
    write(tmp_path / "old", book)
    works = {work.issue.number: work for work in book.works if work.issue.number != 39}
    works[41] = replace(works[41], issue=replace(works[41].issue, body="### Ask\n\n#31"))
    book = replace(book, works=tuple(works.values()))
    write(tmp_path / "old", book)
    write(tmp_path / "new", book)
    old, new = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.md")}
        for root in (tmp_path / "old", tmp_path / "new")
    )
    assert old == new
    assert b'href="../asks/31.md#issue-41"' in old[Path("docs/logbook/asks/11.md")]


def test_a_page_links_to_its_own_records_and_shows_lists(root: Path) -> None:
    for ask in (39, 61):
        html = (root / "docs" / "logbook" / "asks" / f"{ask}.md").read_text(encoding="utf-8")
        part = html.split('<h3 id="issue-63"')[1]
        runs = re.findall(r'<td><a href="#(run-\w{8})">', part)
        assert len(runs) == 2
        assert all(part.count(f'id="{run}"') == 1 for run in runs)
        assert "<ul><li><code>trees</code> &#60;b&#62;<li>more, see" in part
        assert "<li></ul>" not in part
        assert not re.search(r"\b(inf|nan)\b", part.split("style=")[1])
    pages = [path.name for path in (root / "docs" / "logbook" / "datasets").glob("mmm*")]
    assert len(pages) == 2
    assert "1.0.0" in words(root, "records").split(LONG[:60])[1]


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (-5, "less than a minute"),
        (1.9, "1 minute"),
        (119, "119 minutes"),
        (14 * 1_440, "2 weeks"),
        (66 * 43_830, "6 years"),
    ],
)
def test_a_duration_has_a_unit_that_fits(minutes: float, words: str) -> None:
    assert duration(day(0), day(minutes / 1_440)) == words


def test_ten_times_the_work_without_an_ask_is_ten_times_the_calls(tmp_path: Path) -> None:
    def count_event(_frame: object, event: str, _argument: object) -> None:
        events[event] += 1

    calls = []
    for count in (40, 400):
        scene, events = Scene(), Counter[str]()
        for number in range(1, count + 1):
            scene.issue(number, "Experiment", "Of no question", {"Ask": "#9999"}, number / 10)
        logbook = scene.logbook
        sys.setprofile(count_event)
        try:
            write(tmp_path, logbook)
        finally:
            sys.setprofile(None)
        calls.append(events["call"])
    assert calls[1] < 12 * calls[0]


@pytest.mark.slow
def test_the_first_page_stays_small_and_lists_have_pages(root: Path, site: Path) -> None:
    page = site / "many" / "logbook" / "index.html"
    html = page.read_text(encoding="utf-8")
    assert html.count('<li class="lb-card') == 50
    loaded = re.findall(r'(?:<script src|<link rel="stylesheet" href)="([^"]+)"', html)
    files = {page, *((page.parent / name.split("?")[0]).resolve() for name in loaded)}
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 200_000
    assert len(page.read_bytes()) < 200_000
    assert words(root, "../many/logbook/tried-2").count("Explore #") == 100
    assert words(root, "../many/logbook/other-2").count("Task #") == 40


@pytest.mark.rule("C1")
def test_bars_show_when_work_was_open_and_when_a_version_was_in_use() -> None:
    scene = claims()
    events = [
        Event(day(3), "closed"),
        Event(day(5), "reopened"),
        Event(day(6), "labeled", "On Hold"),
        Event(day(8), "unlabeled", "on hold"),
    ]
    scene.issue(64, "Explore", "Paused", {"Belongs to": "#11"}, 2, 9, events=events)
    story = next(one for one in build_stories(scene.logbook) if one.ask.issue.number == 11)
    rows = {getattr(item, "key", ""): bars for _, item, bars in draw_timeline(story)}
    paused = [(bar.state, bar.start, bar.end) for bar in rows["issue-64"]]
    ends = [day(at) for at in (2, 3, 5, 6, 8, 9)]
    states = ["open", "closed", "open", "on hold", "open"]
    assert paused == list(zip(states, ends, ends[1:], strict=False))
    used = [(bar.start, bar.end) for bar in rows["model-claim_frequency-1"]]
    assert used == [(day(40), day(82)), (day(90), None)]
    assert [(bar.start, bar.end) for bar in rows["model-claim_frequency-2"]] == [(day(82), day(90))]
    graph = draw_graph(story)
    assert graph.places["model-claim_frequency-1"][1] > graph.places["issue-18"][1]
    bars = [bar for row in rows.values() for bar in row]
    assert all(0 <= bar.left <= bar.left + bar.width <= 100.001 for bar in bars)


@given(st.lists(st.tuples(st.sampled_from([*COLUMNS, "Communicate"]), st.integers(0, 99))))
def test_no_two_boxes_of_a_graph_touch(kinds: list[tuple[str, int]]) -> None:
    first = Step("issue-1", "Ask", "Why?", "open", day(0))
    steps = [first]
    for number, (stage, link) in enumerate(kinds):
        after = (steps[link % len(steps)].key,)
        steps.append(Step(f"issue-{number + 2}", stage, "x", "open", day(number), after=after))
    scene = Scene()
    scene.issue(1, "Ask", "Why?")
    story = Story(scene.works[1], "in work", "", day(0), tuple(steps))
    graph = draw_graph(story)
    assert graph.places.keys() == {"value", *(step.key for step in steps)}
    assert len(graph.lines) == len(kinds)
    (width, height), boxes = graph.box, sorted(graph.places.values())
    pairs = itertools.pairwise(boxes)
    assert all(x + width <= right or y + height <= below for (x, y), (right, below) in pairs)
    assert all(x + width <= graph.size[0] and y + height <= graph.size[1] for x, y in boxes)
    lanes = re.findall(r"([\d.]+) ([\d.]+)H([\d.]+)", " ".join(graph.lines))
    for one, y, two in [map(float, lane) for lane in lanes]:
        left = min(one, two)
        assert not any(abs(x - left) < 1 and top < y < top + height for x, top in boxes)
