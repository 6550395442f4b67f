"""Watching every model of a project on a schedule, and writing down what was seen (M9, M10)."""

import json
from pathlib import Path

from dslp.core.actions import add_summary_line
from dslp.core.errors import DslpError
from dslp.core.report import save_page
from dslp.core.settings import Project
from dslp.data.build import ensure_data
from dslp.data.dataset import find_dataset
from dslp.data.fingerprint import digest
from dslp.experiments.model import Model, find_model, model_names
from dslp.models import monitoring_page, recent_data
from dslp.models.monitoring import Observation, monitor_model
from dslp.tracking.connection import unshared_reason
from dslp.tracking.registry import Registry, Release


def monitor_all(project: Project, folder: Path) -> bool:
    """Look at each model that has a champion, and write what was seen to `folder`.

    In any case it then holds `watched.md`: an artifact that is missing means that nobody looked.

    A model whose data is as it was trained on, and that has no log of predictions, is passed over.

    Returns:
        Whether each of them could be looked at.
    """
    from dslp.core.console import say

    reason, able = unshared_reason(project), True
    seen: list[str] = []
    here = model_names(project)
    for name in here if not reason else []:
        try:
            said = _watched(find_model(project, name), folder)
        except recent_data.TooFew as error:
            said = f"{name}: {error}"
        except DslpError as error:  # the others are looked at all the same
            said, able = f"{name}: {error}", False
        say(said)
        add_summary_line(said)
        seen.append(said)
    if reason or not here:
        said = f"nothing is watched: {reason or 'there is no model'}"
        say(f"::notice::{said}")
        add_summary_line(said)
        seen.append(said)
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"- {line}\n" for line in seen)
    (folder / "watched.md").write_text(text, encoding="utf-8", newline="\n")
    return able


def write_observation(seen: Observation, report: Path | None, proposal: Path | None) -> None:
    """Write the page, and where something moved what is proposed.

    Raises:
        DslpError: a file cannot be written.
    """
    if report:
        save_page(report, *monitoring_page.monitoring_page(seen, report.stem))
    if proposal and seen.moved:
        save_page(proposal, json.dumps(monitoring_page.proposal(seen), indent=2) + "\n")


def _watched(model: Model, folder: Path) -> str:
    champion = Registry.read(model.project, model.name).in_role("champion")
    if champion is None:
        return f"{model.name} has no champion yet"
    where = recent_data.predictions_address(model)
    predictions = where if "://" in where or any(Path(where).glob("*.jsonl")) else None
    data = _changed(model, champion)
    if not predictions and not data:
        return f"{model.name}: nothing is new since {champion.label} was trained"
    seen = monitor_model(model, predictions, data)
    write_observation(seen, folder / f"{model.name}.md", folder / f"{model.name}.json")
    return monitoring_page.summary_sentence(seen)


def _changed(model: Model, champion: Release) -> str | None:
    """The model's dataset, where it can be had and is not what the champion was trained on."""
    dataset = find_dataset(model.project, model.params.dataset.name)
    try:
        ensure_data(dataset)
    except DslpError as error:  # what was served is looked at all the same
        add_summary_line(str(error))
        return None
    same = digest(dataset) == champion.tags.get(recent_data.DIGEST)
    return None if same else dataset.name
