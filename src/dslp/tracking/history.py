"""The changes of a model's versions, each recorded in one tag, and what follows from them (M7).

The tag of a registration is written with the version itself. The tag of a promotion or a rollback
is the registered model's, and is written before the alias `champion` is moved: where the alias did
not follow, the change was interrupted and has not happened.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

PREFIX = "dslp.change."
Action = Literal["register", "promote", "rollback"]
TIME = "%Y%m%dT%H%M%S.%f"  # in names of tags, so that their order is the order of the changes


@dataclass(frozen=True, order=True)
class Change:
    """One change.

    Attributes:
        at: when, in UTC, to the microsecond, and a random part, as in the tag's name.
        action: what was done.
        version: MLflow's number of the version that was registered, or became the champion.
        replaced: the number of the challenger, or of the champion, before.
        who: the person, as GitHub, git or the system names them.
        why: the reason that the person wrote.
        issue: number of the issue that it was done for.
    """

    at: str
    action: Action
    version: str
    replaced: str | None = None
    who: str = ""
    why: str = ""
    issue: int | None = None

    @property
    def time(self) -> str:
        """When, for people."""
        return f"{_parse_time(self.at):%Y-%m-%d %H:%M} UTC"

    def tag(self) -> tuple[str, str]:
        """Name and value of its tag."""
        content = {name: value for name, value in asdict(self).items() if value and name != "at"}
        return PREFIX + self.at, json.dumps(content, ensure_ascii=False)


def read_changes(tags: Mapping[str, str], **facts: str) -> list[Change]:
    """The changes among these tags, oldest first; `facts` are what the tags do not say."""
    changes = []
    for name, text in tags.items():
        if name.startswith(PREFIX):
            with suppress(TypeError, ValueError):  # a tag that somebody else wrote
                _parse_time(at := name.removeprefix(PREFIX))
                changes.append(Change(at, **json.loads(text) | facts))
    return sorted(changes)


def next_time(changes: Sequence[Change]) -> str:
    """The present time; just after the last change where that machine's clock was ahead."""
    times = [datetime.now(UTC).replace(tzinfo=None)]
    times += [_parse_time(change.at) + timedelta(microseconds=1) for change in changes[-1:]]
    return f"{max(times).strftime(TIME)}-{uuid4().hex[:6]}"


def completed_changes(changes: Sequence[Change], champion: str | None) -> list[Change]:
    """The promotions and rollbacks that the alias followed, oldest first.

    What a change made the champion is what the next one replaced, or, after the last, `champion`.
    """
    moves = [change for change in changes if change.action != "register"]
    after = [*(change.replaced for change in moves[1:]), champion]
    return [move for move, version in zip(moves, after, strict=False) if move.version == version]


def former_champions(moves: Sequence[Change], champion: str | None) -> list[str]:
    """The versions that a rollback returns to after these moves, the last champion first.

    A rollback to a version takes back those that became the champion after it.
    """
    champions: list[str] = []
    for version in [*(v for move in moves for v in (move.replaced, move.version)), champion]:
        if version in champions:
            del champions[champions.index(version) + 1 :]
        elif version:
            champions.append(version)
    return [version for version in reversed(champions) if version != champion]


def _parse_time(at: str) -> datetime:
    return datetime.strptime(at.partition("-")[0], TIME)
