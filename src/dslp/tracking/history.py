"""What was done with a model's versions, entry by entry; every role follows from these (M7).

An entry is one tag of a version, written in one step and never changed. So a promotion that was
interrupted has happened or has not, and of two at once the later one holds.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

PREFIX = "dslp.audit."
Action = Literal["register", "promote", "rollback"]
ACTIONS = get_args(Action)
TIME = "%Y%m%dT%H%M%S.%f"  # in names of tags, so that their order is the order of the entries


@dataclass(frozen=True, order=True)
class Entry:
    """One thing that was done.

    Attributes:
        at: when, in UTC, to the microsecond, as it stands in the tag's name.
        version: MLflow's number of the version that it was done with.
        action: what it was.
        who: as git or the system knows them.
        why: the reason that was given.
        issue: number of the issue that it was done for.
    """

    at: str
    version: str
    action: Action
    who: str = ""
    why: str = ""
    issue: int | None = None

    @property
    def time(self) -> str:
        """When, for people."""
        return f"{datetime.strptime(self.at, TIME):%Y-%m-%d %H:%M} UTC"

    def tag(self) -> dict[str, str]:
        """The entry as a tag of its version."""
        content = {name: value for name, value in asdict(self).items() if value not in (None, "")}
        return {PREFIX + self.at: json.dumps(content, ensure_ascii=False)}


@dataclass(frozen=True)
class Roles:
    """Where a model's versions stand.

    Attributes:
        champions: the champion last, and before it those that a rollback goes back to.
        challenger: what was registered last and not promoted since.
        taken_back: were champion, until a rollback went back behind them.
    """

    champions: tuple[str, ...] = ()
    challenger: str | None = None
    taken_back: frozenset[str] = frozenset()

    @property
    def champion(self) -> str | None:
        """The version that is in use."""
        return self.champions[-1] if self.champions else None

    @property
    def former(self) -> str | None:
        """The version that a rollback goes back to."""
        return self.champions[-2] if len(self.champions) > 1 else None

    def role(self, version: str) -> str:
        """The role of a version that was registered."""
        if version == self.champion:
            return "champion"
        if version == self.challenger:
            return "challenger"
        if version in self.champions:
            return "former champion"
        return "taken back" if version in self.taken_back else "superseded"


def read_entries(tags: Iterable[tuple[str, Mapping[str, str]]]) -> list[Entry]:
    """The entries among the tags of versions, oldest first; what is no entry is passed over."""
    found = []
    for version, values in tags:
        for name, text in values.items():
            if name.startswith(PREFIX):
                try:
                    content = json.loads(text)
                    entry = Entry(**content)
                    datetime.strptime(entry.at, TIME)
                    if entry.action not in ACTIONS:
                        raise ValueError(entry.action)
                except (TypeError, ValueError):
                    continue
                found.append(replace(entry, version=version))
    return sorted(found, key=lambda entry: (entry.at, int(entry.version)))


def roles_after(trail: Iterable[Entry]) -> Roles:
    """Where the versions stand after these entries, oldest first."""
    now = Roles()
    for entry in trail:
        version, champions = entry.version, now.champions
        if entry.action == "register":
            now = replace(now, challenger=version)
            continue
        if version in champions:  # back to it; what came after it is taken back
            champions = champions[: champions.index(version) + 1]
        else:
            champions = (*champions, version)
        behind = (now.taken_back | set(now.champions)) - set(champions)
        challenger = None if version == now.challenger else now.challenger
        now = Roles(champions, challenger, frozenset(behind))
    return now


def next_time(trail: list[Entry]) -> str:
    """Now, or just after the last entry where another machine's clock is ahead of this one's."""
    now = datetime.now(UTC).replace(tzinfo=None)
    if trail:
        now = max(now, datetime.strptime(trail[-1].at, TIME) + timedelta(microseconds=1))
    return now.strftime(TIME)
