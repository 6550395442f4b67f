"""The result of a monitoring: as a page, as JSON, and as a proposal to people (M9, M10)."""

import json
from dataclasses import asdict
from pathlib import Path

from dslp.core.pictures import draw_shares
from dslp.core.report import Finding, Report, render_page, save_page
from dslp.core.text import visible
from dslp.data.dataset import find_dataset
from dslp.models.monitoring import MonitoringResult

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
    context = {"result": result, "name": name, "moved": moved, "captions": captions}
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
