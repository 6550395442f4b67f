"""`dslp new issue`: an issue by its form, from an editor or from options, checked before it opens.

Its text is what GitHub makes of the same form on its page.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from dslp.core import report
from dslp.core.console import notice
from dslp.core.errors import DslpError, Refused, nearest
from dslp.core.files import read_text
from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.github.client import Repository, find_repository
from dslp.github.entities import Issue
from dslp.github.forms import NO_RESPONSE, Form, form_fields, form_files, linked_numbers, read_form
from dslp.github.policy import check_fields, check_links

TITLE, TEXT = 256, 65_536  # characters that GitHub takes
HINT = re.compile(r"^<!-- \? .* -->\n", re.MULTILINE)  # a remark in a draft


def new_issue(
    name: Annotated[str, typer.Argument(metavar="FORM", help="Such as ask, data or task.")],
    title: Annotated[str, typer.Option(help="Title of the issue.")] = "",
    values: Annotated[list[str] | None, typer.Option("--set", metavar="LABEL=TEXT")] = None,
    file: Annotated[Path | None, typer.Option("--from", help="File with the answers.")] = None,
    priority: Literal["high", "normal", "low"] | None = None,
    assign: Annotated[list[str] | None, typer.Option(metavar="LOGIN", help="Who does it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and print it only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Open an issue by a form of .github/ISSUE_TEMPLATE.

    The answers are written in the editor that git uses, given by --set with the label or the id of
    a field, or read from a Markdown file with a title (#) and the labels as headings (###).

    Required fields and links are checked before. An open issue with the same title and text is not
    opened twice: the command can be repeated where GitHub did not answer.
    """
    project = Project.find(dotenv=False)
    files = form_files(project.github)
    if name.lower() not in files:
        raise DslpError(f"{project.github} has no form {name!r:.40}{nearest(name.lower(), files)}")
    form, draft, issue = read_form(files[name.lower()]), None, None
    if not values and file is None:
        if as_json or not sys.stdin.isatty():
            words = f"required are {', '.join(form.required)} of {', '.join(form.fields)}"
            raise DslpError(f"use --set LABEL=TEXT or --from FILE; {words}")
        file = draft = _write_draft(project, form, title)
        title = ""  # the user may have changed it
    try:
        answers = read_answers(form, file, values or ())
        title = " ".join(_clean(title or answers[""] or form.title).split())
        body = make_body(form.fields, answers)
        if title in ("", form.title.strip()) or len(title) > TITLE or len(body) > TEXT:
            lengths = f"the title has {len(title)} and the text {len(body):,} characters"
            raise DslpError(f"{lengths}; GitHub takes 1 to {TITLE}, and at most {TEXT:,}")
        labels = (*form.labels, *([f"priority: {priority}"] if priority else ()))
        issue = Issue(0, title, body, "open", labels, "", False)
        repository = find_repository()[1]
        links = linked_numbers(issue, repository.name)
        findings = list(check_links(issue, repository.find_issues(links), repository.name))
        findings += check_fields(issue, {issue.kind: [form.required]})
        if not findings and not dry_run:
            issue = open_issue(repository, issue, [*form.assignees, *(assign or ())])
    finally:
        if draft and issue and issue.number:
            draft.unlink()
        elif draft:
            notice(f"your text is kept: dslp new issue {name.lower()} --from {draft}")
    details = {"number": issue.number or None, "url": issue.url, "text": body, "links": links}
    checks = len(links) + len(form.required)
    findings = [replace(one, problem=one.problem.replace("issue #0", "it")) for one in findings]
    result = report.Report(title, checks, findings, details=details)
    words = f"#{issue.number} {issue.url}\nnext: uv run dslp start {issue.number}"
    words = words if issue.number else f"{result}\n\n{body}"
    typer.echo(report.as_json([result]) if as_json else words)
    raise typer.Exit(0 if result.ok else 1)


def read_answers(form: Form, file: Path | None, values: Sequence[str]) -> dict[str, str]:
    """The answers by the labels of their fields, and the title by ''.

    Args:
        form: whose fields they answer.
        file: has the title and the form's headings.
        values: LABEL=TEXT, which replace those of the file. A label comes before another's id.

    Raises:
        DslpError: the file has other text than that, or a heading twice; or there is no such field.
    """
    text = HINT.sub("", _clean(read_text(file) if file else ""))
    heading = rf"^###[ \t]+({'|'.join(map(re.escape, form.fields))})[ \t]*$"
    head, *parts = re.split(heading, text, flags=re.MULTILINE)
    title = re.sub(r"^#([ \t]+|$)", "", head.strip())
    if "\n" in title or len(set(parts[::2])) < len(parts[::2]):
        labels = ", ".join(form.fields)
        raise DslpError(f"{file} must have a title in one line, then each ### field once: {labels}")
    answers = {"": title, **dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))}
    names = {field.get("id", label).lower(): label for label, field in form.fields.items()}
    names |= {label.lower(): label for label in form.fields}
    for name, _, answer in (value.partition("=") for value in values):
        if name.strip().lower() not in names:
            raise DslpError(f"there is no field {name!r:.60}{nearest(name, form.fields)}")
        answers[names[name.strip().lower()]] = _clean(answer).strip()
    return answers


def make_body(fields: Mapping[str, Any], answers: Mapping[str, str]) -> str:
    """The text of an issue as GitHub makes it of a form.

    Args:
        fields: of the form, by their labels, which are the headings.
        answers: text by the label of the field; another field keeps what it holds at first.

    Raises:
        DslpError: an answer is none of the options, or hides or adds a heading.
    """
    sections = []
    for label, field in fields.items():
        answer = answers.get(label, field["value"])
        is_free = field["type"] != "dropdown" or field.get("multiple")
        options = [] if is_free else field["options"]
        if answer and options and answer not in options:
            raise DslpError(f"“{label}” has no option {answer!r:.60}{nearest(answer, options)}")
        section = f"### {label}\n\n{answer or NO_RESPONSE}"
        if len(form_fields(f"{section}\n\n### .")) != 2:
            raise DslpError(f"“{label}”: write #### for a heading, and end all code and HTML")
        sections.append(section)
    return "\n\n".join(sections)


def open_issue(repository: Repository, issue: Issue, people: Sequence[str]) -> Issue:
    """Open an issue, unless one with the same title and text is open.

    Raises:
        Unavailable: GitHub refuses.
    """
    for other in repository.issues(state="open", most=1):
        if (other.title, _clean(other.body).strip()) == (issue.title, issue.body.strip()):
            return other
    opened = repository.open_issue(issue.title, issue.body, issue.labels, people)
    if len(opened.labels) < len(issue.labels) or len(opened.native["assignees"]) < len(people):
        notice("GitHub left labels or people out: the token has no right to set them")
    return opened


def _write_draft(project: Project, form: Form, title: str) -> Path:
    """Let the user fill the form in, in the editor that git uses.

    Raises:
        Refused: nothing was written.
        DslpError: the editor fails.
    """
    text = "<!-- ? The title stands after #. To open nothing, save this empty. -->\n"
    text += f"# {title or form.title}\n"
    for label, field in form.fields.items():
        choice = " | ".join(field["options"] if field["type"] == "dropdown" else ())
        words = field.get("description", ""), "(required)" * (label in form.required), choice
        hint = " ".join(" ".join(words).replace("-->", "->").split())
        text += f"\n### {label}\n\n<!-- ? {hint} -->\n{field['value']}\n"
    with tempfile.NamedTemporaryFile("w", suffix=".md", encoding="utf-8", delete=False) as file:
        file.write(text)
    path = Path(file.name)
    editor = git_output(project, "var", "GIT_EDITOR") or "vi"
    try:
        subprocess.run([*shlex.split(editor), str(path)], check=True)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise DslpError(f"the editor fails ({error}); your text is kept in {path}") from None
    if read_text(path).strip() in ("", text.strip()):
        path.unlink()
        raise Refused("nothing was written, so no issue is opened")
    return path


def _clean(text: str) -> str:
    """Text with line feeds, and without what JSON cannot say."""
    return re.sub(r"[\0\ud800-\udfff]", "\ufffd", re.sub(r"\r\n?", "\n", text))
