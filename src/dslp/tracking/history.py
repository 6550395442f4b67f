"""The audit trail of a model's versions: one entry for each change; roles follow from it (M7).

An entry is one tag of a version, written in one step and never changed. So an interrupted promotion
has happened or has not, and of two promotions at once the later one holds.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

PREFIX = "dslp.audit."
Action = Literal["register", "promote", "rollback"]
ACTIONS = get_args(Action)
TIME = "%Y%m%dT%H%M%S.%f"  # in names of tags, so that their order is the order of the entries


@dataclass(frozen=True, order=True)
class Entry:
    """One change.

    Attributes:
        at: when, in UTC, to the microsecond, as in the tag's name.
        version: MLflow's number of the version that was changed.
        action: what was done.
        who: the person, as GitHub, git or the system names them.
        why: the reason that the person wrote.
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
    """The roles of a model's versions.

    Attributes:
        champions: the present champion last; before it, those that a rollback returns to.
        challenger: the version that was registered last and not promoted since.
        taken_back: former champions that a rollback went behind.
    """

    champions: tuple[str, ...] = ()
    challenger: str | None = None
    taken_back: frozenset[str] = frozenset()

    @property
    def champion(self) -> str | None:
        """The version in use."""
        return self.champions[-1] if self.champions else None

    @property
    def former(self) -> str | None:
        """The version that a rollback returns to."""
        return self.champions[-2] if len(self.champions) > 1 else None

    def role(self, version: str) -> str:
        """The role of a registered version."""
        if version == self.champion:
            return "champion"
        if version == self.challenger:
            return "challenger"
        if version in self.champions:
            return "former champion"
        return "taken back" if version in self.taken_back else "superseded"


def read_entries(tags: Iterable[tuple[str, Mapping[str, str]]]) -> list[Entry]:
    """The entries among the tags of versions, oldest first; other tags are ignored."""
    entries = []
    for version, values in tags:
        for name, text in values.items():
            if name.startswith(PREFIX):
                try:
                    entry = Entry(**json.loads(text))
                    datetime.strptime(entry.at, TIME)
                except (TypeError, ValueError):  # a tag that somebody else wrote
                    continue
                if entry.action in ACTIONS:
                    entries.append(replace(entry, version=version))
    return sorted(entries, key=lambda entry: (entry.at, int(entry.version)))


def roles_after(entries: Iterable[Entry]) -> Roles:
    """The roles of the versions after these entries, which are ordered oldest first."""
    roles = Roles()
    for entry in entries:
        version, champions = entry.version, roles.champions
        if entry.action == "register":
            roles = replace(roles, challenger=version)
            continue
        if version in champions:  # a rollback to it; the champions after it are taken back
            champions = champions[: champions.index(version) + 1]
        else:
            champions = (*champions, version)
        taken_back = (roles.taken_back | set(roles.champions)) - set(champions)
        challenger = None if version == roles.challenger else roles.challenger
        roles = Roles(champions, challenger, frozenset(taken_back))
    return roles


def next_time(entries: Sequence[Entry]) -> str:
    """The present time; just after the last entry where that machine's clock was ahead."""
    time = datetime.now(UTC).replace(tzinfo=None)
    if entries:
        time = max(time, datetime.strptime(entries[-1].at, TIME) + timedelta(microseconds=1))
    return time.strftime(TIME)
