"""The next semantic version of a dataset, proposed from what changed since the last one (D8).

Major: incompatible schema, changed meaning of a column, new population. Minor: new column, new
allowed value, changed calculation. Patch: rerun, correction, speed. Before 1.0.0, a major change is
minor, and a changed calculation is a patch. No program sees a new meaning behind the same words:
people decide that.
"""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dslp.core.branch_names import issue_of_branch
from dslp.core.console import notice
from dslp.core.errors import DslpError, Refused
from dslp.core.files import read_text, write_text
from dslp.core.git import changed_paths, git_output
from dslp.core.semver import LEVELS, Level, next_version, parse_version
from dslp.core.settings import Project
from dslp.data.changes import Change, pipeline_changes, schema_changes, suite_changes
from dslp.data.dataset import FILES, Dataset, dataset_names
from dslp.data.datasheet import front_matter, history, with_version
from dslp.data.fingerprint import digest
from dslp.data.registered_versions import fetch_last_registered


@dataclass(frozen=True)
class Snapshot:
    """A version of a dataset: the texts of its files, and the digest of its content if known."""

    version: str
    schema: str
    suite: str
    pipeline: str
    digest: str | None = None

    @classmethod
    def read(cls, folder: Path, digest: str | None = None) -> "Snapshot":
        """The version that a folder with the files of a dataset holds."""
        files = [folder / file for file in FILES if (folder / file).is_file()]
        return cls.parse({file.name: read_text(file) for file in files}, digest)

    @classmethod
    def parse(cls, texts: Mapping[str, str], digest: str | None = None) -> "Snapshot":
        """The version that the files hold, by their names; a pipeline may be missing.

        Raises:
            DslpError: the datasheet has no version; its other fields do not count.
        """
        version = str(front_matter(texts["datasheet.md"], "datasheet.md").get("version"))
        parse_version(version)
        pipeline = texts.get("pipeline.py", "")
        return cls(version, texts["schema.yml"], texts["suite.yml"], pipeline, digest)


@dataclass(frozen=True)
class Proposal:
    """The smallest next version (the last one where nothing changed), and the reasons for it."""

    level: Level
    reasons: list[Change]
    proposed: str


@dataclass(frozen=True)
class Comparison(Proposal):
    """The version in the datasheet, compared with the changes since the last one.

    Attributes:
        stated: the version in the datasheet.
        last: the last version; None where this is the first.
        origin: where the last version was found, in words.
    """

    stated: str
    last: str | None
    origin: str


def propose_version(old: Snapshot, new: Snapshot) -> Proposal:
    """The version after `old`, by the content of both.

    Raises:
        DslpError: a file of `new` is not valid.
    """
    before = parse_version(old.version)
    contract = [*schema_changes(old.schema, new.schema), *suite_changes(old.suite, new.suite)]
    code = [*pipeline_changes(old.pipeline, new.pipeline, old.digest, new.digest)]
    if before < (1, 0, 0):
        contract = [Change("minor" if c.level == "major" else c.level, c.text) for c in contract]
        code = [Change("patch", c.text) for c in code]
    reasons = sorted(dict.fromkeys(contract + code), key=lambda c: -LEVELS.index(c.level))
    level = reasons[0].level if reasons else "none"
    return Proposal(level, reasons, ".".join(map(str, next_version(before, level))))


def compare_versions(dataset: Dataset) -> Comparison:
    """Compare a dataset with its last version: the registered one, or the one in git.

    Where the collaboration branch holds a later one than is registered, the larger proposal counts.

    Raises:
        DslpError: a file of the dataset is not valid.
    """
    stated = dataset.version
    registered, merged = _registered(dataset), _merged(dataset)
    old = {"registered": registered} if registered else {}
    if merged and (
        not registered or parse_version(merged.version) > parse_version(registered.version)
    ):
        old[f"in git, where this branch left {dataset.project.branch}"] = merged
    if not old:
        return Comparison("none", [], stated, stated, None, "none is known")
    current = registered is not None and dataset.is_built and not dataset.stale
    new = Snapshot.read(dataset.folder, digest(dataset) if current else None)
    comparisons = [
        Comparison(**vars(propose_version(each, new)), stated=stated, last=each.version, origin=at)
        for at, each in old.items()
    ]
    return max(comparisons, key=lambda each: parse_version(each.proposed))


def changed_datasets(project: Project, since: str) -> list[str]:
    """Names of the datasets that changed since this branch left a commit or branch.

    All of them, where git does not know that commit.
    """
    names = dataset_names(project)
    base = git_output(project, "merge-base", "--end-of-options", "HEAD", since)
    paths = changed_paths(project, base)
    if paths is None:
        notice(f"git has no commit in common with {since}: every dataset counts as changed")
        return names
    folder = (project.source / "datasets").relative_to(project.root).as_posix()
    return [n for n in names if any(path.startswith(f"{folder}/{n}/") for path in paths)]


def check_version(dataset: Dataset, comparison: Comparison | None = None) -> None:
    """Check that the datasheet's version is large enough, and that its history has it.

    Raises:
        Refused: it is too small, or has no line in the history.
    """
    result, sheet = comparison or compare_versions(dataset), dataset.folder / "datasheet.md"
    todo = f"write it: uv run dslp data version {dataset.name} --write"
    if parse_version(result.stated) < parse_version(result.proposed):
        reason = "; ".join(change.text for change in result.reasons[:1]) or "nothing changed"
        raise Refused(
            f"{sheet} states {result.stated}, too small after {result.last}: it takes "
            f"{result.proposed} ({result.level}: {reason}); {todo}"
        )
    if result.stated not in [row[0] for row in history(read_text(sheet))]:
        raise Refused(f"{sheet} has no line for {result.stated} in its history; {todo}")


def write_version(
    dataset: Dataset, comparison: Comparison, issue: int | None, change: str | None
) -> str | None:
    """Write the proposed version into the datasheet, or keep a larger one, with a line of history.

    Without `issue`, it is the one of the branch; without `change`, the reasons. Returns the
    version, or None where the datasheet has it already.
    """
    path, stated = dataset.folder / "datasheet.md", comparison.stated
    text = read_text(path)
    version = max(stated, comparison.proposed, key=parse_version)
    if version == stated and version in [row[0] for row in history(text)]:
        return None
    if issue is None:
        issue = issue_of_branch(git_output(dataset.project, "branch", "--show-current") or "")
    if issue is None and version == stated:
        issue = dataset.sheet.issue
    reasons = "; ".join(reason.text for reason in comparison.reasons)
    words = change or reasons or ("rerun" if comparison.last else "first version")
    write_text(path, with_version(text, version, issue, words))
    return version


def _registered(dataset: Dataset) -> Snapshot | None:
    """The last registered version, where the tracking server answers."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            content = fetch_last_registered(dataset, Path(folder))
        except DslpError as error:  # such as without a network; git has a last version too
            notice(f"{dataset.name} is not compared with what is registered: {error}")
            return None
        return Snapshot.read(Path(folder), content) if content else None


def _merged(dataset: Dataset) -> Snapshot | None:
    """The version in the commit where this branch left the collaboration branch."""
    project = dataset.project
    folder = dataset.folder.relative_to(project.root).as_posix()
    for branch in (f"origin/{project.branch}", project.branch):
        if commit := git_output(project, "merge-base", "HEAD", branch):
            shown = {f: git_output(project, "show", f"{commit}:./{folder}/{f}") for f in FILES}
            texts = {file: text for file, text in shown.items() if text is not None}
            with suppress(DslpError):  # its datasheet had no version
                return Snapshot.parse(texts) if texts.keys() >= {*FILES[1:]} else None
            break
    return None
