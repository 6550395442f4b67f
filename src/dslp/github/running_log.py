"""The running log of an Ask: the issues that serve it, between two markers in its text (I12).

GitHub has no conditional write of an issue: the text is read, compared, written and read back. But
it keeps each version of a text, and the marker of the log holds a digest of the version that the
machine had read. So the history shows which edits the machine overwrote, and they are merged in.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dslp.core.console import say
from dslp.core.files import read_text
from dslp.github.client import Repository
from dslp.github.entities import OUTCOMES, TYPES, Issue
from dslp.github.forms import LINKS, MOST, form_links, linked_numbers

START = re.compile(r"<!-- dslp: log (\w*) -->")
END = "<!-- dslp: end of log -->"
# A log at the end of a text in which something before is not closed, and hides the markers.
LAST = re.compile(
    rf"^({START.pattern}(?:(?!^<!-- dslp: log).)*){END}\s*\Z", re.DOTALL | re.MULTILINE
)
HEAD = "### Running log\n\nA machine writes what is between the two markers of this section."
ISSUES = "query ($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { %s } }"
FIELDS = "number body state stateReason createdAt closedAt labels(first: 30) { nodes { name } }"
TRIES = 5
ENTRIES = 200  # issues that are read for a log, the newest
LONGEST_LOG = 20_000  # characters
LONGEST = 65_000  # characters of a text; GitHub takes some more


def update_logs(repository: Repository, number: int, texts: Iterable[str] = ()) -> None:
    """Rewrite the log of each Ask that an issue serves or served, and its own where it is an Ask.

    Args:
        repository: on GitHub.
        number: of the issue that changed.
        texts: the issue's text as it was before the change, or before it was deleted.
    """
    issue, name = repository.find_issues([number])[number], repository.name
    texts = [*texts, issue.body if issue else ""]
    links = [link for text in texts for kind in LINKS for link in form_links(kind, text, name)]
    named = [number, *(one for link in links for one in link.numbers)][: 2 * MOST]
    between = repository.find_issues(named)
    others = [other for one in named if (other := between[one]) and other.kind != "Ask"]
    further = [one for other in others for one in linked_numbers(other, name)]
    for one in dict.fromkeys([*named, *further]):
        other = repository.find_issues([one])[one]
        if other and other.kind == "Ask":
            update_log(repository, one, named)


def update_log(repository: Repository, number: int, candidates: Iterable[int] = ()) -> None:
    """Rewrite the log of an Ask; what people wrote, or write meanwhile, stays.

    Args:
        repository: on GitHub.
        number: of the Ask.
        candidates: issues that may serve it, besides those in its log and those that GitHub says
            mention it. Each is read, and left out where it does not serve the Ask.
    """
    query = read_text(Path(__file__).with_suffix(".graphql"))
    for _ in range(TRIES):
        ask = repository.query(query, number=number)["issue"]
        if ask is None:
            return
        body, edits = ask["body"], [one["diff"] for one in ask["userContentEdits"]["nodes"]]
        log = split_log(body)[1]
        listed = map(int, re.findall(r"^- #(\d+)", log, re.MULTILINE))
        lines = _entries(repository, number, {*candidates, *listed, *_mentioning(ask)})
        text = merge_versions([*filter(None, reversed(edits)), body])
        new = put_log(text, lines) if lines or log else text
        if _plain(new) == _plain(body):
            return
        new = put_log(text, lines, _digest(body, new)) if lines or log else text
        repository.ask("PATCH", f"/issues/{number}", {"body": new})
    say(f"#{number} is edited all the time: run dslp issue-check {number} later, for its log")


def put_log(text: str, lines: Sequence[str], stamp: str = "") -> str:
    """A text with these lines as its log, at the end if it had none; all else is unchanged."""
    before, _, after = split_log(text)
    room = min(LONGEST_LOG, LONGEST - len(before) - len(after)) - len(HEAD)
    kept = list(lines)
    while kept and len("\n".join(kept)) > room:
        kept.pop()
    more = [f"- and {len(lines) - len(kept)} more"] * (len(kept) < len(lines))
    log = "\n".join([HEAD, *kept, *more])
    return f"{before}<!-- dslp: log {stamp} -->\n{log}\n{END}{after}"


@lru_cache(maxsize=200)
def split_log(text: str) -> tuple[str, str, str]:
    """A text before its log, the log, and the text after it.

    Of several logs, the last counts; markers in code, in a list or without the other one do not.
    Where there is no log, it is empty, and all of the text is before it.
    """
    from markdown_it import MarkdownIt

    blocks = [one for one in MarkdownIt("commonmark").parse(text) if one.type == "html_block"]
    marks = [(one.map[0], one.content.strip()) for one in blocks if one.map and not one.level]
    marks = [one for one in marks if one[1] == END or START.fullmatch(one[1])]
    pairs = [one[0] for one, two in pairwise(marks) if one[1] != END == two[1]]
    if pairs:
        lines, first = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text), pairs[-1]
        log, _, after = "".join(lines[first:]).partition(END)
        return "".join(lines[:first]), log, after
    if match := LAST.search(text):
        return text[: match.start()], match[1], text[match.end(1) + len(END) :]
    return f"{text}\n\n" if text else "", "", ""


def merge_versions(versions: Sequence[str]) -> str:
    """The newest version of a text, with the edits of people that the machine overwrote.

    Each version changes the one before it, but one of the machine changes the one that it had read:
    what came between is kept.

    Args:
        versions: of the text, the oldest first.
    """
    text = versions[0]
    for count, version in enumerate(versions[1:], 1):
        stamps, before = START.findall(version), versions[count - 1 :: -1]
        bases = (one for one in before if stamps and _digest(one, version) in stamps)
        base = next(bases, before[0])
        text = version if text == base else _merge(base, text, version)
    return text


def _merge(base: str, text: str, other: str) -> str:
    """A text with the changes from a base to another text; of lines that both change, both stay."""
    texts = [put_log(one, ()).replace("\r\n", "\n") for one in (text, base, other)]
    if texts[2] in texts[:2]:
        return other if texts[2] == texts[0] else text
    if texts[0] == texts[1]:
        return other
    with TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("text", "base", "other")]
        for file, content in zip(files, texts, strict=True):
            file.write_bytes(content.encode())
        command = ["git", "merge-file", "-p", "--union", *map(str, files)]
        merged = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    return merged.replace("\n", "\r\n") if "\r\n" in text + other else merged


def _plain(text: str) -> str:
    """A text without what differs in the same text: the stamp, and how lines end."""
    return START.sub("", text).replace("\r\n", "\n").strip()


def _digest(base: str, text: str) -> str:
    return sha256(f"{_plain(base)}\0{_plain(text)}".encode()).hexdigest()[:16]


def _mentioning(issue: Mapping[str, Any]) -> list[int]:
    """The issues of this repository that mention an issue, and those that mention these."""
    events = filter(None, issue["timelineItems"]["nodes"])
    sources = [one["source"] for one in events if one["source"] and not one["isCrossRepository"]]
    further = [
        one for source in sources if "timelineItems" in source for one in _mentioning(source)
    ]
    return [source["number"] for source in sources] + further


def _entries(repository: Repository, ask: int, candidates: Iterable[int]) -> list[str]:
    """The lines of a log: the issues that name the Ask, or one of those, by type (I12).

    GitHub shows an issue's title and state for its number in a list, so no title is copied.
    """
    numbers = sorted({*candidates} - {ask})[-ENTRIES:]
    parts = [f"_{number}: issue(number: {number}) {{ {FIELDS} }}" for number in numbers]
    answer = repository.query(ISSUES % " ".join(parts)) if parts else {}
    issues, dates = {}, {}
    for one in filter(None, answer.values()):
        labels = tuple(label["name"] for label in one["labels"]["nodes"])
        state = "not planned" if one["stateReason"] == "NOT_PLANNED" else one["state"].lower()
        issue = Issue(one["number"], "", one["body"], state, labels, "", False)
        issues[issue] = set(linked_numbers(issue, repository.name))
        dates[issue] = [day[:10] for day in (one["createdAt"], one["closedAt"]) if day]
    serving = {one for one, named in issues.items() if ask in named}
    between = {one.number for one in serving if one.kind != "Ask"}
    serving |= {one for one, named in issues.items() if one.kind != "Ask" and named & between}
    order = sorted(serving, key=lambda one: (not one.labelled("succeeded"), dates[one], one.number))
    lines = []
    for kind in TYPES:
        items = [one for one in order if one.kind == kind]
        lines += [f"\n**{kind}**\n"] * bool(items)
        for one in items:
            words = [*filter(one.labelled, OUTCOMES), one.state, " to ".join(dates[one])]
            lines.append(f"- #{one.number}: {', '.join(words)}")
    return lines
