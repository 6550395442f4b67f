"""GitHub's GraphQL as far as the library asks: issues, their history, and pull requests.

    python -m tests.github.standin.graph node_modules/@octokit/graphql-schema/schema.graphql

cuts GitHub's own schema down to the fields that the stand-in has.
"""

import base64
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import graphql

from tests.github.standin.model import Issue, Label, Pull, Repository
from tests.github.standin.routing import Token
from tests.github.standin.views import SITE

FILE = Path(__file__).parents[1] / "schema.graphql"
CONNECTIONS = ("Issue", "PullRequest", "Label", "IssueTimelineItems", "UserContentEdit")
EVENTS = ("LabeledEvent", "UnlabeledEvent", "ClosedEvent", "ReopenedEvent", "TransferredEvent")
FIELDS: dict[str, str] = {
    "Query": "repository",
    "Repository": "issue issues pullRequests labels",
    "Issue": "databaseId fullDatabaseId number title url body state stateReason createdAt "
    "updatedAt closedAt labels userContentEdits timelineItems",
    "PullRequest": "number title url body state mergedAt mergeCommit headRefName headRefOid "
    "baseRefName isDraft isCrossRepository authorAssociation createdAt updatedAt closedAt",
    "Commit": "oid",
    "Label": "id name",
    "UserContentEdit": "diff",
    "CrossReferencedEvent": "isCrossRepository source",
    "PageInfo": "hasNextPage endCursor",
    **dict.fromkeys((f"{name}Connection" for name in CONNECTIONS), "nodes pageInfo totalCount"),
    **dict.fromkeys(EVENTS, "createdAt label stateReason"),
}
OTHERS = "IssueTimelineItems ReferencedSubject IssueState IssueStateReason DateTime URI LabelOrder "
OTHERS += "IssueTimelineItemsItemType LabelOrderField OrderDirection BigInt GitObjectID "
OTHERS += "IssueFilters IssueOrder IssueOrderField PullRequestState CommentAuthorAssociation"
TIMES = {"CREATED_AT": "created", "UPDATED_AT": "updated"}


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
    # The label of an event has been seen as null, although GitHub's own schema says otherwise.
    text = FILE.read_text(encoding="utf-8").replace("label: Label!", "label: Label")
    return graphql.build_schema(text)


def answer(
    repositories: Iterable[Repository], token: Token, body: Mapping[str, Any], late: int
) -> tuple[dict[str, Any], int]:
    """What GitHub answers to a query, and its points; the history lacks the newest `late` versions.

    As with GitHub's cursors, a page holds what is sorted after the place of the cursor by then.
    """

    def repository(_: Any, owner: str, name: str, **__: Any) -> dict[str, Any]:
        places = {one.full_name.lower(): one for one in repositories}
        place = places.get(f"{owner}/{name}".lower())
        if place is None or not token.may(place, ("issues",), "read"):
            raise graphql.GraphQLError(f"Could not resolve to a Repository with the name '{name}'.")
        return {
            "issue": lambda _, number: issue(number, place),
            "issues": lambda _, **most: listing(place, False, **most),
            "pullRequests": lambda _, **most: listing(place, True, **most),
            "labels": lambda _, **most: listed(list(map(label, place.labels)), **most),
        }

    def listing(
        place: Repository, is_pull: bool, orderBy: Any = None, filterBy: Any = None, **most: Any
    ) -> dict[str, Any]:
        order = {"field": "CREATED_AT", "direction": "ASC", **(orderBy or {})}
        field, since = TIMES[order["field"]], (filterBy or {}).get("since") or ""
        kind: Any = Pull if is_pull else type(None)
        issues = [one for one in place.issues.values() if isinstance(one.pull, kind)]
        issues = [one for one in issues if one.updated >= since] if since else issues

        def key(one: Issue) -> list[Any]:
            return [getattr(one, field), one.id]

        show, descending = partial(view, owner=place), order["direction"] == "DESC"
        return page(issues, show, key, descending, **most)

    def issue(number: int, owner: Repository) -> dict[str, Any]:
        one = owner.issues.get(number)
        if one is None or one.pull:
            raise graphql.GraphQLError(
                f"Could not resolve to an Issue with the number of {number}."
            )
        return view(one, owner)

    def view(one: Issue, owner: Repository) -> dict[str, Any]:
        edits = [{"diff": text} for text in reversed(one.versions[: len(one.versions) - late])]
        closed, kind = one.state == "closed", "pull" if one.pull else "issues"

        def timeline(_: Any, itemTypes: Sequence[str], **most: Any) -> dict[str, Any]:
            names = [name.title().replace("_", "") for name in itemTypes]
            items = mentions(one, owner) if "CrossReferencedEvent" in names else one.timeline
            items = [each for each in items if each["__typename"] in names]
            return listed([as_shown(each) for each in items], **most)

        def as_shown(event: dict[str, Any]) -> dict[str, Any] | None:
            """An event; once its label is deleted, without it, or nothing."""
            if event.get("label", {}).get("id") in (
                None,
                *(f"LA_{one.id}" for one in owner.labels),
            ):
                return event
            return event | {"label": None} if event["__typename"] == "LabeledEvent" else None

        return {
            **{"__typename": "PullRequest" if one.pull else "Issue", "number": one.number},
            **{"body": one.body or "", "createdAt": one.created, "updatedAt": one.updated},
            **{"databaseId": one.id, "title": one.title, "state": one.state.upper()},
            **{"fullDatabaseId": str(one.id)},
            "url": f"{SITE}/{owner.full_name}/{kind}/{one.number}",
            "closedAt": one.closed if closed else None,
            "stateReason": lambda _, **__: (one.reason or "").upper() or None if closed else None,
            "labels": lambda _, **most: listed(list(map(label, one.labels)), **most),
            "userContentEdits": lambda _, **most: listed(edits, **most) if edits[1:] else None,
            "timelineItems": timeline,
            **(pull(one, owner) if one.pull else {}),
        }

    def pull(one: Issue, owner: Repository) -> dict[str, Any]:
        assert one.pull
        commit = {"oid": one.pull.merge_commit_sha} if one.pull.merged_at else None
        return {
            **{"headRefName": one.pull.head_ref, "headRefOid": owner.head_sha(one)},
            **{"baseRefName": one.pull.base, "isDraft": one.pull.draft},
            **{"mergedAt": one.pull.merged_at, "mergeCommit": commit},
            **({"state": "MERGED"} if commit else {}),
            "isCrossRepository": one.pull.source is not owner,
            "authorAssociation": "OWNER" if one.user == owner.owner else "NONE",
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

    document, errors = read(body["query"])
    nodes, requests = cost(document, body["variables"])
    if nodes > 500_000:
        return {"errors": [{"type": "MAX_NODE_LIMIT_EXCEEDED", "message": f"{nodes:,} nodes"}]}, 1
    root, values, data = {"repository": repository}, body["variables"], None
    if not errors:
        result = graphql.execute_sync(schema(), document, root, variable_values=values)
        data, errors = result.data, result.errors or []
    kind = {"type": "NOT_FOUND"}
    problems = [
        one.formatted | (kind if one.message.startswith("Could not") else {}) for one in errors
    ]
    content = {"data": data, **({"errors": problems} if problems else {})}
    return content, max(1, round(requests / 100))


@lru_cache(100)
def read(query: str) -> tuple[graphql.DocumentNode, list[graphql.GraphQLError]]:
    """A query, and what is wrong with it."""
    document = graphql.parse(query)
    return document, graphql.validate(schema(), document)


def cost(document: graphql.DocumentNode, variables: Mapping[str, Any]) -> tuple[int, int]:
    """The nodes that a query asks for at most, and the requests that GitHub counts for them."""
    parts: list[Any] = list(document.definitions)
    value = graphql.value_from_ast_untyped
    declared = (each for each in parts[0].variable_definitions if each.default_value)
    values = {each.variable.name.value: value(each.default_value) for each in declared}
    values |= variables

    def count(part: Any, times: int) -> tuple[int, int]:
        nodes = requests = 0
        for one in part.selection_set.selections if part.selection_set else ():
            if isinstance(one, graphql.FragmentSpreadNode):
                one = next(each for each in parts[1:] if each.name.value == one.name.value)
            arguments = getattr(one, "arguments", ())
            sizes = [each.value for each in arguments if each.name.value in ("first", "last")]
            if all(value(each.arguments[0].value, values) for each in one.directives):
                size = value(sizes[0], values) if sizes else 0
                below = count(one, times * (size or 1))
                nodes += below[0] + times * size
                requests += below[1] + times * bool(size)
        return nodes, requests

    return count(parts[0], 1)


def label(one: Label) -> dict[str, str]:
    return {"id": f"LA_{one.id}", "name": one.name}


def listed(items: Sequence[Any], **most: Any) -> dict[str, Any]:
    """A page of what is in order already."""
    places = list(enumerate(items))
    return page(places, lambda one: one[1], lambda one: [one[0]], **most)


def page(
    items: Sequence[Any],
    show: Callable[[Any], Any],
    key: Callable[[Any], list[Any]],
    descending: bool = False,
    first: int | None = None,
    last: int | None = None,
    after: str | None = None,
    **_: Any,
) -> dict[str, Any]:
    """What comes after a cursor in the order of the keys: as with GitHub, it holds such a key."""
    size, place = first or last or 0, json.loads(base64.b64decode(after)) if after else None

    @cache
    def chosen() -> tuple[list[Any], bool]:
        if not 0 < size <= 100:
            raise graphql.GraphQLError("You must provide a `first` or `last` value, at most 100.")
        rest = items
        if place:
            rest = [one for one in items if (key(one) < place if descending else key(one) > place)]
        rest = sorted(rest, key=key, reverse=descending)
        return rest[:first] if first else rest[-size:], len(rest) > size

    def more(_: Any) -> dict[str, Any]:
        nodes, has_more = chosen()
        end = base64.b64encode(json.dumps(key(nodes[-1])).encode()).decode() if nodes else None
        return {"hasNextPage": has_more, "endCursor": end}

    nodes = {"nodes": lambda _: list(map(show, chosen()[0]))}
    return {"totalCount": len(items), "pageInfo": more, **nodes}


if __name__ == "__main__":
    FILE.write_text(trim(Path(sys.argv[1]).read_text(encoding="utf-8")), encoding="utf-8")
