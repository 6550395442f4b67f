"""GitHub's GraphQL as far as the library asks: an issue, its versions, and what mentions it.

    python -m tests.github.standin.graph node_modules/@octokit/graphql-schema/schema.graphql

cuts GitHub's own schema down to the fields that the stand-in has.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import graphql

from tests.github.standin.model import Issue, Repository
from tests.github.standin.routing import Token

FILE = Path(__file__).parents[1] / "schema.graphql"
FIELDS: dict[str, str] = {
    "Query": "repository",
    "Repository": "issue",
    "Issue": "databaseId number title url body state stateReason createdAt closedAt labels "
    "userContentEdits timelineItems",
    "PullRequest": "number",
    "Label": "name",
    "UserContentEdit": "diff",
    "CrossReferencedEvent": "isCrossRepository source",
    **dict.fromkeys(("LabelConnection", "UserContentEditConnection"), "nodes"),
    "IssueTimelineItemsConnection": "nodes",
}
OTHERS = "IssueTimelineItems ReferencedSubject IssueState IssueStateReason DateTime URI LabelOrder "
OTHERS += "IssueTimelineItemsItemType LabelOrderField OrderDirection"


def trim(text: str) -> str:
    kept: list[Any] = []
    for node in graphql.parse(text).definitions:
        one: Any = node
        name = one.name.value if getattr(one, "name", None) else ""
        if name in FIELDS:
            one.interfaces = ()
            one.fields = tuple(f for f in one.fields if f.name.value in FIELDS[name].split())
        elif name not in OTHERS.split():
            continue
        elif isinstance(one, graphql.UnionTypeDefinitionNode):
            one.types = tuple(each for each in one.types if each.name.value in FIELDS)
        kept.append(one)
    schema = graphql.build_ast_schema(graphql.DocumentNode(definitions=tuple(kept)))
    return re.sub(
        r'^ *"""[\s\S]*?"""\n|^\n(?=  )', "", graphql.print_schema(schema), flags=re.MULTILINE
    )


@cache
def schema() -> graphql.GraphQLSchema:
    return graphql.build_schema(FILE.read_text(encoding="utf-8"))


def answer(
    repositories: Iterable[Repository], token: Token, body: Mapping[str, Any], late: int
) -> dict[str, Any]:
    """What GitHub answers to a query; the history lacks the newest `late` versions."""

    def repository(_: Any, owner: str, name: str, **__: Any) -> dict[str, Any]:
        places = {one.full_name.lower(): one for one in repositories}
        place = places.get(f"{owner}/{name}".lower())
        if place is None or not token.may(place, ("issues",), "read"):
            raise graphql.GraphQLError(f"Could not resolve to a Repository with the name '{name}'.")
        return {"issue": lambda _, number: issue(number, place)}

    def issue(number: int, owner: Repository) -> dict[str, Any]:
        one = owner.issues.get(number)
        if one is None or one.pull:
            raise graphql.GraphQLError(
                f"Could not resolve to an Issue with the number of {number}."
            )
        return view(one, owner)

    def view(one: Issue, owner: Repository) -> dict[str, Any]:
        edits = [{"diff": text} for text in reversed(one.versions[: len(one.versions) - late])]
        closed = one.state == "closed"
        return {
            **{"__typename": "PullRequest" if one.pull else "Issue", "number": one.number},
            **{"body": one.body or "", "state": one.state.upper(), "createdAt": one.created},
            **{"databaseId": one.id, "title": one.title, "url": "https://github.com"},
            "closedAt": one.closed if closed else None,
            "stateReason": lambda _, **__: one.reason if closed else None,
            "labels": lambda _, **most: page([vars(each) for each in one.labels], **most),
            "userContentEdits": lambda _, **most: page(edits, **most) if edits[1:] else None,
            "timelineItems": lambda _, **most: page(mentions(one, owner), **most),
        }

    def mentions(one: Issue, owner: Repository) -> list[dict[str, Any]]:
        """An event for each issue that has ever mentioned one, the oldest first."""
        return [
            {
                "__typename": "CrossReferencedEvent",
                "isCrossRepository": place is not owner,
                "source": view(other, place),
            }
            for place in repositories
            for other in place.issues.values()
            if other is not one and token.may(place, ("issues",), "read")
            if ("" if place is owner else owner.full_name, str(one.number)) in other.mentions
        ]

    root = {"repository": repository}
    result = graphql.graphql_sync(schema(), body["query"], root, variable_values=body["variables"])
    kind = {"type": "NOT_FOUND"}
    errors = [
        one.formatted | (kind if one.message.startswith("Could not") else {})
        for one in result.errors or ()
    ]
    return {"data": result.data, **({"errors": errors} if errors else {})}


def page(
    items: Sequence[Any], first: int | None = None, last: int | None = None, **_: Any
) -> dict[str, Any]:
    if not 0 < (first or last or 0) <= 100:
        raise graphql.GraphQLError("You must provide a `first` or `last` value, at most 100.")
    return {"nodes": items[:first] if first else items[-(last or 0) :]}


if __name__ == "__main__":
    FILE.write_text(trim(Path(sys.argv[1]).read_text(encoding="utf-8")), encoding="utf-8")
