"""The card of a model: what is recorded of it, on one page of the site (M11).

Everything comes from the registry and the run of the training, and nothing from the clock: the
same record makes the same page.
"""

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dslp.data.datasheet import save
from dslp.data.figures import markdown, number, text
from dslp.errors import DslpError
from dslp.experiments.params import shown
from dslp.experiments.tracking import answering
from dslp.models import record
from dslp.models.gates import TAG as GATES
from dslp.models.performance import FIGURES
from dslp.models.registry import Registry, Release
from dslp.models.version import TAG as MADE_OF
from dslp.project import Project

LONG = 1_000  # characters of what people wrote
FILL = "var(--md-typeset-a-color,#0969da)"
Rows = Sequence[Sequence[str]]


def write(project: Project, name: str, version: str | None = None) -> Path:
    """Write docs/models/NAME.md about a version: the champion, or the newest where there is none.

    Beside it, NAME-openapi.json has the version's API, for machines (M2).

    Raises:
        DslpError: it was never registered, or a file cannot be read or written.
    """
    registry = Registry.read(project, name)
    if not registry.releases:
        raise DslpError(f"{name} was never registered; first: uv run dslp model register {name}")
    champion = registry.holder("champion") or registry.releases[0]
    shown = project.root / "docs" / "models" / f"{name}.md"
    release = registry.release(version) if version else champion
    told = record.read(registry, release)
    content = card(registry, release, told)
    shown.parent.mkdir(parents=True, exist_ok=True)
    save(shown, content)
    if "openapi" in told:
        api = json.dumps(told["openapi"], ensure_ascii=False, indent=2)
        save(shown.with_name(f"{name}-openapi.json"), f"{api}\n")
    return shown


@answering()
def card(registry: Registry, release: Release, told: dict[str, Any]) -> str:
    """The page about a version, and what its training told of it."""
    name = registry.name
    parts = [
        f"# {markdown(name)}",
        f"<!-- Written by `dslp model card {markdown(name)}`: a change here is lost. -->",
        _table([], _facts(release, told)),
        "## How good it is",
        _quality(release, told),
        _deciles(told),
        _history(registry, told),
        "## The gates that it passed",
        _gates(release),
        *_section("What it costs to use", _performance(release)),
        "## Its limits",
        _limits(release, told),
        "## How to use it",
        _use(name, told),
        "## Versions",
        _table(
            ["version", "number", "role", "candidate", "data"],
            [
                [one.semantic, one.version, one.role, *_tags(one, "candidate", "dataset_version")]
                for one in registry.releases
            ],
        ),
        "## What was done with them",
        _trail(registry),
        "## What it was made with",
        _environment(release, told),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(release: Release, told: dict[str, Any]) -> Rows:
    inputs, outputs = (_parts(release, side) for side in ("inputs", "outputs"))
    ask, issue, data, version, digest = _tags(
        release, "ask", "issue", "dataset", "dataset_version", "dataset_digest"
    )
    question = f": {told['question']}" if told.get("question") else ""
    facts = {
        "version": f"{release.label}, {release.role or 'without a role'}",
        "predicts": ", ".join(outputs) or told.get("target", ""),
        "from": ", ".join(inputs),
        "asked for by": f"Ask #{ask}{question}",
        "made in": f"issue #{issue}" if issue else "",
        "one row is": told.get("population") or _parts(release, "population").get(IN_SCHEMA, ""),
        "made from": f"{data} {version}" + (f", {told['rows']:,} rows" if told else ""),
        "content of the data": digest,
        "personal data": "" if not told else "yes" if told["personal_data"] else "no",
    }
    return [[name, str(value)] for name, value in facts.items() if value]


IN_SCHEMA = "population in schema.yml"


def _quality(release: Release, told: dict[str, Any]) -> str:
    """Each metric on the holdout, and what it means beside the baseline and the criterion."""
    rows = [
        [name.removeprefix("holdout_"), value]
        for name, value in sorted(release.tags.items())
        if name.startswith("holdout_")
    ]
    words = ""
    gain, metric = release.tags.get("improvement"), told.get("metric", {})
    if gain and metric:
        words = (
            f"On {told['holdout']:,} rows that no experiment saw, {markdown(metric['name'])} is "
            f"{shown(float(gain), told['criterion']['by'])} against the baseline "
            f"({metric['better']} is better); the Ask wants "
            f"{shown(told['criterion']['improvement'], told['criterion']['by'])}."
        )
    return "\n\n".join(filter(None, [words, _table(["metric", "on the holdout"], rows)]))


def _deciles(told: dict[str, Any]) -> str:
    """What was predicted and what came true, by tenths of the holdout."""
    points = told.get("deciles") or []
    if len(points) < 2:
        return ""
    most = max(map(max, points))
    least = min(0.0, min(map(min, points)))
    rows = [[f"{tenth}", *(f"{v:.4g}" for v in p)] for tenth, p in enumerate(points, 1)]
    lines = []
    for side, style in ((0, "stroke-dasharray:4 3"), (1, "")):
        path = _path([p[side] for p in points], least, most)
        lines.append(f'<path d="{path}" style="fill:none;stroke:{FILL};stroke-width:2;{style}"/>')
    label = "Mean prediction (dashed) and mean of what came true, by tenths of the predictions"
    head = ["tenth, by prediction", "predicted on average", "came true on average"]
    return _drawn(label, lines, least, most) + "\n\n" + _table(head, rows)


def _history(registry: Registry, told: dict[str, Any]) -> str:
    """The Ask's metric of each version that was registered, oldest first."""
    name = told.get("metric", {}).get("name", "")
    found = [
        (one.semantic or one.version, float(one.tags[f"holdout_{name}"]))
        for one in reversed(registry.releases)
        if f"holdout_{name}" in one.tags
    ]
    if len(found) < 2:
        return ""
    values = [value for _, value in found]
    room = (max(values) - min(values) or abs(values[0]) or 1) * 0.1
    least, most = min(values) - room, max(values) + room
    places = _places(values, least, most)
    lines = [f'<path d="{_path(values, least, most)}" style="fill:none;stroke:{FILL}"/>']
    lines += [f'<circle cx="{x}" cy="{y}" r="4" style="fill:{FILL}"/>' for x, y in places]
    drawing = _drawn(f"{name} by version, from {found[0][0]} to {found[-1][0]}", lines, least, most)
    rows = [[version, f"{value:.4g}"] for version, value in found]
    return f"{drawing}\n\n{_table(['version', name], rows)}"


def _gates(release: Release) -> str:
    try:
        found = json.loads(release.tags[GATES])
        rows = [[g["gate"], g["figure"], g["limit"], g["note"]] for g in found]
    except (KeyError, TypeError, ValueError):
        return "It was not judged yet: `dslp model promote` does that."
    return _table(["gate", "figure", "limit", ""], rows) if rows else "None were asked for."


def _performance(release: Release) -> str:
    tag = "dslp.performance."
    rows = [
        [words, number(float(release.tags[tag + name]))]
        for name, words in FIGURES.items()
        if tag + name in release.tags
    ]
    return _table(["", "measured"], rows) if rows else ""


def _limits(release: Release, told: dict[str, Any]) -> str:
    lines = [f"- Of the data: {markdown(one, LONG)}" for one in told.get("known_issues", [])]
    lines += [f"- Assumed: {markdown(one, LONG)}" for one in told.get("assumptions", [])]
    (outcome,) = _tags(release, "assumptions")
    if outcome and outcome != "none":
        lines.append(f"- When it was trained, these assumptions: {markdown(outcome)}")
    return "\n".join(
        lines or ["None are written down, which is not the same as that there are none."]
    )


def _use(name: str, told: dict[str, Any]) -> str:
    """A request and how to send it; the shell is not given what people wrote."""
    words = f"`uv run --group serving dslp model serve {markdown(name)}` answers `POST /predict`"
    if "openapi" in told:
        words += f" ([OpenAPI document]({name.rpartition('.')[2]}-openapi.json))"
    example = told.get("example")
    if not example:
        return f"{words}."
    body = html.escape(json.dumps(example, indent=2), quote=False)
    return f"{words} with a body such as\n\n<pre><code>{body}</code></pre>"


def _trail(registry: Registry) -> str:
    known = {one.version: one.semantic or one.version for one in registry.releases}
    rows = [
        [e.time, e.action, known[e.version], e.who, e.why, f"#{e.issue}" if e.issue else ""]
        for e in reversed(registry.trail)
    ]
    return _table(["when", "what", "version", "by", "why", "for"], rows)


def _environment(release: Release, told: dict[str, Any]) -> str:
    commit, clean, version, lock, python = _tags(
        release, "commit", "clean", "environment_version", "environment", "python"
    )
    rows = [
        ["commit", commit + ("" if clean == "true" else ", with changes that were not committed")],
        ["environment", version],
        ["digest of its lock", lock],
        ["Python", python],
        ["packages", ", ".join(told.get("packages", []))],
    ]
    return _table([], [row for row in rows if row[1]])


def _section(head: str, content: str) -> list[str]:
    return [f"## {head}", content] if content else []


def _tags(release: Release, *names: str) -> list[str]:
    return [release.tags.get(f"dslp.{name}", "") for name in names]


def _parts(release: Release, name: str) -> dict[str, str]:
    """What a version is made of, as it was recorded."""
    try:
        found = json.loads(release.tags.get(MADE_OF + name, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) and set(found) != {"all"} else {}


def _table(heads: Sequence[str], rows: Rows) -> str:
    """Cells of any text as HTML, which neither the site nor GitHub reads as Markdown."""
    head = "".join(f"<th>{text(name) if name else ''}</th>" for name in heads)
    cells = [[f"<td>{text(cell, LONG) if cell else ''}</td>" for cell in row] for row in rows]
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in cells)
    top = f"<thead><tr>{head}</tr></thead>" if heads else ""
    return f"<table>\n{top}<tbody>\n{body}\n</tbody></table>"


def _places(values: Sequence[float], least: float, most: float) -> list[tuple[float, float]]:
    """Points of a drawing that is 600 wide and 150 high."""
    step, span = 560 / max(1, len(values) - 1), (most - least) or 1
    return [
        (round(20 + place * step, 1), round(140 - (value - least) / span * 130, 1))
        for place, value in enumerate(values)
    ]


def _path(values: Sequence[float], least: float, most: float) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in _places(values, least, most))


def _drawn(label: str, lines: list[str], least: float, most: float) -> str:
    """A drawing with its words beside it, since GitHub leaves drawings out."""
    words = text(f"{label}; the height is from {least:.4g} to {most:.4g}.", LONG)
    return (
        f'<div>\n<svg role="img" aria-label="{words}" viewBox="0 0 600 150" '
        'style="display:block;width:100%;max-width:40rem;border-bottom:1px solid">'
        f"{''.join(lines)}</svg>\n<p><small>{words}</small></p>\n</div>"
    )
