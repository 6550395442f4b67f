"""Running a dataset's suite, and saying in words what does not hold (D3).

All expectations become one statement; only what fails is asked about again, for examples.
"""

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from dslp.core.console import notice
from dslp.core.errors import DslpError, nearest
from dslp.core.files import read_yaml
from dslp.core.report import Finding, Report
from dslp.data.batch import BATCH, MissingColumn, NotCompiled, Unreadable
from dslp.data.dataset import Dataset
from dslp.data.engines import Engine, open_files
from dslp.data.expectations import (
    EXPECTATIONS,
    STRICT,
    Check,
    Figure,
    Outcome,
    compile_expectation,
    read_kwargs,
)
from dslp.data.reading import quote_identifier
from dslp.data.schema import differences, read_schema
from pydantic import BaseModel

EXAMPLES = 3
OWN = "expectations.py"  # a dataset's own classes of Great Expectations


class Expectation(BaseModel):
    """One expectation of a suite file."""

    model_config = STRICT

    type: str
    kwargs: dict[Any, Any] = {}
    severity: Literal["critical", "warning", "info"] = "critical"
    description: str | None = None
    meta: dict[Any, Any] | None = None
    notes: Any = None
    id: Any = None
    windows: Any = None

    @property
    def kind(self) -> str:
        """Its type without `expect_`; Great Expectations writes its names in two ways."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.type)
        return words.lower().removeprefix("expect_")

    @property
    def rule(self) -> str:
        """Its type, as Great Expectations calls it."""
        return self.kind if self.kind.endswith("_expectation") else f"expect_{self.kind}"

    @property
    def columns(self) -> list[str]:
        """The columns that it is about."""
        single = [self.kwargs.get(name) for name in ("column", "column_A", "column_B")]
        return self.kwargs.get("column_list") or [name for name in single if name]


def validate(
    dataset: Dataset, engine: str, suite: Path | None = None, part: bool = False
) -> Report:
    """Compare a built dataset with its schema and run its suite, or another `suite` file alone.

    Where `part` says that the built data is a sample, expectations about the whole are skipped. The
    report's details are the engine, digests of the other datasets that the suite `reads`, and what
    it reads that may be `changing` at any time: a clock, a live table, the project's own code.

    Raises:
        DslpError: the suite is not valid, or the engine cannot run it.
    """
    expectations, lines = read_suite(suite or dataset.folder / "suite.yml"), list[str]()
    if suite is None and (engine != "sql" or dataset.is_built):
        lines = differences(dataset)
    with _open(dataset, engine) as opened:
        if suite is None and engine == "sql":
            types = {name: kind.sql() for name, kind in opened.types.items()}
            lines += [line for line in differences(dataset, types) if line not in lines]
        checks = {place: _compile(place, each, opened) for place, each in expectations.items()}
        skipped = [place for place, check in checks.items() if part and check and check.whole]
        compiled = {p: check for p, check in checks.items() if check and p not in skipped}
        outcomes = _run(compiled, opened)
        findings = [
            _finding(expectations[place], outcome, compiled[place], opened)
            for place, outcome in outcomes.items()
            if not outcome.ok
        ]
    if others := [place for place, check in checks.items() if check is None]:
        from dslp.data.pandas_suite import run_on_pandas

        items = [(place, expectations[place].rule, expectations[place].kwargs) for place in others]
        for place, outcome in zip(others, run_on_pandas(dataset, items), strict=True):
            if not outcome.ok:
                findings.append(_finding(expectations[place], outcome, None, opened))
    schema = [Finding("schema", line, subject="table") for line in lines]
    labels = [
        f"{', '.join(expectations[place].columns) or 'table'}: {expectations[place].rule}"
        for place in skipped
    ]
    return Report(
        dataset.name,
        len(expectations) - len(skipped) + (suite is None),
        schema + findings,
        labels,
        {"engine": engine, "reads": opened.reads, "changing": sorted(opened.changing)},
    )


def _open(dataset: Dataset, engine: str) -> AbstractContextManager[Engine]:
    """The dataset, open on the engine of that name."""
    if engine == "spark":
        from dslp.data.spark import open_spark

        return open_spark(dataset)
    if engine == "sql":
        from dslp.data.sql_tables import open_database

        return open_database(dataset)
    return open_files(dataset)


def read_suite(path: Path) -> dict[str, Expectation]:
    """The expectations of a suite file, by what an error about one begins with.

    Raises:
        DslpError: it has none, or one of them is no mapping of type, kwargs and the like.
    """
    items = read_yaml(path).get("expectations")
    if not isinstance(items, list) or not items:
        raise DslpError(f"{path} has no expectations; write a list of type and kwargs")
    expectations = {}
    for number, item in enumerate(items, start=1):
        place = f"{path}: expectation {number}"
        each = read_kwargs(Expectation, item, place)
        expectations[f"{place} ({each.type})"] = each
    return expectations


def _compile(place: str, each: Expectation, engine: Engine) -> Check | None:
    """The check of an expectation, or None where Great Expectations must run it on pandas.

    Raises:
        DslpError: the expectation is wrong, or this engine cannot run it.
    """
    try:
        if each.kind in EXPECTATIONS:
            return compile_expectation(each.kind, each.kwargs, engine)
        if not (engine.dataset.folder / OWN).is_file():
            rules = [Expectation(type=kind).rule for kind in EXPECTATIONS]
            raise Unreadable(f"there is no such type{nearest(each.rule, rules)}")
        engine.changing.add(OWN)
        raise NotCompiled(f"it is not in the catalogue, but perhaps in {OWN}")
    except MissingColumn as error:
        if error.name not in read_schema(engine.dataset).columns:
            raise DslpError(f"{place}: {error}") from None
        return Check([], lambda: Outcome(False, text="the data has no such column"))
    except NotCompiled as error:
        if engine.dialect != "duckdb":
            raise DslpError(f"{place}: {error}; choose --engine embedded") from None
        notice(f"{place}: runs in Great Expectations on pandas, since {error}: slower")
        return None
    except Unreadable as error:
        raise DslpError(f"{place}: {error}") from None


def _run(checks: dict[str, Check], engine: Engine) -> dict[str, Outcome]:
    """The outcomes of the checks, of one statement.

    Raises:
        DslpError: the engine cannot run one of them, which is named.
    """
    try:
        values = _values(chain.from_iterable(check.figures for check in checks.values()), engine)
    except DslpError:
        for place, check in checks.items():
            try:
                _values(check.figures, engine)
            except DslpError as error:
                raise DslpError(f"{place} could not be run: {error}") from None
        raise
    return {
        place: check.verdict(*(values[figure] for figure in check.figures))
        for place, check in checks.items()
    }


def _values(figures: Iterable[Figure], engine: Engine) -> dict[Figure, Any]:
    """The values of figures, of one statement: a row for the batch, and one for each query.

    In each row, the values of the others are null.
    """
    groups: dict[str, list[Figure]] = {BATCH: []}
    for figure in dict.fromkeys(figures):
        groups.setdefault(figure.rows, []).append(figure)
    if not any(groups.values()):
        return {}
    plain = len(groups[BATCH])
    width = max(plain * (rows != BATCH) + len(group) for rows, group in groups.items())
    selects = list[str]()
    for number, (rows, group) in enumerate(groups.items()):
        values = [figure.value for figure in group]
        if rows != BATCH:
            values = ["NULL"] * plain + [f"CAST({value} AS BIGINT)" for value in values]
        values += ["CAST(NULL AS BIGINT)"] * (width - len(values))
        columns = [f"{number} AS part", *(f"{value} AS f{i}" for i, value in enumerate(values))]
        selects.append(f"SELECT {', '.join(columns)} FROM {rows}{' WHERE FALSE' * (not group)}")
    result = {part: values for part, *values in engine.fetch(" UNION ALL ".join(selects))[1]}
    parts = [result.get(0, ())] + [result[n][plain:] for n in range(1, len(groups))]
    pairs = (zip(*each, strict=False) for each in zip(groups.values(), parts, strict=True))
    return dict(chain.from_iterable(pairs))


def _examples(each: Expectation, failing: str, engine: Engine) -> list[str]:
    """Some rows that break the expectation: the values, and the key of the row.

    Of personal data, the key alone.
    """
    personal, keys = engine.dataset.sheet.personal_data, read_schema(engine.dataset).key
    own = [name for name in each.columns if name in engine.types]
    order = ", ".join(map(quote_identifier, [name for name in keys if name in engine.types] or own))
    query = f"SELECT * FROM ({failing}) AS failing {f'ORDER BY {order}' if own else ''}"
    names, rows = engine.fetch(f"{query} LIMIT {EXAMPLES}")
    keys = [name for name in keys if name in names]
    others = [n for n in names if n not in own and (n in engine.types or not own)]
    shown = keys if personal else own or others
    place = [] if personal or not own else [n for n in keys if n not in own] or others[:EXAMPLES]
    texts = []
    for row in rows:
        values = dict(zip(names, row, strict=True))
        parts = [", ".join(f"{n} {values[n]}" for n in some) for some in (shown, place) if some]
        texts.append(" where ".join(parts))
    return list(filter(None, texts))


def _finding(each: Expectation, outcome: Outcome, check: Check | None, engine: Engine) -> Finding:
    observed = "" if outcome.observed is None else str(outcome.observed)
    if observed and engine.dataset.sheet.personal_data and each.columns:
        observed = "not shown, as the data is personal"
    return Finding(
        subject=", ".join(each.columns) or "table",
        rule=each.rule,
        why=each.description or "",
        problem=", ".join(filter(None, (observed, outcome.text))),
        count=outcome.count,
        examples=_examples(each, check.failing, engine) if check and check.failing else (),
        severe=each.severity == "critical",
    )
