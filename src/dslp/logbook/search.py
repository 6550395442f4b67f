"""Earlier attempts by their words: TF-IDF and cosine, of what failed as of what succeeded (E5).

The words of an attempt are those of its issue with what came of it, and of its runs: the names of
candidates and models. `dslp start` and `dslp logbook search` rank alike.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Annotated

import typer
from dslp.core import report
from dslp.core.console import say, table
from dslp.core.settings import Project
from dslp.core.text import visible
from dslp.github.client import Repository, connect
from dslp.github.entities import OUTCOMES, Issue
from dslp.github.start import begin, require_clean
from dslp.logbook.events import Logbook, Run
from dslp.logbook.story import read_links, served_asks

ATTEMPTS = ("Explore", "Experiment", "Model")  # types of issues
MOST = 5  # attempts that are shown before a new one begins
LEAST = 0.1  # similarity; issues that have only the project's usual words in common have less
LONGEST = 10_000  # characters of a body that are read
TITLE = 70  # characters of a title on the terminal
LISTED = 20  # attempts that a search lists
HEADERS = ("number", "type", "outcome", "date", "title")
PAGES, SHOW = "docs/logbook", "uv run dslp logbook show NUMBER"
# Text of the form, not of a person: its headings and comments; and addresses.
NOISE = re.compile(r"^ {0,3}#{1,6} .*$|_No response_|<!--.*?-->|https?://\S+", re.MULTILINE)


@dataclass(frozen=True)
class Attempt:
    """An earlier attempt: its issue, how it ended, and how similar it is, from 0 to 1."""

    issue: Issue
    share: float

    @property
    def outcome(self) -> str:
        """The label of its outcome, or whether it is open."""
        label = next(filter(self.issue.labelled, OUTCOMES), self.issue.state)
        return label.partition(" - ")[0]


def find_attempts(
    query: Issue, issues: Iterable[Issue], names: Mapping[int, str], least: float = 0.0
) -> list[Attempt]:
    """The attempts among the issues that are similar to one, the most similar first.

    Args:
        query: the issue, or any text as one.
        issues: of the repository; those of other types are left out.
        names: of candidates and models by issue, see `names_by_issue`.
        least: attempts that are less similar are left out.
    """
    attempts = {one.number: one for one in issues if one.kind in ATTEMPTS}
    attempts.pop(query.number, None)
    own, *vectors = _vectors([query, *attempts.values()], names)
    pairs = zip(attempts.values(), vectors, strict=True)
    ranked = [Attempt(issue, _cosine(own, vector)) for issue, vector in pairs]
    ranked.sort(key=lambda one: (-one.share, -one.issue.number))
    return [one for one in ranked if one.share > least]


def names_by_issue(runs: Iterable[Run]) -> dict[int, str]:
    """The names of the candidates and models in the runs of each issue."""
    names = defaultdict[int, set[str]](set)
    for run in runs:
        if run.issue:
            names[run.issue] |= {run.tag("candidate"), run.tag("model")}
    return {issue: " ".join(sorted(own)) for issue, own in names.items()}


def show_attempts(logbook: Logbook, text: str, as_json: bool = False) -> None:
    """Print the attempts with the words of a text, or of an issue by its number (`#16`)."""
    works = {work.issue.number: work for work in logbook.works}
    linked = read_links(logbook.works, logbook.repository)
    number = text.strip(" #")
    own = works.get(int(number)) if number.isdecimal() and len(number) < 10 else None
    query = own.issue if own else Issue(0, text, "", "open", (), "", is_pull_request=False)
    names = names_by_issue(logbook.runs)
    rows = []
    for one in find_attempts(query, (work.issue for work in logbook.works), names)[:LISTED]:
        issue, work = one.issue, works[one.issue.number]
        asks = sorted(served_asks(linked, issue.number))
        page = f"{PAGES}/asks/{asks[0]}.md#issue-{issue.number}" if asks else f"{PAGES}/other.md"
        day, kind = f"{work.closed or work.created:%Y-%m-%d}", issue.kind
        facts = {"number": issue.number, "type": kind, "outcome": one.outcome, "date": day}
        more = {"share": round(one.share, 3), "asks": asks, "page": page, "url": issue.url}
        rows.append({**facts, "title": issue.title, **more})
    if as_json:
        typer.echo(report.as_json([report.Report(text, details={"attempts": rows})]))
    elif rows:
        cells = [[visible(row[name], TITLE) for name in HEADERS] for row in rows]
        table(HEADERS, cells, texts=len(HEADERS))
        say(f"more: {SHOW}", style="dim")
    else:
        say("no attempt has these words")


def start(number: Annotated[int, typer.Argument(help="Number of the issue.", min=1)]) -> None:
    """Switch to the branch of an issue and bring it up to date, or make it."""
    project = Project.find(dotenv=False)
    require_clean(project)
    repository = connect(project)
    begin(project, repository, repository.issue(number), partial(show_similar, project, repository))


def show_similar(project: Project, repository: Repository, issue: Issue) -> None:
    """Print the attempts that are similar to an issue, before it begins (E5).

    The issues are GitHub's; the runs are those that the logbook has read before.
    """
    names = dict[int, str]()
    if find_spec("pydantic"):
        from dslp.logbook.tracking_source import read_stored

        _, deleted, runs = read_stored(project)
        names = names_by_issue(run for run in runs.values() if run.id not in deleted)
    issues = (one for label in ATTEMPTS for one in repository.issues([label]))
    similar = find_attempts(issue, issues, names, LEAST)[:MOST]
    if similar:
        say("similar work; read how it ended before you begin:")
    for one in similar:
        other, title = one.issue, visible(one.issue.title, TITLE)
        say(f"  #{other.number} {other.kind}, {one.outcome}, {one.share:.0%} similar: {title}")
        say(f"    {visible(other.url, 200)}", style="dim")
    if similar:
        say(f"  more: {SHOW}", style="dim")


def attach(app: typer.Typer) -> None:
    """Add `dslp start`."""
    app.command()(start)


def _vectors(issues: Sequence[Issue], names: Mapping[int, str]) -> list[dict[str, float]]:
    """TF-IDF weights of the words of each issue; a word of a title or a name counts three times."""
    counts = [Counter(_words(one, names.get(one.number, ""))) for one in issues]
    documents = Counter(word for count in counts for word in count)
    return [
        {
            word: (1 + math.log(times)) * math.log((1 + len(issues)) / documents[word])
            for word, times in count.items()
        }
        for count in counts
    ]


def _words(issue: Issue, names: str) -> list[str]:
    """Words of three letters or more, cut so that predict, predicts and prediction are equal."""
    body, labels = NOISE.sub(" ", issue.body[:LONGEST]), filter(issue.labelled, OUTCOMES)
    text = " ".join([issue.title, names] * 3 + [body, *labels])
    return [word[:6] for word in re.findall(r"[^\W\d_]{3,}", text.casefold())]


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    product = sum(weight * other.get(word, 0.0) for word, weight in one.items())
    return product / (math.hypot(*one.values()) * math.hypot(*other.values()) or 1.0)
