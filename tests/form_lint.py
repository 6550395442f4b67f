"""What GitHub refuses of issue forms and labels, although their schema accepts it.

A form that GitHub refuses is missing from the chooser without a word, so it has to be found here.
Sources: GitHub's "Common validation errors when creating issue forms" and "Syntax for issue forms".
The length of a description is in neither: DataDog/datadog-agent#44754 and flashinfer#4100 found it
out. YAML is read as version 1.1, as GitHub does: there `Yes` and `on` are no text.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

# GitHub names one and speaks of "terms like" it; these are the ones that attackers ask for.
FORBIDDEN = re.compile(
    r"\b(pass ?(word|phrase|code)|credential|secret|(api|private|access) key|token|pin)s?\b",
    re.IGNORECASE,
)
DESCRIPTION = range(3, 201)  # characters of a form's description
TEXTS = ("label", "description", "placeholder", "value")  # attributes that hold text
LABEL_KEYS = {"name", "color", "description", "aliases"}


def faults(github: Path) -> list[str]:
    """Everything wrong with the forms and labels of a `.github` folder, one line each."""
    labels_file = github / "labels.yml"
    text = labels_file.read_text(encoding="utf-8") if labels_file.is_file() else "[]"
    names = {str(label.get("name")) for label in yaml.safe_load(text)}
    found = [f"labels.yml: {fault}" for fault in label_faults(text)]
    forms = {}
    for path in sorted((github / "ISSUE_TEMPLATE").glob("*.y*ml")):
        if path.stem == "config":
            continue
        forms[path.name] = form = path.read_text(encoding="utf-8")
        found += [f"{path.name}: {fault}" for fault in form_faults(form, names)]
    titles = [
        name[1] for form in forms.values() if (name := re.search(r"^name: *(.+?) *$", form, re.M))
    ]
    return found + [f"name {name!r}: used by more than one form" for name in doubles(titles)]


def form_faults(text: str, known_labels: Iterable[str]) -> Iterator[str]:
    """What is wrong with one form; `known_labels` are those that it may apply."""
    try:
        form = yaml.safe_load(text)
    except yaml.YAMLError as error:  # more than one document, too
        yield f"is not one YAML document: {error}"
        return
    if not isinstance(form, dict):
        yield "is not a mapping"
        return
    yield from key_faults(form)
    for key in ("name", "description", "title"):
        yield from text_faults(form, key, required=key != "title")
    if isinstance(form.get("description"), str) and len(form["description"]) not in DESCRIPTION:
        yield f"description: {len(form['description'])} characters, GitHub takes 3 to 200"
    for label in form.get("labels", []):
        if label not in known_labels:
            yield f"labels: {label!r} is not in labels.yml, so it would not be applied"
    body = form.get("body")
    inputs = [item for item in body or [] if item.get("type") != "markdown"]
    if not inputs:
        yield "body: asks for nothing"
    yield from twins(inputs)
    for number, item in enumerate(body or []):
        yield from (f"body[{number}]: {fault}" for fault in item_faults(item))


def item_faults(item: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one element of a form by itself."""
    attributes = item.get("attributes") or {}
    for key in TEXTS:
        needed = key == ("value" if item.get("type") == "markdown" else "label")
        yield from text_faults(attributes, key, required=needed)
    label = attributes.get("label")
    if item.get("type") in ("input", "textarea") and FORBIDDEN.search(str(label)):
        yield f"label {label!r} contains a forbidden word"
    options = attributes.get("options")
    if options is None:
        return
    values = [option.get("label") if isinstance(option, dict) else option for option in options]
    for value in values:
        if not isinstance(value, str) or not value.strip():
            yield f"option {value!r} is not text; put it in quotes"
        elif value.strip().lower() == "none":
            yield f"option {value!r} is reserved; leave it out"
    yield from (f"option {value!r} is there twice" for value in doubles(values))
    if attributes.get("default", 0) not in range(len(values)):
        yield f"default: there is no option {attributes['default']}"


def twins(inputs: list[dict[str, Any]]) -> Iterator[str]:
    """Elements that GitHub, or who reads the issue by its headings, cannot tell apart."""
    labels, references = [], []
    for item in inputs:
        attributes = item.get("attributes") or {}
        label = attributes.get("label")
        labels.append(label)
        references.append(item.get("id") or parameterized(str(label)))
        if item.get("type") == "checkboxes":
            for option in attributes.get("options") or []:
                references.append(parameterized(str(option.get("label"))))
    yield from (f"body: id {one!r} is there twice" for one in doubles(i.get("id") for i in inputs))
    yield from (f"body: label {label!r} is there twice" for label in doubles(labels))
    yield from (f"body: more than one element is called {one!r}" for one in doubles(references))


def label_faults(text: str) -> Iterator[str]:
    """What is wrong with the list of labels; unquoted, a colour may be a comment or a number."""
    entries = yaml.safe_load(text)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        yield "is not a list of labels"
        return
    quoted = colours(text)
    for entry in entries:
        name = entry.get("name")
        for key in entry.keys() - LABEL_KEYS:
            yield f"{name}: {key} is not known"
        yield from (f"{name}: {fault}" for fault in text_faults(entry, "name", required=True))
        if len(str(name)) > 50:
            yield f"{name}: longer than 50 characters"
        colour = entry.get("color")
        if colour not in quoted or not re.fullmatch(r"[0-9a-f]{6}", str(colour)):
            yield f"{name}: colour {colour!r} is not six lower-case hexadecimal digits in quotes"
        if not 0 < len(str(entry.get("description") or "")) <= 100:
            yield f"{name}: a description has 1 to 100 characters"
    names = [str(n).lower() for e in entries for n in (e.get("name"), *e.get("aliases", []))]
    yield from (f"{name}: is there twice" for name in doubles(names))


def colours(text: str) -> set[str]:
    """The colours that are written in quotes."""
    tree = yaml.compose(text, Loader=yaml.SafeLoader)
    return {
        value.value
        for entry in (tree.value if tree else [])
        for key, value in entry.value
        if key.value == "color" and value.style in ("'", '"')
    }


def text_faults(holder: dict[Any, Any], key: str, *, required: bool) -> Iterator[str]:
    """Whether there is text under the key: no blanks, and nothing that YAML reads otherwise."""
    value = holder.get(key)
    if (key in holder or required) and not (isinstance(value, str) and value.strip()):
        yield f"{key}: {value!r} is not text; put it in quotes, or leave it out"


def key_faults(node: Any) -> Iterator[str]:
    """Keys that YAML 1.1 does not read as text, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str):
                yield f"key {key!r} is not text"
            yield from key_faults(value)
    elif isinstance(node, list):
        for value in node:
            yield from key_faults(value)


def parameterized(label: str) -> str:
    """The reference that GitHub makes of a label that has no id: Rails' `parameterize`."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_-]+", "-", plain.lower()).strip("-")


def doubles(values: Iterable[Hashable]) -> list[Any]:
    """What is there more than once."""
    return [value for value, times in Counter(values).items() if times > 1 and value is not None]
