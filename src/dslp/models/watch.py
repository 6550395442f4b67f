"""Watching every model of a project on a schedule, and writing down what was seen (M9, M10)."""

import json
from pathlib import Path

from dslp.data.catalogue import datasets
from dslp.data.ci import ready, summary
from dslp.data.digest import digest
from dslp.data.register import alone
from dslp.errors import DslpError
from dslp.experiments.model import Model, model, names
from dslp.models import arrivals, monitor_page
from dslp.models.monitor import Seen, monitor
from dslp.models.registry import Registry, Release
from dslp.project import Project
from dslp.report import save


def watch(project: Project, folder: Path) -> bool:
    """Look at each model that has a champion, and write what was seen to `folder`.

    In any case it then holds `watched.md`: an artifact that is missing means that nobody looked.

    A model whose data is as it was trained on, and that has no log of predictions, is passed over.

    Returns:
        Whether each of them could be looked at.
    """
    from dslp.console import say

    reason, able = alone(project), True
    seen: list[str] = []
    here = names(project)
    for name in here if not reason else []:
        try:
            said = _watched(model(project, name), folder)
        except arrivals.TooFew as error:
            said = f"{name}: {error}"
        except DslpError as error:  # the others are looked at all the same
            said, able = f"{name}: {error}", False
        say(said)
        summary(said)
        seen.append(said)
    if reason or not here:
        said = f"nothing is watched: {reason or 'there is no model'}"
        say(f"::notice::{said}")
        summary(said)
        seen.append(said)
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"- {line}\n" for line in seen)
    (folder / "watched.md").write_text(text, encoding="utf-8", newline="\n")
    return able


def write(seen: Seen, report: Path | None, proposal: Path | None) -> None:
    """Write the page, and where something moved what is proposed.

    Raises:
        DslpError: a file cannot be written.
    """
    if report:
        save(report, *monitor_page.page(seen, report.stem))
    if proposal and seen.moved:
        save(proposal, json.dumps(monitor_page.proposal(seen), indent=2) + "\n")


def _watched(model: Model, folder: Path) -> str:
    champion = Registry.read(model.project, model.name).holder("champion")
    if champion is None:
        return f"{model.name} has no champion yet"
    where = arrivals.place(model)
    predictions = where if "://" in where or any(Path(where).glob("*.jsonl")) else None
    data = _changed(model, champion)
    if not predictions and not data:
        return f"{model.name}: nothing is new since {champion.label} was trained"
    seen = monitor(model, predictions, data)
    write(seen, folder / f"{model.name}.md", folder / f"{model.name}.json")
    return monitor_page.verdict(seen)


def _changed(model: Model, champion: Release) -> str | None:
    """The model's dataset, where it can be had and is not what the champion was trained on."""
    (dataset,) = datasets(model.project, [model.params.dataset.name])
    try:
        ready(dataset)
    except DslpError as error:  # what was served is looked at all the same
        summary(str(error))
        return None
    same = digest(dataset) == champion.tags.get(arrivals.DIGEST)
    return None if same else dataset.name
