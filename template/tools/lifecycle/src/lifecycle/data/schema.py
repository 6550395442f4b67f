"""Comparing a dataset with its `schema.yml`: the columns, their types and whether they may be null.

The file is what reviewers see when a schema changes (D4); the suite says what the values mean.
"""

from typing import Any

from lifecycle.data.catalogue import Dataset
from lifecycle.errors import LifecycleError


def key(dataset: Dataset) -> list[str]:
    """Names of the columns that identify a row."""
    found = dataset.yaml("schema.yml").get("key", [])
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise LifecycleError(f"{dataset.folder / 'schema.yml'}: key must be a list of column names")
    return found


def differences(dataset: Dataset) -> list[str]:
    """How the processed file differs from the schema: added, removed, retyped, null.

    Raises:
        LifecycleError: the schema or the file cannot be read.
    """
    stated = _stated(dataset)
    actual, nulls = _found(dataset)
    found = [f"column {name} is not in schema.yml" for name in actual.keys() - stated.keys()]
    found += [f"column {name} of schema.yml is missing" for name in stated.keys() - actual.keys()]
    for name in sorted(stated.keys() & actual.keys()):
        if stated[name]["type"] != actual[name]:
            found.append(f"column {name} is {actual[name]}, not {stated[name]['type']}")
        if not stated[name].get("nullable", False) and nulls.get(name):
            found.append(f"column {name} may not be null, and is {nulls[name]:,} times")
    return sorted(found)


def columns(dataset: Dataset) -> list[str]:
    """Names of the columns of the processed file, in its order."""
    return list(_found(dataset)[0])


def _found(dataset: Dataset) -> tuple[dict[str, str], dict[str, int]]:
    """Types of the processed file's columns, and how many values of each are null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(dataset.built) as file:
            types = {field.name: _type(field.type) for field in file.schema_arrow}
            return types, _nulls(file)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise LifecycleError(f"{dataset.processed} cannot be read: {reason}") from None


def _stated(dataset: Dataset) -> dict[str, dict[str, Any]]:
    where = dataset.folder / "schema.yml"
    columns = dataset.yaml("schema.yml").get("columns")
    if not isinstance(columns, dict) or not columns:
        raise LifecycleError(
            f"{where} has no columns; " + "write columns: and, below, name: {type: int64}"
        )
    for name, column in columns.items():
        if not isinstance(column, dict) or not isinstance(column.get("type"), str):
            raise LifecycleError(f"{where}: column {name} has no type; write " + "{type: int64}")
    return columns


def _type(kind: Any) -> str:
    """The type's name, whatever way a library chose to store text and categories."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    return str(kind)


def _nulls(file: Any) -> dict[str, int]:
    """Rows that are null, by column, from the statistics that Parquet keeps."""
    total: dict[str, int] = {}
    for group in range(file.metadata.num_row_groups):
        for number in range(file.metadata.num_columns):
            column = file.metadata.row_group(group).column(number)
            if column.statistics is not None and column.statistics.has_null_count:
                name = column.path_in_schema
                total[name] = total.get(name, 0) + column.statistics.null_count
    return total
