"""The running log of an Ask: the issues that serve it, between two markers in its text (I12).

GitHub has no conditional write of an issue: the text is read, compared, written and read back. But
it keeps each version of a text, and the marker of the log holds a digest of the version that the
machine had read. So the history shows which edits the machine overwrote, and they are merged in.
"""

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dslp.core.console import say
from dslp.core.files import read_text
from dslp.github.client import Repository
from dslp.github.entities import LOG, OUTCOMES, TYPES, read_issue
from dslp.github.forms import LINKS, MOST, form_links, linked_numbers

START = re.compile(r"<!-- dslp: log (\w*) -->")
END = "<!-- dslp: end of log -->"
HEAD = "### Running log\n\nA machine writes what is between the two markers of this section."
ISSUES = "query ($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { %s } }"
FIELDS = "id: databaseId number title body html_url: url created: createdAt closed: closedAt"
FIELDS += " state stateReason labels(first: 30) { nodes { name } }"
TRIES = 5
ENTRIES = 200  # issues that a log may have, the newest


def update_logs(repository: Repository, number: int, texts: Iterable[str] = ()) -> None:
    """Rewrite the log of each Ask that an issue serves or served, and its own where it is an Ask.

    Args:
        repository: on GitHub.
        number: of the issue that changed.
        texts: the issue's text as it was before the change, or before it was deleted.
    """
    issue, name = repository.find_issue(number), repository.name
    texts = [*texts, issue.body if issue else ""]  # as an issue of any type, which may change too
    links = [link for text in texts for kind in LINKS for link in form_links(kind, text, name)]
    named = list(dict.fromkeys([number, *(n for link in links for n in link.numbers)]))[: 2 * MOST]
    others = [repository.find_issue(one) for one in named]
    between = [one for one in others if one and one.kind != "Ask"]
    further = [one for other in between for one in linked_numbers(other, name)]
    for one in dict.fromkeys([*named, *further]):
        other = repository.find_issue(one)
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
        log = split_log(ask["body"])[1]
        listed = map(int, re.findall(r"^- #(\d+)", log, re.MULTILINE))
        lines = _entries(repository, number, {*candidates, *listed, *_mentioning(ask)})
        if not lines and not log:
            return
        edits = [one["diff"] for one in ask["userContentEdits"]["nodes"] if one["diff"] is not None]
        text = merge_versions([*reversed(edits), ask["body"]])
        new = put_log(text, lines, _digest(ask["body"]) + _digest(put_log(text, lines)))
        if _plain(new) == _plain(ask["body"]):
            return
        if not repository.ask("PATCH", f"/issues/{number}", {"body": new}, unless=(422,)):
            break  # it is too long
    say(f"#{number}: its log is old, since its text is too long or is edited all the time")


def put_log(text: str, lines: Sequence[str], stamp: str = "") -> str:
    """A text with these lines as its log, at the end if it had none; all else is unchanged."""
    before, _, after = split_log(text)
    log = "\n".join([f"<!-- dslp: log {stamp} -->", HEAD, *lines, END])
    return before + log + after


def split_log(text: str) -> tuple[str, str, str]:
    """A text before its log, the log, and the text after it; of several logs, the last counts.

    Where there is no log, it is empty, and all of the text is before it.
    """
    logs = list(LOG.finditer(text))
    if not logs:
        return f"{text}\n\n" if text else "", "", ""
    return text[: logs[-1].start()], logs[-1][0], text[logs[-1].end() :]


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
        bases = (one for one in before if stamps and _digest(one) + _digest(version) in stamps)
        base = next(bases, before[0])
        text = version if text == base else _merge(base, text, version)
    return text


@lru_cache(maxsize=500)
def _merge(base: str, text: str, other: str) -> str:
    """A text with the changes from a base to another text; of lines that both change, both stay."""
    texts = [put_log(one, ()).replace("\r\n", "\n") for one in (text, base, other)]
    if texts[0] in texts[1:]:
        return other
    if texts[1] == texts[2]:
        return text
    with TemporaryDirectory() as folder:
        files = [Path(folder, str(number)) for number in range(3)]
        for file, content in zip(files, texts, strict=True):
            file.write_bytes(content.encode())
        command = ["git", "merge-file", "-p", "--union", *map(str, files)]
        merged = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    return merged.replace("\n", "\r\n") if "\r\n" in text + other else merged


def _plain(text: str) -> str:
    """A text without what differs in the same text: the stamp, and how lines end."""
    return START.sub("", text).replace("\r\n", "\n").strip()


@lru_cache(maxsize=500)
def _digest(text: str) -> str:
    return sha256(_plain(text).encode()).hexdigest()[:12]


def _mentioning(issue: Mapping[str, Any]) -> Iterator[int]:
    """The issues of this repository that mention an issue, and those that mention these."""
    for event in issue.get("timelineItems", {}).get("nodes", ()):
        if event and event["source"] and not event["isCrossRepository"]:
            yield event["source"]["number"]
            yield from _mentioning(event["source"])


def _entries(repository: Repository, ask: int, candidates: Iterable[int]) -> list[str]:
    """The lines of a log: the issues that name the Ask, or one of those, by type (I12).

    GitHub shows an issue's title and state for its number in a list, so no title is copied.
    """
    numbers = sorted({*candidates} - {ask})[-ENTRIES:]
    parts = [f"_{number}: issue(number: {number}) {{ {FIELDS} }}" for number in numbers]
    answer = repository.query(ISSUES % " ".join(parts)) if parts else {}
    rows = []
    for name, one in answer.items():
        if one is None or name != f"_{one['number']}":  # deleted, or transferred
            continue
        issue = read_issue({**one, "labels": one["labels"]["nodes"]})
        state = "not planned" if one["stateReason"] == "NOT_PLANNED" else issue.state.lower()
        dates = " to ".join(one[name][:10] for name in ("created", "closed") if one[name])
        line = f"- #{issue.number}: {', '.join([*filter(issue.labelled, OUTCOMES), state, dates])}"
        key = not issue.labelled("succeeded"), one["created"], issue.number
        named = set(linked_numbers(issue, repository.name))
        rows.append((key, issue, named, line))
    between = {issue.number for _, issue, named, _ in rows if issue.kind != "Ask" and ask in named}
    lines = []
    for kind in TYPES:
        near = {ask} if kind == "Ask" else {ask, *between}
        items = [row[3] for row in sorted(rows) if row[1].kind == kind and row[2] & near]
        lines += [f"\n**{kind}**\n", *items] if items else []
    return lines
