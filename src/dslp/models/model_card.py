"""The card of a model: what is recorded of it, on one page of the site (M11).

Everything comes from the registry and the run of the training: the same record makes the same page.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.pictures import draw_points
from dslp.core.report import is_written, render_page, save_page
from dslp.core.settings import Project
from dslp.experiments.evaluation import draw_views
from dslp.experiments.gains import format_metric
from dslp.models.gates import TAG as GATES
from dslp.models.performance import FIGURES
from dslp.models.training_record import read_record
from dslp.models.versioning import TAG as PART
from dslp.tracking.connection import mlflow_errors
from dslp.tracking.registry import Registry, Release


def write_card(project: Project, name: str, version: str | None = None) -> tuple[Path, list[str]]:
    """Write docs/models/NAME.md about a version: by default the champion, or else the newest.

    Beside it, NAME-openapi.json has the version's API, for machines (M2).

    Returns:
        The page, and the texts on it that no person has written.

    Raises:
        DslpError: it was never registered, or a file cannot be read or written.
    """
    registry = Registry.read(project, name)
    if not registry.releases:
        raise DslpError(f"{name} was never registered; first: uv run dslp model register {name}")
    latest = registry.in_role("champion") or registry.releases[0]
    release = registry.release(version) if version else latest
    path = project.root / "docs" / "models" / f"{name}.md"
    record = read_record(registry, release)
    save_page(path, *model_card(registry, release, record))
    api = json.dumps(record["openapi"], ensure_ascii=False, indent=2)
    save_page(path.with_name(f"{name}-openapi.json"), f"{api}\n")
    texts = [record["question"], record["population"], *record["known_issues"]]
    return path, [text for text in (*texts, *record["assumptions"]) if not is_written(text)]


@mlflow_errors()
def model_card(
    registry: Registry, release: Release, record: dict[str, Any]
) -> tuple[str, dict[str, str]]:
    """The page about a version, and its pictures; `record` is that of its training."""
    metric = record["metric"]["name"]
    history = {
        one.semantic or one.version: float(one.tags[f"holdout_{metric}"])
        for one in reversed(registry.releases)
        if f"holdout_{metric}" in one.tags
    }
    pictures = draw_views(record["evaluation"])
    if len(history) > 1:
        pictures["history"] = draw_points(
            "version", metric, [[*pair, None, None] for pair in history.items()]
        )
    text = render_page(
        "card.md.jinja",
        registry=registry,
        release=release,
        record=record,
        tags=defaultdict(str, {n.removeprefix("dslp."): v for n, v in release.tags.items()}),
        parts={side: _parts(release, side) for side in ("inputs", "outputs", "population")},
        figures=FIGURES,
        format_metric=format_metric,
        pictures=pictures,
        metric=metric,
        history=history,
        gates=_content(release, GATES),
    )
    return text, pictures


def _parts(release: Release, name: str) -> dict[str, str]:
    """A part of a version as it was recorded; nothing if only its digest was."""
    content: dict[str, str] = _content(release, PART + name) or {}
    return {} if set(content) == {"all"} else content


def _content(release: Release, tag: str) -> Any:
    """What a tag holds as JSON, or nothing if it is missing."""
    return json.loads(release.tags[tag]) if tag in release.tags else None
