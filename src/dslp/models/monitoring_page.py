"""Monitoring as a page, as JSON, as a proposal to people, and on a schedule (M9, M10)."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dslp.core.actions import add_summary_line
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.core.pictures import draw_shares
from dslp.core.report import Finding, Report, render_page, save_page
from dslp.core.settings import Project
from dslp.core.text import visible
from dslp.data.build import ensure_data
from dslp.data.dataset import find_dataset
from dslp.experiments.model import Model, find_model, model_names
from dslp.models import recent_data
from dslp.models.monitoring import MonitoringResult, monitor_model
from dslp.tracking.connection import unshared_reason
from dslp.tracking.registry import Registry

MOST = 20  # pictures on a page


def summary_sentence(result: MonitoringResult) -> str:
    """The result in a sentence."""
    rows = " and ".join(f"{count:,} rows ({source})" for source, count in result.rows.items())
    moved = f"moved: {', '.join(result.moved)}" if result.moved else "nothing moved"
    unknown = [s.source for s in result.signals if s.measure == "rows" and s.moved is None]
    missing = f"; not known: {', '.join(unknown)}" if unknown else ""
    return f"{result.model.name} {result.champion.label}, {rows}: {moved}{missing}"


def monitoring_report(result: MonitoringResult) -> Report:
    """The result as `dslp model monitor --json` prints it: a finding for each signal that moved."""
    findings = [
        Finding(s.measure, f"{s.figure}; the threshold is {s.threshold}", "", s.subject, s.note)
        for s in result.signals
        if s.moved
    ]
    skipped = [f"{s.subject}: {s.note}" for s in result.signals if s.moved is None]
    signals = [asdict(signal) for signal in result.signals]
    details = {"rows": result.rows, "signals": signals, "sides": result.sides}
    subject = f"{result.model.name} {result.champion.label}"
    return Report(subject, len(result.signals), findings, skipped, details)


def write_result(result: MonitoringResult, page: Path | None, proposal: Path | None) -> None:
    """Write the page, and the proposal if something moved.

    Raises:
        DslpError: a file cannot be written.
    """
    if page:
        save_page(page, *monitoring_page(result, page.stem))
    if proposal and result.moved:
        save_page(proposal, _proposal(result))


def monitoring_page(result: MonitoringResult, name: str) -> tuple[str, dict[str, str]]:
    """The page in Markdown, whose file has this name, and its pictures."""
    moved = [signal for signal in result.signals if signal.moved and signal.shares][:MOST]
    captions = [f"Shares of {visible(signal.subject)}. {signal.note}" for signal in moved]
    pictures = {}
    for number, (signal, caption) in enumerate(zip(moved, captions, strict=True), start=1):
        shares = {bin: pair for bin, *pair in signal.shares}
        pictures[f"drift-{number}"] = draw_shares(caption, shares, ("in training", "now"))
    context: dict[str, Any] = {"result": result, "name": name, "moved": moved, "captions": captions}
    return render_page("monitoring.md.jinja", **context, summary=summary_sentence), pictures


def _proposal(result: MonitoringResult) -> str:
    """The facts for a Model issue and a pull request for retraining (M10), as JSON."""
    model, tags = result.model, result.champion.tags
    dataset = find_dataset(model.project, model.params.dataset.name)
    issue = tags.get("dslp.issue", "")
    facts = {
        "model": model.name,
        "params": (model.folder / "params.yml").relative_to(model.project.root).as_posix(),
        "dataset": dataset.name,
        "stated": model.params.dataset.version,
        "newest": dataset.version,
        "ask": model.params.ask.issue,
        "issue": result.champion.issue or (int(issue) if issue.isdigit() else None),
        "moved": result.moved,
        "verdict": summary_sentence(result),
        "report": render_page("signals.md.jinja", result=result).strip(),
    }
    return json.dumps(facts, indent=2) + "\n"


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
