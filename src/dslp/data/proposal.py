"""A first suite, proposed from the data; its marks stay until a person has confirmed it.

An expectation is marked by `meta: {proposed: true}`, the key and the columns by `proposed` in
schema.yml. To confirm them is to remove the marks.
"""

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.files import read_text, write_text
from dslp.core.report import Finding
from dslp.data.dataset import Dataset
from dslp.data.reading import open_rows, quote_identifier, reading_errors, without_nan
from dslp.data.schema import fetch_row, read_schema, sql_types, type_family

# Columns that say who somebody is, by their names (words joined by _) and by their values.
PERSONAL = re.compile(
    r"(?:^|_)(e_?mails?|mail|phone|telephone|tel|mobile|fax|address|street|birth_?da(y|te)|dob|ssn"
    r"|iban|passport|surname|vorname|nachname|(user|first|last|full|middle|given|family|maiden)_?"
    r"name|(person|patient|customer|client|employee|contact)(s|_)?_?name)(?:_|$)|^names?$"
)
MAIL, PHONE = r"\w@[\w.-]+\.\w", r"\s*(\+|00|\(0|0\d+[ /-])[\d ()/.-]{6,}"
ITEM = """\
  - type: expect_{}
    kwargs: {{{}}}
    severity: {}
    description: {}
    meta: {{proposed: true}}
"""


def personal_columns(dataset: Dataset) -> list[str]:
    """Names of the columns that seem to hold names, addresses or numbers of persons.

    Raises:
        DslpError: the data cannot be read.
    """
    with open_rows(dataset) as connection, reading_errors(dataset):
        tests = {}
        for name, kind in sql_types(connection).items():
            text = quote_identifier(name) if kind == "VARCHAR" else "''"
            number = f"avg(regexp_full_match({text}, '{PHONE}')::INT) > 0.5"
            tests[name] = f"bool_or(regexp_matches({text}, '{MAIL}')) OR {number}"
        results = fetch_row(connection, f"SELECT {', '.join(tests.values())} FROM rows")
    words = [re.sub(r"\W+|(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in tests]
    columns = zip(tests, words, results, strict=True)
    return [name for name, word, result in columns if result or PERSONAL.search(word)]


def write_suite(dataset: Dataset) -> int:
    """Write proposals into `suite.yml` in place of its expectations; returns their number.

    They follow from schema and data: the number of rows, the key, no gaps where there are none,
    categories, ranges of numbers. Ranges warn. Of personal data no value is written.

    Raises:
        DslpError: the data cannot be read, or has no rows.
    """
    from dslp.data.schema_file import flow  # which imports DuckDB

    path, items = dataset.folder / "suite.yml", list[str]()
    for kind, kwargs, reason in _proposals(dataset):
        severity = "warning" if "min_value" in kwargs else "critical"
        words = ", ".join(f"{key}: {flow(value)}" for key, value in kwargs.items())
        items.append(ITEM.format(kind, words, severity, reason))
    before = read_text(path).partition("expectations:\n")[0]
    write_text(path, "".join([before, "expectations:\n", *items]))
    return len(items)


def proposed_findings(dataset: Dataset) -> list[Finding]:
    """A warning while something in suite or schema is proposed (D9)."""
    suite: Any = dataset.yaml("suite.yml").get("expectations") or ()
    count = sum((each.get("meta") or {}).get("proposed") is True for each in suite)
    marks = [f"{count} expectations"] * (count > 0) + list(read_schema(dataset).proposed)
    todo = "look at each; what is right, keep without its line `proposed` in suite.yml, schema.yml"
    problem = f"proposed, and confirmed by nobody: {', '.join(marks)}"
    return [Finding("D9", problem, todo, "proposals", severe=False)] if marks else []


def _proposals(dataset: Dataset) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Type, kwargs and reason of each expectation."""
    schema, shown = read_schema(dataset), not dataset.sheet.personal_data
    columns = schema.columns.items()
    numbers = [name for name, column in columns if type_family(column.type) in ("int", "float")]
    with open_rows(dataset) as connection, reading_errors(dataset):
        kinds = sql_types(connection)
        cells = [without_nan(quote_identifier(name), kinds[name]) for name in numbers]
        ends = [f"[min({cell}), max({cell})]" for cell in cells]
        query = f"SELECT {', '.join(['count(*)', *ends])} FROM rows"
        count, *bounds = fetch_row(connection, query)
    if not count:
        raise DslpError(f"{dataset.name} has no rows, of which anything could be proposed")
    ranges: dict[str, list[Any]] = dict(zip(numbers, bounds, strict=True))
    table = {"min_value": count // 2, "max_value": 2 * count}
    yield "table_row_count_to_be_between", table, "Half to double the rows that there were."
    if schema.key[1:]:
        yield "compound_columns_to_be_unique", {"column_list": schema.key}, "It tells rows apart."
    elif schema.key:
        yield "column_values_to_be_unique", {"column": schema.key[0]}, "It tells rows apart."
    for name, column in columns:
        if not column.nullable:
            yield "column_values_to_not_be_null", {"column": name}, "No value was missing."
        if column.categories and shown:
            values = {"column": name, "value_set": column.categories}
            yield "column_values_to_be_in_set", values, "The values that there were."
        bounds = [end for end in ranges.get(name, ()) if end is not None and isfinite(end)]
        if shown and name not in schema.key and len(bounds) == 2:
            low, high = (each if isinstance(each, int) else float(each) for each in bounds)
            limits = {"column": name, "min_value": low, "max_value": high}
            yield "column_values_to_be_between", limits, "The range that there was."
