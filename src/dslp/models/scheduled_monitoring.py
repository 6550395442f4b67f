"""Monitoring every model of a project on a schedule (M9, M10)."""

from pathlib import Path

from dslp.core.actions import add_summary_line
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.core.report import save_page
from dslp.core.settings import Project
from dslp.data.build import ensure_data
from dslp.data.dataset import find_dataset
from dslp.experiments.model import Model, find_model, model_names
from dslp.models import recent_data
from dslp.models.monitoring import monitor_model
from dslp.models.monitoring_page import summary_sentence, write_result
from dslp.tracking.connection import unshared_reason
from dslp.tracking.registry import Registry


def monitor_all(project: Project, folder: Path) -> bool:
    """Monitor each model that has a champion, and write the results to `folder`.

    `watched.md` is always written, so a missing artifact means that the job did not run. A model
    without new data and without logged predictions is passed over.

    Returns:
        Whether each of them could be monitored.
    """
    reason, able = unshared_reason(project), True
    lines: list[str] = []
    names = model_names(project)
    for name in names if not reason else []:
        try:
            lines.append(_monitor(find_model(project, name), folder))
        except DslpError as error:  # the others are monitored all the same
            lines.append(f"{name}: {error}")
            able = able and isinstance(error, recent_data.TooFew)
    if not lines:
        lines.append(f"nothing is monitored: {reason or 'there is no model'}")
        say(f"::notice::{lines[0]}")
    for line in lines:
        say(line)
        add_summary_line(line)
    save_page(folder / "watched.md", "".join(f"- {line}\n" for line in lines))
    return able


def _monitor(model: Model, folder: Path) -> str:
    champion = Registry.read(model.project, model.name).in_role("champion")
    if champion is None:
        return f"{model.name} has no champion yet"
    dataset = find_dataset(model.project, model.params.dataset.name)
    try:
        ensure_data(dataset)
    except DslpError as error:  # predictions are monitored all the same
        add_summary_line(str(error))
    result = monitor_model(model, [dataset.name, recent_data.predictions_address(model)])
    write_result(result, folder / f"{model.name}.md", folder / f"{model.name}.json")
    return summary_sentence(result)
