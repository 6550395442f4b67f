"""What was observed of a model in use: a page, and what people are asked to decide (M9, M10)."""

from typing import Any

from dslp.core.pictures import draw_shares
from dslp.core.report import render_page
from dslp.core.text import visible
from dslp.models.monitoring import Observation
from dslp.tracking.history import read_entries

SHOWN = 20  # moved features that are drawn


def summary_sentence(seen: Observation) -> str:
    """The outcome in a sentence."""
    rows = " and ".join(f"{count:,} rows ({where})" for where, count in seen.rows.items())
    what = ", ".join(seen.moved)
    moved = f"moved: {what}" if what else "nothing moved beyond its limit"
    unknown = [one.where for one in seen.signals if one.what == "rows" and one.moved is None]
    missing = f"; nothing can be said of {', '.join(unknown)}" if unknown else ""
    return f"{seen.model.name} {seen.champion.label}, {rows}: {moved}{missing}"


def monitoring_page(seen: Observation, name: str) -> tuple[str, dict[str, str]]:
    """A report in Markdown, whose file has this name, and its pictures."""
    drawn = [signal for signal in seen.signals if signal.moved and signal.shares][:SHOWN]
    words = [f"Shares of {visible(signal.subject)}. {signal.note}" for signal in drawn]
    pictures = {
        f"drift-{place}": draw_shares(
            said, {bin: shares for bin, *shares in signal.shares}, ("in training", "now")
        )
        for place, (signal, said) in enumerate(zip(drawn, words, strict=True), start=1)
    }
    context = {
        "seen": seen,
        "name": name,
        "verdict": summary_sentence(seen),
        "difference": difference,
    }
    return render_page("monitoring.md.jinja", drawn=drawn, words=words, **context), pictures


def difference(seen: Observation) -> str:
    """By how much the challenger is better, in words."""
    metric, (first, second) = seen.model.params.metric, seen.sides
    if first.metric is None or second.metric is None:
        return "which of them is better shows when enough outcomes are observed (--truth)"
    gain = metric.improvement(second.metric, first.metric)
    return f"the challenger against the champion in {metric.name}: {gain:+.1%}"


def proposal(seen: Observation) -> dict[str, Any]:
    """What a Model issue and a pull request for retraining need to know (M10)."""
    from dslp.data.dataset import find_dataset

    model, tags = seen.model, seen.champion.tags
    dataset = find_dataset(model.project, model.params.dataset.name)
    issues = [entry.issue for entry in read_entries([(seen.champion.version, tags)]) if entry.issue]
    noted = tags.get("dslp.issue", "")
    return {
        "model": model.name,
        "params": (model.folder / "params.yml").relative_to(model.project.root).as_posix(),
        "dataset": dataset.name,
        "stated": model.params.dataset.version,
        "newest": dataset.version,
        "ask": model.params.ask.issue,
        "issue": issues[0] if issues else int(noted) if noted.isdigit() else None,
        "moved": seen.moved,
        "verdict": summary_sentence(seen),
        "report": render_page("signals.md.jinja", seen=seen).strip(),
    }
