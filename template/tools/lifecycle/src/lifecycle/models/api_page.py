"""The API of a model for readers: an OpenAPI document and a page in the site (M2)."""

import json
from pathlib import Path
from typing import Any

from lifecycle.data.figures import markdown
from lifecycle.errors import LifecycleError
from lifecycle.experiments.model import Model
from lifecycle.models.api import Api

# What a JSON schema says of the values that it allows, in words.
LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "matches {}",
}
LONG = 1_000  # characters of a description


def write(model: Model) -> list[Path]:
    """Write `NAME-openapi.json` and `NAME-api.md` to `docs/models/`, of the schema as it is now.

    Returns:
        The files that are there now, whether they changed or not.

    Raises:
        LifecycleError: `schema.py` holds what no document can say, or a file cannot be written.
    """
    try:
        document = Api(model).openapi()
        folder = model.project.root / "docs" / "models"
        texts = {
            folder / f"{model.name}-openapi.json": json.dumps(document, indent=2) + "\n",
            folder / f"{model.name}-api.md": page(model.name, document),
        }
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            aside = path.with_suffix(".new")
            aside.write_text(text, encoding="utf-8", newline="\n")
            aside.replace(path)
    except OSError as error:
        raise LifecycleError(f"the API of {model.name} cannot be written: {error}") from None
    return list(texts)


def page(name: str, document: dict[str, Any]) -> str:
    """The document as a page: what is asked, and what is answered."""
    schemas = document["components"]["schemas"]
    lines = [
        f"# API of {markdown(name)}",
        "",
        "<!-- Written by the machine from schema.py: a change here is lost. -->",
        "",
        "`POST /predict` with one record, or a list of them, in JSON; for machines: "
        f"[OpenAPI document]({name}-openapi.json).",
    ]
    for title, kind in (("What is asked", "Request"), ("What is answered", "Response")):
        schema = schemas[kind]
        required = schema.get("required", [])
        lines += ["", f"## {title}", "", markdown(schema.get("description", ""), LONG), ""]
        lines += ["| field | type | allowed | description |", "| --- | --- | --- | --- |"]
        for field, part in schema["properties"].items():
            types, allowed = _words(part, schemas)
            if field not in required:
                allowed.append("may be left out")
            cells = [field, " or ".join(types), ", ".join(allowed), part.get("description", "")]
            lines.append(f"| {' | '.join(markdown(cell, LONG) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _words(part: dict[str, Any], schemas: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The types that a part of a JSON schema takes, and what it allows of them."""
    if "$ref" in part:
        return _words(schemas[part["$ref"].rpartition("/")[2]], schemas)
    types, allowed = [], []
    for one in part.get("anyOf", []):
        inner, limits = _words(one, schemas)
        types += inner
        allowed += limits
    if "type" in part:
        types.append("nothing" if part["type"] == "null" else part.get("format", part["type"]))
    values = part.get("enum", [part["const"]] if "const" in part else [])
    allowed += [str(value) for value in values]
    allowed += [words.format(part[key]) for key, words in LIMITS.items() if key in part]
    return types, allowed
