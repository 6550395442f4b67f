"""The running log of an Ask: the issues that serve it, between two markers in its text (I12).

GitHub has no conditional write of an issue: the text is read, compared, written and read back. But
it keeps each version of a text, and the marker of the log holds a digest of the version that the
machine had read. So the history shows which edits the machine overwrote, and they are merged in.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

from dslp.core.console import say
from dslp.core.files import read_text
from dslp.github.client import Repository, UsedUp
from dslp.github.entities import END, OUTCOMES, START, TYPES, read_issue, split_log
from dslp.github.forms import LINKS, MOST, form_links, linked_numbers, served_asks

HEAD = "### Running log\n\nA machine writes what is between the two markers of this section."
ISSUES = "query ($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { %s } }"
FIELDS = "id: databaseId number title body html_url: url created: createdAt closed: closedAt"
FIELDS += " state stateReason labels(first: 30) { nodes { name } }"
TRIES = 5
LONGEST = 65_536  # characters of a text that GitHub takes
ENTRIES = 200  # issues that a log may have, the newest
CANDIDATES = 400  # issues that are read for it


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
    lines: list[str] = []
    written = None  # by this run: what it read for it still holds
    for _ in range(TRIES):
        ask = repository.query(query, number=number)["issue"]
        if ask is None:
            return
        log = split_log(ask["body"])[1]
        listed = map(int, re.findall(r"^- #(\d+)", log, re.MULTILINE))
        if _plain(ask["body"]) != written:
            lines = _entries(repository, number, [*candidates, *listed, *_mentioning(ask)])
        if not lines and not log:
            return
        edits = [one["diff"] for one in _nodes(ask["userContentEdits"]) if one["diff"] is not None]
        text = merge_versions([*reversed(edits), ask["body"]])
        digests = _digest(ask["body"]) + _digest(put_log(text, lines))
        new = put_log(text, lines, digests + token_hex(6))
        if _plain(new) == _plain(ask["body"]):
            return
        if repository.allowance - repository.sent < 3:  # for this, and to read it back
            raise UsedUp(f"#{number}: no requests are left for its log")
        if not repository.ask("PATCH", f"/issues/{number}", {"body": new}, unless=(422,)):
            break  # without a log too, it is too long
        written = _plain(new)
    say(f"#{number}: its log is old, since its text is too long or is edited all the time")


def put_log(text: str, lines: Sequence[str], stamp: str = "") -> str:
    """A text with these lines as its log, at the end if it had none; all else is unchanged.

    Where GitHub does not take as long a text, the last lines are left out, then all but the marker.
    """
    before, _, after = split_log(text)
    marker, rest = f"<!-- dslp: log {stamp:0<36} -->", [HEAD, *lines, END]
    room = LONGEST - len(before + marker + after)
    while rest and sum(len(line) + 1 for line in rest) > room:
        rest = [*rest[:-2], END] if rest[2:] else []
    return before + "\n".join([marker, *rest]) * (room >= 0) + after


def merge_versions(versions: Sequence[str]) -> str:
    """The newest version of a text, with the edits of people that the machine overwrote.

    Each version changes the one before it, but one of the machine changes the one that it had read:
    what came between is kept. It restores edits, and makes none of its own.

    Args:
        versions: of the text, the oldest first.
    """
    digests, bases = list(map(_digest, versions)), list(range(-1, len(versions) - 1))
    stamps = ["".join(re.findall(START, split_log(one)[1])[:1]) for one in versions]
    own = set()
    for count, stamp in enumerate(stamps):
        # The same marker twice: a person went back to what was there.
        if stamp[12:24] == digests[count] and stamp not in stamps[:count]:
            reads = [n for n in range(count) if stamp.startswith(digests[n])]
            bases[count] = max(reads, default=-1)
            own.add(count)
    # The first that overwrote nothing has all that came before.
    first = next((n for n in sorted(own) if n and bases[n] == n - 1), 0)
    texts = {first: versions[first]}
    for count in range(first + 1, len(versions)):
        text, base, version = texts[count - 1], bases[count], versions[count]
        is_restored = base in texts and split_log(texts[base])[::2] == split_log(version)[::2]
        is_old = count in own and base < first
        texts[count] = text if is_restored or is_old else _merge(versions[base], text, version)
    return texts[len(versions) - 1]


@lru_cache(maxsize=500)
def _merge(base: str, text: str, other: str) -> str:
    """A text with the changes from a base to another text; of lines that both change, both stay."""
    if base in (text, other):
        return other if base == text else text
    old, *sides = map(_lines, (base, text, other))
    inserted: list[dict[int, list[Any]]] = [{}, {}]
    kept = set(range(len(old)))
    for side, added in zip(sides, inserted, strict=True):
        for tag, start, end, first, last in SequenceMatcher(None, old, side, False).get_opcodes():
            if tag != "equal":
                added[start] = side[first:last]
                kept -= {*range(start, end)}
    merged: list[Any] = []
    for number in range(len(old) + 1):
        one, two = (added.get(number, []) for added in inserted)
        # Empty lines and fences alone are not the same text.
        matcher = SequenceMatcher(lambda line: not re.search(r"\w", line or "log"), one, two, False)
        for tag, start, end, first, last in matcher.get_opcodes():
            merged += one[start:end] + two[first:last] * (tag != "equal")
        merged += old[number : number + 1] * (number in kept)
    place = len(merged) - 1 - merged[::-1].index(None)
    parts = [
        [line for line in part if line is not None] for part in (merged[:place], merged[place:])
    ]
    new = f"<!-- dslp: log  -->\n{END}".join("\n".join(part) for part in parts)
    return new.replace("\n", "\r\n") if "\r\n" in text + other else new


def _lines(text: str) -> list[str | None]:
    """The lines of a text, with None for the log."""
    before, _, after = split_log(text.replace("\r\n", "\n"))
    return [*before.split("\n"), None, *after.split("\n")]


def _plain(text: str) -> str:
    """A text without what differs in the same text: the stamp, and how lines end."""
    return re.sub(START, "", text).replace("\r\n", "\n").strip()


@lru_cache(maxsize=500)
def _digest(text: str) -> str:
    return sha256(_plain(text).encode()).hexdigest()[:12]


def _mentioning(*issues: Mapping[str, Any]) -> list[int]:
    """The issues of this repository that mention one of the issues, then those that mention these.

    Of each, the newest are first.
    """
    events = [event for one in issues for event in _nodes(one.get("timelineItems"))[::-1]]
    sources = [one["source"] for one in events if one["source"] and not one["isCrossRepository"]]
    further = _mentioning(*sources) if sources else []
    return [*(one["number"] for one in sources), *further]


def _nodes(connection: Mapping[str, Any] | None) -> list[Any]:
    """The nodes of a GraphQL connection, each of which GitHub may leave out."""
    return [node for node in (connection or {}).get("nodes") or () if node]


def _entries(repository: Repository, ask: int, candidates: Iterable[int]) -> list[str]:
    """The lines of a log: the issues that name the Ask, or one of those, by type (I12).

    GitHub shows an issue's title and state for its number in a list, so no title is copied.
    """
    numbers = [number for number in dict.fromkeys(candidates) if number != ask][:CANDIDATES]
    parts = [f"_{number}: issue(number: {number}) {{ {FIELDS} }}" for number in numbers]
    answer = repository.query(ISSUES % " ".join(parts)) if parts else {}
    rows = []
    for name, one in answer.items():
        if one is None or name != f"_{one['number']}":  # deleted, or transferred
            continue
        issue = read_issue({**one, "labels": _nodes(one["labels"])})
        state = "not planned" if one["stateReason"] == "NOT_PLANNED" else issue.state.lower()
        dates = " to ".join(one[name][:10] for name in ("created", "closed") if one[name])
        line = f"- #{issue.number}: {', '.join([*filter(issue.labelled, OUTCOMES), state, dates])}"
        key = not issue.labelled("succeeded"), one["created"], issue.number
        named = linked_numbers(issue, repository.name)
        rows.append((key, issue, named, line))
    links = {issue.number: (issue.kind, named) for _, issue, named, _ in rows} | {ask: ("Ask", [])}
    serving = [row for row in rows if ask in served_asks(links, row[1].number)]
    newest = sorted(serving, key=lambda row: row[1].number)[-ENTRIES:]
    lines = []
    for kind in TYPES:
        items = [row[3] for row in sorted(newest) if row[1].kind == kind]
        lines += [f"\n**{kind}**\n", *items] if items else []
    return lines
