"""Earlier attempts by their words: TF-IDF and cosine, of what failed as of what succeeded (E5).

The words of an attempt are those of its issue, with what came of it. `dslp start` and `dslp logbook
search` rank alike. This module is imported by each command of `dslp`, so it imports little.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from dslp.core.console import say, table
from dslp.core.report import Report, as_json
from dslp.core.settings import Project
from dslp.core.text import format_share, visible
from dslp.github.client import Repository, connect
from dslp.github.entities import OUTCOMES, Issue, issue_state
from dslp.github.start import begin, require_clean

if TYPE_CHECKING:
    from dslp.logbook.events import Logbook

ATTEMPTS = ("Explore", "Experiment", "Model")  # types of issues
MOST = 5  # attempts that are shown before a new one begins
LEAST = 0.1  # similarity; issues that have only the project's usual words in common have less
LONGEST = 10_000  # characters of a body that are read
TITLE = 70  # characters of a title on the terminal
LISTED = 20  # attempts that a search lists
HEADERS = ("number", "type", "outcome", "date", "title")
SHOW = "uv run dslp logbook show NUMBER"
# Text of the form, not of a person: its headings and comments; addresses, and other issues.
NOISE = re.compile(r"^ {0,3}#{1,6} .*$|_No response_|<!--.*?-->|https?://\S+|#\d+", re.MULTILINE)
CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # letters of Japanese, Chinese and Korean
USUAL = "an|as|at|be|by|do|he|if|in|is|it|my|no|of|on|or|so|to|up|us|we"
WORD = re.compile(rf"[{CJK}]|(?!(?:{USUAL})\b)[^\W_{CJK}]{{2,}}")


def find_attempts(
    query: Issue, issues: Iterable[Issue], least: float = 0.0
) -> list[tuple[Issue, float]]:
    """The attempts that are similar to an issue, and how much, up to 1; the most similar first.

    Args:
        query: the issue, or any text as one.
        issues: of the repository; those of other types are left out.
        least: attempts that are less similar are left out.
    """
    attempts = {issue.number: issue for issue in issues if issue.kind in ATTEMPTS}
    attempts.pop(query.number, None)
    first, *vectors = _vectors([query, *attempts.values()])
    shares = [_cosine(first, vector) for vector in vectors]
    similar = [pair for pair in zip(attempts.values(), shares, strict=True) if pair[1] > least]
    return sorted(similar, key=lambda pair: (-pair[1], -pair[0].number))


def show_attempts(logbook: "Logbook", text: str, json: bool = False) -> None:
    """Print the attempts with the words of a text, or of an issue by its number (`#16`)."""
    from dslp.logbook.story import read_links, work_state

    linked, number = read_links(logbook.works, logbook.repository), text.strip(" #")
    form = linked.get(int(number)) if number.isdecimal() and len(number) < 10 else None
    query = Issue(0, text, "", "open", (), "", is_pull_request=False)
    query, rows = form.work.issue if form else query, []
    for issue, share in find_attempts(query, (one.work.issue for one in linked.values()))[:LISTED]:
        form = linked[issue.number]
        day = f"{form.work.closed or form.work.created:%Y-%m-%d}"
        values = issue.number, issue.kind, work_state(form.work), day, issue.title
        more = {"share": round(share, 3), "asks": sorted(form.asks), "url": issue.url}
        rows.append({**dict(zip(HEADERS, values, strict=True)), **more})
    if json:
        typer.echo(as_json([Report(text, details={"attempts": rows})]))
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
    begin(project, repository, repository.issue(number), partial(show_similar, repository))


def show_similar(repository: Repository, issue: Issue) -> None:
    """Print the attempts on GitHub that are similar to an issue, before it begins (E5)."""
    issues = (one for label in ATTEMPTS for one in repository.issues([label]))
    similar = find_attempts(issue, issues, LEAST)[:MOST]
    if similar:
        say("similar work; read how it ended before you begin:")
    for attempt, share in similar:
        state = issue_state(attempt, attempt.native.get("state_reason"))
        title = visible(attempt.title, TITLE)
        how = f"{attempt.kind}, {state}, {format_share(share, 1)} similar"
        say(f"  #{attempt.number} {how}: {title}")
        say(f"    {visible(attempt.url, 200)}", style="dim")
    if similar:
        say(f"  more: {SHOW}", style="dim")


def attach(app: typer.Typer) -> None:
    """Add `dslp start`."""
    app.command()(start)


def _vectors(issues: Sequence[Issue]) -> list[dict[str, float]]:
    """TF-IDF weights of the words of each issue; a word of its title counts three times."""
    counts = [Counter(_words(issue)) for issue in issues]
    documents = Counter(word for count in counts for word in count)
    weights = {word: math.log((1 + len(issues)) / n) for word, n in documents.items()}
    return [{w: (1 + math.log(n)) * weights[w] for w, n in count.items()} for count in counts]


def _words(issue: Issue) -> list[str]:
    """Words, cut so that predict, predicts and prediction are equal; of CJK, each letter."""
    body, labels = NOISE.sub(" ", issue.body[:LONGEST]), filter(issue.labelled, OUTCOMES)
    text = " ".join([issue.title] * 3 + [body, *labels])
    return [word[:6] for word in WORD.findall(text.casefold())]


def _cosine(first: dict[str, float], second: dict[str, float]) -> float:
    product = sum(weight * second.get(word, 0.0) for word, weight in first.items())
    return product / (math.hypot(*first.values()) * math.hypot(*second.values()) or 1.0)
