"""A profile as the page of a dataset, and as the table in its datasheet (D5).

What holds names and values on the page is HTML without a blank line in it, which neither the site
nor GitHub reads as Markdown. GitHub leaves out drawings, and writes out any text and <title> in
them: so theirs are labels, and their figures stand beside them.
"""

import html
import re
from collections.abc import Sequence

from dslp.data import datasheet, figures, schema
from dslp.data.catalogue import Dataset
from dslp.data.figures import markdown, text, visible
from dslp.data.profile import CORRELATED, CROWD, DAY, FEW, OWN, QUANTILES, Column, Profile

MARK = "<!-- Written by `dslp data profile"
SENTENCE = 1_000  # characters of what people wrote in schema.yml and datasheet.md
COMMON = 0.01  # of the values: what a column of numbers has less often is not worth a word
UNKNOWN = schema.Column(type="unknown", categories=None)
FILL = "fill:var(--md-typeset-a-color,currentColor)"  # the site's colour, in light and in dark
PLAIN = f'class="profile" style="width:100%;font-size:.7rem;overflow-wrap:anywhere;{FILL}"'
KINDS = {"date": "date", "flag": "yes or no", "text": "text"}


def page(dataset: Dataset, profile: Profile) -> str:
    """The text of docs/data/NAME.md: what people wrote, then what the machine counted."""
    sheet, stated = dataset.sheet, schema.stated(dataset)
    issue = f" (issue #{sheet.issue})" if sheet.issue else ""
    facts = {"one row is": stated.population} if stated.population else {}
    facts |= {
        "version": f"{sheet.version}{issue}",
        "rows": f"{profile.rows:,}",
        "columns": f"{len(profile.columns):,}",
        "key of a row": ", ".join(stated.key) or "none",
        "built from": ", ".join(sheet.parents) or "nothing else",
        "owner": sheet.owner,
        "licence": sheet.licence,
        "personal data": "yes" if sheet.personal_data else "no",
    }
    prose, _, history = _prose(dataset).partition("**History.**")
    parts = [
        f"# {markdown(dataset.name)}",
        f"{MARK} {dataset.name}`: a change here is lost. -->",
        _table([], [[name, text(value, SENTENCE)] for name, value in facts.items()]),
        prose.strip(),
        "## Known issues" if sheet.known_issues else "",
        "\n".join(f"- {markdown(issue, SENTENCE)}" for issue in sheet.known_issues),
        "## Columns",
        _notes(profile, sheet.personal_data),
        _overview(profile, stated),
    ]
    for number, column in enumerate(profile.columns, start=1):
        parts.append(f'### <a id="column-{number}"></a>{markdown(column.name)}')
        about = stated.columns.get(column.name, UNKNOWN)
        parts.append(_card(column, about, profile, column.name in stated.key))
    if profile.correlations:
        parts += ["## Correlations", _correlations(profile)]
    parts += ["## History", history.strip()] if history else []
    return "\n\n".join(part for part in parts if part) + "\n"


def block(dataset: Dataset, profile: Profile) -> str:
    """The table of the columns for the datasheet, in Markdown."""
    stated = schema.stated(dataset).columns
    lines = [
        f"{profile.rows:,} rows, {len(profile.columns):,} columns:",
        "",
        "| column | type | unit | missing | range | description |",
        "| --- | --- | --- | ---: | --- | --- |",
    ]
    for column in profile.columns:
        about = stated.get(column.name, UNKNOWN)
        cells = [column.name, about.type if column.name in stated else column.type.lower()]
        cells += [about.unit or "", figures.missing(column, profile), figures.span(column, profile)]
        shown = [*map(markdown, cells), markdown(about.description or "", SENTENCE)]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)


def _prose(dataset: Dataset) -> str:
    """What people wrote in the datasheet, without its heading and links that lead elsewhere."""
    written = datasheet.decoded(dataset.folder / "datasheet.md").replace("\r\n", "\n")
    found = datasheet.FRONT_MATTER.sub("", written)
    before, _, rest = found.partition(datasheet.BEGIN)
    found = before + rest.partition(datasheet.END)[2]
    found = re.sub(r"\A\s*# .*\n", "", found)
    return re.sub(r"!?\[([^\]]*)\]\((?!https?://|mailto:)[^)]*\)", r"\1", found).strip()


def _notes(profile: Profile, personal: bool) -> str:
    notes = {
        "This dataset holds personal data: single values of text, numbers and dates are not shown, "
        "and quantiles of 1 % and 99 % stand for the smallest and the largest value, where there "
        f"are {CROWD:,} values or more; of fewer than {FEW}, nothing is shown.": personal,
        "Numbers of different values are estimates.": not profile.exact,
        "Medians and other quantiles are estimates.": profile.rows > QUANTILES,
    }
    return " ".join(note for note, needed in notes.items() if needed)


def _overview(profile: Profile, stated: schema.Schema) -> str:
    rows = []
    for number, column in enumerate(profile.columns, start=1):
        about = stated.columns.get(column.name, UNKNOWN)
        link = f'<a href="#column-{number}">{text(column.name)}</a>'
        what = html.escape(visible(about.description or "", SENTENCE))
        rows.append([link, what, text(figures.missing(column, profile))])
    return _table(["column", "what it is", "missing"], rows)


def _card(column: Column, about: schema.Column, profile: Profile, key: bool) -> str:
    """All about one column: words, a drawing and figures, beside each other where there is room."""
    kind = KINDS.get(column.kind, column.type.lower())
    if column.kind == "number":
        kind = "whole number" if "INT" in column.type else "number"
    kind = "date and time" if column.type.startswith("TIMESTAMP") else kind
    what = html.escape(visible(about.description or "", SENTENCE))
    words = [text(kind), text(about.unit) if about.unit else "", "part of the key" if key else ""]
    lines = [
        f"<p>{what}{'<br>' if what else ''}<small>{' · '.join(filter(None, words))}</small></p>",
        '<div style="display:flex;flex-wrap:wrap;gap:1rem 2rem;align-items:flex-start">',
        f'<div style="flex:3 1 16rem;min-width:0">{_drawing(column, profile)}</div>',
        f'<div style="flex:1 1 12rem">{_figures(column, profile)}</div>',
        "</div>",
    ]
    return "\n".join(["<div>", *lines, "</div>"])


def _drawing(column: Column, profile: Profile) -> str:
    if column.kind == "other":
        return "<p>Nested values are not drawn.</p>"
    if not column.count:
        return "<p>There are no values.</p>"
    if column.bars:
        return _histogram(column)
    if not column.values:
        few = (column.distinct or 0) < OWN * column.count
        return f"<p>{'Values are not shown.' if few else 'Nearly every row has its own value.'}</p>"
    values = list(column.values)
    if column.kind in ("number", "date"):
        values.sort(key=lambda pair: float(pair[0]))
    shown = [(text(figures.value(column, value)), count) for value, count in values]
    left = column.count - sum(count for _, count in values)
    if left:
        shown.append((f"<i>{figures.different(column, profile, len(values))} others</i>", left))
    most = max(count for _, count in shown)
    rows = "".join(
        f'<tr><td>{name}</td><td width="60%"><svg aria-hidden="true" viewBox="0 0 100 9" '
        'preserveAspectRatio="none" style="display:block;width:100%;height:.8rem">'
        f'<path d="M0 0h{100 * count / most:.1f}v9H0z"/></svg></td>'
        f'<td align="right">{text(figures.share(count, profile.rows))}</td></tr>\n'
        for name, count in shown
    )
    return f"<table {PLAIN}>\n{rows}</table>"


def _histogram(column: Column) -> str:
    most, single = max(column.bars), column.step == column.grain
    path = "".join(
        f"M{10 * number} 100V{100 - max(1, round(100 * count / most))}h9V100z"
        for number, count in enumerate(column.bars)
        if count
    )
    ends = [column.start, column.start + column.step * (len(column.bars) - single)]
    first, last = (figures.value(column, end) for end in ends)
    peak = column.start + column.step * column.bars.index(most)
    tallest = figures.value(column, peak)
    tallest += "" if single else f" to {figures.value(column, peak + column.step)}"
    notes = [f"Tallest bar: {tallest}, {figures.share(most, column.count)} of the values."]
    beyond = column.count - sum(column.bars)
    notes += [f"{figures.share(beyond, column.count)} of them lie outside."] if beyond else []
    common = [
        f"{figures.value(column, value)} ({figures.share(count, column.count)})"
        for value, count in column.values[:5]
        if count >= COMMON * column.count
    ]
    notes += [f"Most common: {', '.join(common)}."] if common else []
    label = f"Histogram of {visible(column.name)} from {first} to {last}. {notes[0]}"
    return (
        f'<svg role="img" aria-label="{text(label, SENTENCE)}" '
        f'viewBox="0 0 {10 * len(column.bars)} 100" preserveAspectRatio="none" '
        f'style="display:block;width:100%;height:6rem;border-bottom:1px solid;{FILL}">'
        f'<path d="{path}"/></svg>\n'
        '<div style="display:flex;justify-content:space-between">'
        f"<small>{first}</small> <small>to</small> <small>{last}</small></div>\n"
        f"<p><small>{text(' '.join(notes), SENTENCE)}</small></p>"
    )


def _figures(column: Column, profile: Profile) -> str:
    cells = {"missing": figures.missing(column, profile)}
    if column.odd:
        cells["not finite"] = f"{column.odd:,}"
    if column.distinct is not None:
        cells["different values"] = figures.different(column, profile)
    cells |= {
        name: figures.value(column, value, 4 if name == "mean" else 6)
        for name, value in (
            ("minimum", column.minimum),
            ("1 % below", column.low if column.minimum is None else None),
            ("median", column.median),
            ("mean", column.mean),
            ("99 % below", column.high if column.maximum is None else None),
            ("maximum", column.maximum),
        )
        if value is not None
    }
    if column.deviation is not None:
        days = column.kind == "date"
        spread = figures.number(column.deviation / (DAY if days else 1))
        cells["standard deviation"] = f"{spread} days" if days else spread
    rows = "".join(
        f'<tr><td>{name}</td><td align="right">{text(value)}</td></tr>\n'
        for name, value in cells.items()
    )
    return f"<table {PLAIN}>\n{rows}</table>"


def _correlations(profile: Profile) -> str:
    """Pearson's coefficients as a table whose cells are coloured by them."""
    found = profile.correlations
    numbers = sorted({number for pair in found for number in pair})
    rows = []
    for row in numbers:
        cells = []
        for column in numbers[: numbers.index(row)]:
            r = found.get((column, row))
            colour = "30,100,220" if r and r > 0 else "220,90,20"
            shade = f' style="background:rgba({colour},{abs(r or 0) * 0.6:.2f})"'
            cells.append(f'<td align="right"{shade}>{"–" if r is None else f"{r + 0:.2f}"}</td>')
        name = text(profile.columns[row].name)
        rows.append(f"<tr><td>{row + 1}&nbsp;{name}</td>{''.join(cells)}</tr>\n")
    heads = "".join(
        f'<th align="right" title="{text(profile.columns[n].name)}">{n + 1}</th>'
        for n in numbers[:-1]
    )
    cut = f" The first {CORRELATED} such columns are shown." if profile.cut else ""
    return (
        "<p>Pearson's coefficient of each two columns of numbers that vary and are no key: from "
        f"-1 (one falls as the other rises) over 0 to 1 (they rise together).{cut}</p>\n"
        '<div style="overflow-x:auto"><table class="profile" cellpadding="4">\n'
        f"<tr><th></th>{heads}</tr>\n"
        f"{''.join(rows)}</table></div>"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f"<table>\n{top}<tbody>\n{body}</tbody></table>"
