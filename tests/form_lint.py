"""What GitHub refuses of issue forms, although their schema accepts it.

A form that GitHub refuses is missing from the chooser without a word, so it has to be found here.
Sources: GitHub's "Common validation errors when creating issue forms" and "Syntax for issue forms".
The length of a description is in neither: DataDog/datadog-agent#44754 and flashinfer#4100 found it
out. YAML is read as version 1.1, as GitHub does: there `Yes` and `on` are no text. A text without
quotes ends at ` #`, in workflows as well.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import yaml
from dslp.github.labels import read_labels

# GitHub names one and speaks of "terms like" it; these are the ones that attackers ask for.
FORBIDDEN = re.compile(
    r"\b(pass ?(word|phrase|code)|credential|secret|(api|private|access) key|token|pin)s?\b",
    re.IGNORECASE,
)
TEXTS = {"name", "description", "title", "label", "placeholder", "value", "options", "labels"}


def faults(github: Path) -> list[str]:
    """Everything wrong with the forms and labels of a `.github` folder, one line each."""
    labels_file = next(iter([*github.glob("dslp/labels.yml"), github / "labels.yml"]))
    labels = {one.name for one in read_labels(labels_file)} if labels_file.is_file() else set()
    forms = sorted((github / "ISSUE_TEMPLATE").glob("*.yml"))
    texts = {form.name: form.read_text("utf-8") for form in forms if form.stem != "config"}
    lines = [f"{name}: {one}" for name, text in texts.items() for one in form_faults(text, labels)]
    names = [yaml.safe_load(text)["name"] for text in texts.values()]
    lines += [
        f"{path.name}: {one}"
        for path in sorted(github.rglob("*.yml"))
        for one in cut_faults(path.read_text("utf-8"), path in [*forms, labels_file])
    ]
    return lines + list(doubles("name of a form", names))


def cut_faults(text: str, is_prose: bool) -> Iterator[str]:
    """Values that YAML cuts at ` #`; where nothing is prose, `# ` begins a comment on purpose."""
    lines, comment = [*text.splitlines(), ""], re.compile(r"\s+#" if is_prose else r"\s+#\S")
    for token in yaml.scan(text):
        is_cut = isinstance(token, yaml.ValueToken) or getattr(token, "plain", False)
        if is_cut and comment.match(lines[token.end_mark.line], token.end_mark.column):
            yield f"line {token.end_mark.line + 1} is cut at ' #'; put the value in quotes"


def form_faults(text: str, labels: Container[str]) -> Iterator[str]:
    """What is wrong with one form; `labels` are those that it may apply."""
    form = yaml.safe_load(text)
    yield from text_faults(form)
    if not 3 <= len(str(form["description"])) <= 200:
        yield f"description: {len(form['description'])} characters, GitHub takes 3 to 200"
    for label in form.get("labels", []):
        if label not in labels:
            yield f"labels: {label!r} is not in labels.yml, so it would not be applied"
    inputs = [item for item in form["body"] if item["type"] != "markdown"]
    if not inputs:
        yield "body: asks for nothing"
    names, references = [], []  # a field is known by its id, or by what GitHub makes of its label
    for item in inputs:
        attributes = item["attributes"]
        label, options = str(attributes["label"]), attributes.get("options", [])
        names.append(label)
        references.append(item.get("id") or parameterized(label))
        if item["type"] == "checkboxes":
            options = [option["label"] for option in options]
            references += [parameterized(str(option)) for option in options]
        if item["type"] in ("input", "textarea") and FORBIDDEN.search(label):
            yield f"label {label!r} contains a forbidden word"
        if "none" in [str(option).strip().lower() for option in options]:
            yield "option 'None' is reserved; leave it out"
        yield from doubles("option", options)
        if attributes.get("default", 0) not in range(max(len(options), 1)):
            yield f"default: there is no option {attributes['default']}"
    yield from doubles("label", names)
    yield from doubles("element", references)


def text_faults(node: Any, key: Any = None) -> Iterator[str]:
    """What must be text and is not: blank, or what YAML 1.1 reads as something else."""
    if isinstance(node, dict):
        yield from (f"key {name!r} is not text" for name in node if not isinstance(name, str))
        for name, value in node.items():
            yield from text_faults(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from text_faults(value, key)
    elif key in TEXTS and not (isinstance(node, str) and node.strip()):
        yield f"{key}: {node!r} is not text; put it in quotes, or leave it out"


def parameterized(label: str) -> str:
    """The reference that GitHub makes of a label that has no id: Rails' `parameterize`."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_-]+", "-", plain.lower()).strip("-")


def doubles(what: str, values: list[Any]) -> Iterator[str]:
    return (f"{what} {value!r} occurs twice" for value, n in Counter(values).items() if n > 1)
