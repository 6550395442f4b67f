"""A new report: a page for its audience and the decision that it informs (I10, C3)."""

from datetime import UTC, datetime
from importlib.resources import files
from string import Template

from dslp.core.console import notice
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, UNWRITTEN, visible
from dslp.github.client import find_repository
from dslp.github.forms import form_fields, linked_numbers
from dslp.logbook.tracking_source import read_tracking
from dslp.scaffold.place import name_words, place_files, yaml_word


def new_report(name: str, issue: int, ask: int | None) -> str:
    """Write the report; returns its path in the project.

    Args:
        name: of the file, without its ending.
        issue: number of the Communicate issue. Where GitHub cannot be read, its fields are to be
            written.
        ask: number of the Ask that it reports on, by default the one that the issue names.

    Raises:
        DslpError: the name cannot be used, or is in use.
    """
    words, texts = name_words(name), dict[str, str]()
    try:
        repository = find_repository()[1]
        origin = repository.issue(issue)
        texts = {**form_fields(origin.body), "Title": origin.title}
        ask = ask or next(iter(linked_numbers(origin, repository.name, "Ask")), None)
    except DslpError as error:
        notice(f"{error}; so audience and decision are to be written")
    project = Project.find()
    champions = [one for one in read_tracking(project).versions if one.role == "champion"]
    champions.sort(key=lambda one: one.tags.get("dslp.ask") != str(ask))
    versions = [f"model:{one.model}@{one.semantic or one.version}" for one in champions]
    model = next(iter(versions), "model:NAME@1.0.0")
    line = f"{{{model}}} is {{{model} improvement}}."
    values: dict[str, object] = {"example": line if versions else f"`{line}`"}
    values |= {"issue": issue, "ask": ask or "null", "date": datetime.now(UTC).date()}
    for key in ("Title", "Audience", "Decision"):
        text = texts.get(key) or (UNWRITTEN if key != "Title" else " ".join(words).capitalize())
        values[key.lower()] = yaml_word(visible(" ".join(text.split()), SENTENCE))
    skeleton = files("dslp.scaffold") / "skeletons" / "report.md.txt"
    path = f"reports/{'_'.join(words).lower()}.md"
    text = Template(skeleton.read_text(encoding="utf-8")).substitute(values)
    place_files(project.root, {path: text})
    return path
