"""What was seen of a model in use: as a page, and as what people are asked to decide (M9, M10)."""

from typing import Any

from dslp.data.figures import markdown, share, text
from dslp.models.monitor import Seen, Signal
from dslp.models.trail import entries

LONG = 300  # characters of a note
SHOWN = 20  # moved features that are drawn
FILL = "fill:var(--md-typeset-a-color,currentColor)"


def verdict(seen: Seen) -> str:
    """The outcome in a sentence."""
    rows = " and ".join(f"{count:,} rows ({where})" for where, count in seen.rows.items())
    what = ", ".join(seen.moved)
    moved = f"moved: {what}" if what else "nothing moved beyond its limit"
    unknown = [one.where for one in seen.signals if one.what == "rows" and one.moved is None]
    missing = f"; nothing can be said of {', '.join(unknown)}" if unknown else ""
    return f"{seen.model.name} {seen.champion.label}, {rows}: {moved}{missing}"


def page(seen: Seen) -> str:
    """A report in Markdown, with drawings that stand beside their figures."""
    parts = [
        f"# {markdown(seen.model.name)}: has anything moved?",
        f"{markdown(verdict(seen), 1000)}.",
        table(seen),
        "The index of stability compares the shares of values in the bins of the training data "
        "with those of now: below 0.1 little has changed, from 0.25 on much has.",
    ]
    drawn = [signal for signal in seen.signals if signal.moved and signal.shares][:SHOWN]
    parts += [_shares(signal) for signal in drawn]
    return "\n\n".join([*parts, *sides(seen)]) + "\n"


def table(seen: Seen) -> str:
    """All signals, what moved first."""
    lines = ["| | looked at | figure | limit | | |", "| --- | --- | ---: | ---: | --- | --- |"]
    for one in seen.signals:
        word = f"**{one.word}**" if one.moved else one.word
        told = [markdown(t) for t in (one.subject, one.what, one.figure, one.limit)]
        note = markdown(one.note, LONG)
        note += f" ({markdown(one.where)})" if len(seen.rows) > 1 else ""
        lines.append(f"| {' | '.join([*told, word, note])} |")
    return "\n".join(lines)


def sides(seen: Seen) -> list[str]:
    """Champion and challenger beside each other, where both have answered (M12)."""
    if not seen.sides:
        return []
    metric = seen.model.params.metric
    heads = f"| | rows | share | {markdown(metric.name)} | known |"
    lines = ["## Champion and challenger", f"{heads}\n| --- | ---: | ---: | ---: | ---: |"]
    for one in seen.sides:
        value = "not known" if one.metric is None else f"{one.metric:.4g}"
        cells = [f"{one.role} {one.label}", f"{one.rows:,}", f"{one.share:.1%}", value]
        lines[1] += f"\n| {' | '.join(map(markdown, cells))} | {one.known:,} |"
    return [*lines, f"{markdown(difference(seen), LONG)}."]


def difference(seen: Seen) -> str:
    """By how much the challenger is better, in words."""
    metric, (first, second) = seen.model.params.metric, seen.sides
    if first.metric is None or second.metric is None:
        return "which of them is better shows when enough has come true (--truth)"
    gain = metric.improvement(second.metric, first.metric)
    return f"the challenger against the champion in {metric.name}: {gain:+.1%}"


def proposal(seen: Seen) -> dict[str, Any]:
    """What a Model issue and a pull request for retraining need to know (M10)."""
    from dslp.data.catalogue import datasets

    model, tags = seen.model, seen.champion.tags
    (dataset,) = datasets(model.project, [model.params.dataset.name])
    issues = [entry.issue for entry in entries([(seen.champion.version, tags)]) if entry.issue]
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
        "verdict": verdict(seen),
        "report": table(seen),
    }


def _shares(signal: Signal) -> str:
    """The bins of what moved, before and now, as a table with a bar in each row."""
    rows = []
    widest = max(max(before, now) for _, before, now in signal.shares)
    for name, before, now in signal.shares:
        cells = [f"<td>{text(name)}</td>"]
        for value in (before, now):
            shown = share(round(value * 1_000_000), 1_000_000)
            cells.append(f'<td align="right">{shown}</td><td>{_bar(value / widest)}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = '<tr><th></th><th colspan="2">before</th><th colspan="2">now</th></tr>'
    top = f"## {markdown(signal.subject)}\n\n<table>\n<thead>{head}</thead><tbody>"
    return "\n".join([top, *rows, "</tbody></table>"])


def _bar(length: float) -> str:
    return (
        '<svg role="presentation" viewBox="0 0 100 10" preserveAspectRatio="none" '
        f'style="width:8rem;height:.8rem;{FILL}"><path d="M0 0h{100 * length:.1f}v10H0z"/></svg>'
    )
