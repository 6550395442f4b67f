"""A first suite, proposed from the data; its marks stay until a person has confirmed it.

An expectation is marked by `meta: {proposed: true}`, the key and the columns by `proposed` in
schema.yml. To confirm them is to remove the marks.
"""

import re
from decimal import Decimal
from math import isfinite
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.files import read_text, write_text
from dslp.core.report import Finding
from dslp.data.dataset import Dataset
from dslp.data.reading import open_rows, quote_identifier, reading_errors, without_nan
from dslp.data.schema import fetch_row, read_schema, sql_types

# Columns that say who somebody is, by their names (words joined by _) or by a value: an e-mail
# address, or a number of a telephone.
NAMES = re.compile(
    r"(^|_)(e_?mails?|mail|(tele)?phone|telefon|tel|mobile|fax|address|adresse|street|strasse|birth\w*"
    r"|geburt\w*|dob|ssn|iban|(sur|vor|nach|user|first|last|full|given|family)_?name"
    r"|(person|patient|customer|client|employee|contact)s?_?name)(_|$)|^names?$"
)
VALUES = r"\w@[\w.-]+\.\w|^\s*(\+\d\d|\(?0\d\d+\)?[ /-]|\(?\d{3}(\) ?|-)\d{3}-)[\d ()/.-]{4,}$"
NUMBER = re.compile(r"\w*INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)")  # names of DuckDB's types


def personal_columns(dataset: Dataset) -> list[str]:
    """Names of the columns that seem to hold names, addresses or numbers of persons.

    Raises:
        DslpError: the data cannot be read.
    """
    with open_rows(dataset, {}) as connection, reading_errors(dataset, types={}):
        types = sql_types(connection)
        texts = [quote_identifier(n) if kind == "VARCHAR" else "''" for n, kind in types.items()]
        tests = [f"bool_or(regexp_matches({text}, '{VALUES}'))" for text in texts]
        hits = fetch_row(connection, f"SELECT {', '.join(tests)} FROM rows")
    words = [re.sub(r"\W+|(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in types]
    columns = zip(types, words, hits, strict=True)
    return [name for name, word, hit in columns if hit or NAMES.search(word)]


def write_suite(dataset: Dataset) -> int:
    """Write proposals into `suite.yml` in place of its expectations; returns their number.

    They follow from schema and data: the number of rows, the key, no gaps where there are none,
    categories, ranges of numbers. Ranges warn. Of personal data no value is written.

    Raises:
        DslpError: the data cannot be read, or has no rows.
    """
    from dslp.data.schema_file import flow  # which imports DuckDB

    path, items = dataset.folder / "suite.yml", list[str]()

    def add(kind: str, reason: str, **kwargs: object) -> None:
        values = {k: float(v) if isinstance(v, Decimal) else v for k, v in kwargs.items()}
        words = ", ".join(f"{key}: {flow(value)}" for key, value in values.items())
        severity = "warning" if "min_value" in kwargs else "critical"
        lines = [f"  - type: expect_{kind}", f"kwargs: {{{words}}}", f"severity: {severity}"]
        items.append("\n    ".join([*lines, f"description: {reason}", "meta: {proposed: true}\n"]))

    schema, shown = read_schema(dataset), not dataset.sheet.personal_data
    count, ranges = _ranges(dataset)
    most, reason = 2 * count, "Half to double the rows at first."
    add("table_row_count_to_be_between", reason, min_value=count // 2, max_value=most)
    if schema.key[1:]:
        add("compound_columns_to_be_unique", "They tell rows apart.", column_list=schema.key)
    elif schema.key:
        add("column_values_to_be_unique", "It tells rows apart.", column=schema.key[0])
    for name, column in schema.columns.items():
        if not column.nullable:
            add("column_values_to_not_be_null", "None was missing at first.", column=name)
        if values := shown and column.categories:
            add("column_values_to_be_in_set", "The values at first.", column=name, value_set=values)
        if shown and name in ranges and name not in schema.key:
            add("column_values_to_be_between", "The range at first.", column=name, **ranges[name])
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


def _ranges(dataset: Dataset) -> tuple[int, dict[str, dict[str, float]]]:
    """The number of rows, and the range of each column that has finite numbers alone."""
    with open_rows(dataset) as connection, reading_errors(dataset):
        numbers = {n: kind for n, kind in sql_types(connection).items() if NUMBER.fullmatch(kind)}
        cells = [without_nan(quote_identifier(name), kind) for name, kind in numbers.items()]
        ends = [f"[min({cell}), max({cell})]" for cell in cells]
        count, *bounds = fetch_row(connection, f"SELECT {', '.join(['count(*)', *ends])} FROM rows")
    if not count:
        raise DslpError(f"{dataset.name} has no rows, of which anything could be proposed")
    return count, {
        name: {"min_value": low, "max_value": high}
        for name, (low, high) in zip(numbers, bounds, strict=True)
        if low is not None and isfinite(low) and isfinite(high)
    }
