"""The changes of a model's versions, each recorded in one tag, and what follows from them (M7).

The tag of a registration is written with the version itself. The tag of a promotion or a rollback
is the registered model's, and is written before the alias `champion` is moved: where the alias did
not move, the change was interrupted and has not happened.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import groupby
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
    def moment(self) -> datetime:
        """When, in UTC."""
        return _parse_time(self.at).replace(tzinfo=UTC)

    @property
    def time(self) -> str:
        """When, for people."""
        return f"{self.moment:%Y-%m-%d %H:%M} UTC"

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


@dataclass(frozen=True)
class History:
    """What was done with a model's versions.

    Attributes:
        changes: oldest first.
        champion: number of the present champion.
    """

    changes: list[Change]
    champion: str | None = None

    @cached_property
    def completed(self) -> list[Change]:
        """The promotions and rollbacks that the alias followed.

        Several that replaced the same version were interrupted, or made at the same time. Those
        count that made the next champion. It may be another one, or none, where a person has moved
        the alias: then the last of them counts.
        """
        moves = [change for change in self.changes if change.action != "register"]
        groups = [list(group) for _, group in groupby(moves, key=lambda move: move.replaced)]
        after = [*(group[0].replaced for group in groups[1:]), self.champion]
        completed = list[Change]()
        for group, champion in zip(groups, after, strict=False):
            moved = champion is None or champion != group[0].replaced
            if moved and champion not in [move.version for move in group]:
                champion = group[-1].version
            completed += [move for move in group if move.version in (champion, move.replaced)]
        return completed

    @cached_property
    def former(self) -> list[str]:
        """The versions that a rollback returns to, the last champion first.

        A rollback to a version takes back those that became the champion after it.
        """
        champions: list[str] = []
        versions = [version for move in self.completed for version in (move.replaced, move.version)]
        for version in [*versions, self.champion]:
            if version in champions:
                del champions[champions.index(version) + 1 :]
            elif version:
                champions.append(version)
        return [version for version in reversed(champions) if version != self.champion]

    @property
    def rolled_back(self) -> bool:
        """Whether the last change was a rollback to the present champion from a later one."""
        back = [move for move in self.completed[-1:] if move.action == "rollback"]
        return any(m.version == self.champion and m.replaced not in self.former for m in back)

    def role(self, version: str) -> str:
        """The role of a version that is neither champion nor challenger."""
        if version in self.former:
            return "former champion"
        crowned = [change.version for change in self.completed]
        return "taken back" if version in crowned else "superseded"

    def next_time(self) -> str:
        """The present time; just after the last change where that machine's clock was ahead."""
        times = [datetime.now(UTC).replace(tzinfo=None)]
        times += [_parse_time(each.at) + timedelta(microseconds=1) for each in self.changes[-1:]]
        return f"{max(times).strftime(TIME)}-{uuid4().hex[:6]}"


def _parse_time(at: str) -> datetime:
    return datetime.strptime(at.partition("-")[0], TIME)
