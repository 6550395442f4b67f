"""Running a dataset's suite, and saying in words what does not hold (D3).

All expectations become one statement; only what fails is asked about again, for examples.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslp.core.console import notice
from dslp.core.errors import DslpError, nearest
from dslp.core.files import read_yaml
from dslp.core.report import Finding, Report
from dslp.core.settings import CHOICES
from dslp.data.batch import BATCH, Batch, MissingColumn, NotCompiled, Sql, Unreadable
from dslp.data.checks import Check, Figure, Outcome, groups
from dslp.data.dataset import Dataset
from dslp.data.engines import Engine, open_files
from dslp.data.expectations import EXPECTATIONS, compile_expectation
from dslp.data.schema import differences, read_schema
from sqlglot import exp

EXAMPLES = 3
HIDDEN = "not shown, as the data is personal"
PARTS = ("type", "kwargs", "meta", "severity", "description", "notes", "id", "windows")
SEVERITIES = ("critical", "warning", "info")
OWN = "expectations.py"  # a dataset's own classes of Great Expectations


@dataclass(frozen=True)
class Expectation:
    """One expectation of a suite file; errors begin with `place`."""

    place: str
    kind: str  # its type, without `expect_`
    kwargs: dict[str, Any]
    description: str
    severe: bool

    @property
    def rule(self) -> str:
        """Its type, as Great Expectations calls it."""
        return self.kind if self.kind == "unexpected_rows_expectation" else f"expect_{self.kind}"

    @property
    def subject(self) -> list[str]:
        """The columns that it is about, or `table`."""
        single = [self.kwargs.get(name) for name in ("column", "column_A", "column_B")]
        names = self.kwargs.get("column_list") or [name for name in single if name]
        return names if isinstance(names, list) and names else ["table"]


def validate(
    dataset: Dataset, engine: str | None = None, suite: Path | None = None, part: bool = False
) -> Report:
    """Compare a built dataset with its schema and run its suite, or another `suite` file alone.

    Where `part` says that the built data is a sample, expectations about the whole are skipped.
    In another data folder than the usual one, the files are read, never a database's table (D7).

    Raises:
        DslpError: the suite is not valid, or the engine cannot run it.
    """
    engine = engine or dataset.project.engine
    if engine not in CHOICES["engine"]:
        raise DslpError(f"{engine!r} is no engine{nearest(engine, CHOICES['engine'])}")
    engine = engine if engine != "sql" or dataset.project.usual else "embedded"
    path = suite or dataset.folder / "suite.yml"
    expectations, findings = read_suite(path), list[Finding]()
    if suite is None and (engine != "sql" or dataset.is_built):
        findings = [Finding("schema", each, subject="table") for each in differences(dataset)]
    with _open(dataset, engine) as opened:
        if suite is None and engine == "sql":
            types = {name: kind.sql() for name, kind in opened.types.items()}
            lines = {each.problem for each in findings}
            more = [line for line in differences(dataset, types) if line not in lines]
            findings += [Finding("schema", line, subject="table") for line in more]
        checks, others = list[Check](), list[Expectation]()
        compiled, skipped = list[Expectation](), list[str]()
        for each in expectations:
            try:
                check = _compile(each, opened)
            except MissingColumn as error:
                if error.name not in read_schema(dataset).columns:
                    raise DslpError(f"{each.place}: {error}") from None
                check = Check([], lambda: Outcome(False, text="the data has no such column"))
            except NotCompiled as error:
                if engine != "embedded":
                    raise DslpError(f"{each.place}: {error}; choose --engine embedded") from None
                notice(f"{each.place}: runs in Great Expectations on pandas, since {error}: slower")
                others.append(each)
                continue
            except Unreadable as error:
                raise DslpError(f"{each.place}: {error}") from None
            if part and check.whole:
                skipped.append(f"{', '.join(each.subject)}: {each.rule}")
            else:
                compiled.append(each)
                checks.append(check)
        outcomes = _run(compiled, checks, opened)
        for each, check, outcome in zip(compiled, checks, outcomes, strict=True):
            if not outcome.ok:
                examples = _examples(each, check, opened)
                findings.append(_finding(each, outcome, examples, dataset))
    if others:
        from dslp.data.pandas_suite import run_on_pandas

        items = [(each.place, each.rule, each.kwargs) for each in others]
        for each, outcome in zip(others, run_on_pandas(dataset, items), strict=True):
            if not outcome.ok:
                findings.append(_finding(each, outcome, [], dataset))
    number = len(expectations) - len(skipped) + (suite is None)
    return Report(dataset.name, number, findings, skipped)


def _open(dataset: Dataset, engine: str) -> AbstractContextManager[Engine]:
    """The dataset, open on the engine of that name."""
    if engine == "spark":
        from dslp.data.spark import open_spark

        return open_spark(dataset)
    if engine == "sql":
        from dslp.data.sql_tables import open_database

        return open_database(dataset)
    return open_files(dataset)


def read_suite(path: Path) -> list[Expectation]:
    """The expectations of a suite file.

    Raises:
        DslpError: it has none, or one of them is no mapping of type, kwargs and the like.
    """
    items = read_yaml(path).get("expectations")
    if not isinstance(items, list) or not items:
        raise DslpError(f"{path} has no expectations; write a list of type and kwargs")
    return [_read(f"{path}: expectation {n}", item) for n, item in enumerate(items, start=1)]


def _read(place: str, item: Any) -> Expectation:
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        raise DslpError(f"{place} has no type; write type and kwargs")
    for name in item:
        if name not in PARTS:
            raise DslpError(f"{place} has {name!r}{nearest(str(name), PARTS)}")
    for name in ("kwargs", "meta"):
        if not isinstance(item.get(name, {}), dict):
            raise DslpError(f"{place}: {name} is no mapping (name: value)")
    severity = item.get("severity", "critical")
    if severity not in SEVERITIES:
        raise DslpError(
            f"{place}: severity is {severity!r:.40}, not one of {', '.join(SEVERITIES)}"
        )
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", item["type"]).lower()
    place = f"{place} ({item['type']})"
    return Expectation(
        place,
        kind.removeprefix("expect_"),
        item.get("kwargs", {}),
        str(item.get("description") or ""),
        severity == "critical",
    )


def _compile(each: Expectation, engine: Engine) -> Check:
    if each.kind not in EXPECTATIONS:
        if (engine.dataset.folder / OWN).is_file():
            raise NotCompiled(f"it is not in the catalogue, but perhaps in {OWN}")
        raise Unreadable(f"there is no such type{nearest(each.kind, EXPECTATIONS)}")
    return compile_expectation(
        each.kind, each.kwargs, Batch(engine.types, engine.dialect, engine.table)
    )


def _run(
    expectations: Sequence[Expectation], checks: Sequence[Check], engine: Engine
) -> list[Outcome]:
    """The outcomes of the checks, of one statement.

    Raises:
        DslpError: the engine cannot run one of them, which is named.
    """
    try:
        values = _figures([figure for check in checks for figure in check.figures], engine)
    except DslpError:
        for each, check in zip(expectations, checks, strict=True):
            try:
                _figures(check.figures, engine)
            except DslpError as error:
                raise DslpError(f"{each.place} could not be run: {error}") from None
        raise
    return [check.verdict(*(values[each] for each in check.figures)) for check in checks]


def _figures(figures: Iterable[Figure], engine: Engine) -> dict[Figure, Any]:
    """The values of figures, of one statement: a row for all rows, and one for each set of keys.

    In each row, the figures of the others are null.
    """
    branches: dict[Any, list[Figure]] = {(): []}
    for figure in dict.fromkeys(figures):
        branches.setdefault(
            (figure.keys, figure.where, figure.table) if figure.keys or figure.table else (), []
        ).append(figure)
    plain = branches.pop(())
    if not plain and not branches:
        return {}
    width = max(map(len, branches.values()), default=0)
    empty = [exp.cast(exp.null(), "bigint")] * width
    first = _branch(0, [*(figure.value for figure in plain), *empty]).from_(exp.to_table(BATCH))
    queries = [first if plain else first.limit(1)]
    for number, ((keys, where, table), group) in enumerate(branches.items(), start=1):
        values = [exp.cast(figure.value, "bigint") for figure in group]
        nulls = [exp.null()] * len(plain)
        rows = groups(keys, where) if keys else table
        rows = rows.subquery("counts") if isinstance(rows, exp.Query) else rows
        queries.append(_branch(number, [*nulls, *values, *empty[len(group) :]]).from_(rows))
    query: exp.Query = queries[0]
    for each in queries[1:]:
        query = exp.union(query, each, distinct=False)
    rows = {row["part"]: list(row.values())[1:] for row in engine.fetch(query)}
    result = dict(zip(plain, rows.get(0, ()), strict=False))
    for number, group in enumerate(branches.values(), start=1):
        result |= zip(group, rows[number][len(plain) :], strict=False)
    return result


def _branch(number: int, values: list[Sql]) -> exp.Select:
    columns = [each.copy().as_(f"f{i}") for i, each in enumerate(values)]
    return exp.select(exp.convert(number).as_("part"), *columns)


def _examples(each: Expectation, check: Check, engine: Engine) -> list[str]:
    """Some rows that break the expectation: the value, and the key of the row.

    Of personal data, the key alone.
    """
    personal, keys = engine.dataset.sheet.personal_data, read_schema(engine.dataset).key
    if check.query is not None:
        query = exp.select("*").from_(check.query.copy().subquery("failing")).limit(1)
        rows = engine.fetch(query)
        return [
            ", ".join(f"{n} {v}" for n, v in row.items() if n in keys or not personal)
            for row in rows
        ]
    if check.failing is None:
        return []
    names = [name for name in each.subject if name in engine.types]
    keys = [name for name in keys if name in engine.types]
    others = [name for name in keys if name not in names]
    others = (
        others or [name for name in engine.types if name not in names and not personal][:EXAMPLES]
    )
    shown = keys if personal else list(dict.fromkeys([*names, *others]))
    if not shown:
        return []
    column = {name: exp.column(name, quoted=True) for name in shown}
    query = exp.select(*column.values()).from_(exp.to_table(BATCH)).where(check.failing.copy())
    order = [exp.Ordered(this=exp.column(n, quoted=True), nulls_first=False) for n in keys or names]
    query = query.order_by(*order).limit(EXAMPLES)
    texts = []
    for row in engine.fetch(query):
        value = ", ".join(f"{name} {row[name]}" for name in (keys if personal else names))
        place = ", ".join(f"{name} {row[name]}" for name in others if not personal)
        texts.append(f"{value} where {place}" if place else value)
    return texts


def _finding(
    each: Expectation, outcome: Outcome, examples: Sequence[str], dataset: Dataset
) -> Finding:
    observed = "" if outcome.observed is None else str(outcome.observed)
    if observed and dataset.sheet.personal_data and each.subject != ["table"]:
        observed = HIDDEN
    return Finding(
        subject=", ".join(each.subject),
        rule=each.rule,
        why=each.description,
        problem=", ".join(filter(None, (observed, outcome.text))),
        count=outcome.count,
        examples=examples,
        severe=each.severe,
    )
