"""The next semantic version of a dataset, proposed from what changed since the last one (D8).

Major: incompatible schema, changed meaning of a column, new population. Minor: new column, new
allowed value, changed calculation. Patch: rerun, correction, speed. Before 1.0.0, what would be
major is minor, and another calculation alone is a patch. What no machine can see, such as another
meaning behind the same words, is people's.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from dslp.core.branch_names import issue_of_branch
from dslp.core.console import say
from dslp.core.errors import DslpError, Refused
from dslp.core.files import read_text, write_text
from dslp.core.git import changed_paths, git_output
from dslp.core.semver import LEVELS, Level, next_version, parse_version
from dslp.core.settings import Project
from dslp.data.changes import Change, pipeline_changes, schema_changes, suite_changes
from dslp.data.dataset import FILES, Dataset, dataset_names
from dslp.data.datasheet import front_matter, history, with_version
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
    def of(cls, folder: Path, digest: str | None = None) -> "Snapshot":
        """What a folder with the four files of a dataset holds."""
        return cls.made({file: read_text(folder / file) for file in FILES}, digest)

    @classmethod
    def made(cls, texts: Mapping[str, str], digest: str | None = None) -> "Snapshot":
        """What the four files hold, by their names; of the datasheet, only the version counts."""
        version = str(front_matter(texts["datasheet.md"], "datasheet.md").get("version"))
        parse_version(version)
        return cls(version, texts["schema.yml"], texts["suite.yml"], texts["pipeline.py"], digest)


@dataclass(frozen=True)
class Proposal:
    """The smallest next version (the last one where nothing changed), and what asks for it."""

    level: Level
    reasons: list[Change]
    version: str


@dataclass(frozen=True)
class Comparison:
    """The version that the datasheet states, against what changed since the last one.

    Attributes:
        stated: what the datasheet states.
        last: the last version, or None where this is the first.
        origin: where the last one was found, in words.
        proposal: what follows.
    """

    stated: str
    last: str | None
    origin: str
    proposal: Proposal


def propose_version(old: Snapshot, new: Snapshot) -> Proposal:
    """The version after `old`, by the content of both, however that is laid out in the files.

    Raises:
        DslpError: a file of `new` is not what it should be.
    """
    before = parse_version(old.version)
    meaning = [*schema_changes(old.schema, new.schema), *suite_changes(old.suite, new.suite)]
    making = [*pipeline_changes(old.pipeline, new.pipeline, old.digest, new.digest)]
    if before < (1, 0, 0):
        meaning = [Change("minor" if c.level == "major" else c.level, c.text) for c in meaning]
        making = [Change("patch", c.text) for c in making]
    reasons = sorted(dict.fromkeys(meaning + making), key=lambda c: -LEVELS.index(c.level))
    level = reasons[0].level if reasons else "none"
    return Proposal(level, reasons, ".".join(map(str, next_version(before, level))))


def compare_versions(dataset: Dataset) -> Comparison:
    """Compare a dataset with its last version: the registered one, or what git has been given.

    Where the collaboration branch holds a later one than is registered, the larger proposal counts.

    Raises:
        DslpError: a file of the dataset is not what it should be.
    """
    stated = dataset.version
    found = []
    registered, merged = _registered(dataset), _merged(dataset)
    if registered:
        found.append((registered, "registered"))
    if merged and (
        not registered or parse_version(merged.version) > parse_version(registered.version)
    ):
        found.append((merged, f"in git, where this branch left {dataset.project.branch}"))
    if not found:
        return Comparison(stated, None, "none is known", Proposal("none", [], stated))
    now = snapshot(dataset, _digest(dataset) if registered and registered.digest else None)
    all_of = [(propose_version(old, now), old, origin) for old, origin in found]
    proposal, old, origin = max(all_of, key=lambda each: parse_version(each[0].version))
    return Comparison(stated, old.version, origin, proposal)


def changed_datasets(project: Project, since: str) -> list[str]:
    """Names of the datasets that differ from where this branch left a commit or branch.

    All of them, where git does not know that.
    """
    here = dataset_names(project)
    paths = changed_paths(
        project, git_output(project, "merge-base", "--end-of-options", "HEAD", since)
    )
    if paths is None:
        say(f"git knows nothing in common with {since}: every dataset counts as changed", "yellow")
        return here
    place = (project.source / "datasets").relative_to(project.root).as_posix()
    return [n for n in here if any(path.startswith(f"{place}/{n}/") for path in paths)]


def check_version(dataset: Dataset, found: Comparison | None = None) -> None:
    """See to it that the datasheet's version is as large as what changed asks for, and told.

    Raises:
        Refused: it is not, or its history has no line for it.
    """
    found = found or compare_versions(dataset)
    if parse_version(found.stated) < parse_version(found.proposal.version):
        proposal = found.proposal
        why = "; ".join(change.text for change in proposal.reasons[:1]) or "nothing changed"
        raise Refused(
            f"{dataset.folder / 'datasheet.md'} states {found.stated}, too small after "
            f"{found.last}: it takes {proposal.version} ({proposal.level}: {why}); "
            f"write it: uv run dslp data version {dataset.name} --write"
        )
    if found.stated not in [row[0] for row in history(read_text(dataset.folder / "datasheet.md"))]:
        raise Refused(
            f"{dataset.folder / 'datasheet.md'} has no line for {found.stated} in its history; "
            f"write it: uv run dslp data version {dataset.name} --write"
        )


def write_version(
    dataset: Dataset, found: Comparison, issue: int | None, change: str | None
) -> str | None:
    """Write the proposed version into the datasheet, or keep a larger one, with a line of history.

    Without `issue`, it is the one of the branch; without `change`, the reasons. Returns the
    version, or None where it stands there already.
    """
    path = dataset.folder / "datasheet.md"
    text = read_text(path)
    version = max(found.stated, found.proposal.version, key=parse_version)
    if version == found.stated and version in [row[0] for row in history(text)]:
        return None
    if issue is None:
        issue = issue_of_branch(git_output(dataset.project, "branch", "--show-current") or "")
    if issue is None and version == found.stated:
        issue = dataset.sheet.issue
    reasons = "; ".join(change.text for change in found.proposal.reasons)
    told = change or reasons or ("rerun" if found.last else "first version")
    write_text(path, with_version(text, version, issue, told))
    return version


def snapshot(dataset: Dataset, digest: str | None = None) -> Snapshot:
    """The dataset as its files are now."""
    return Snapshot.of(dataset.folder, digest)


def _registered(dataset: Dataset) -> Snapshot | None:
    """The last registered version, where tracking is part of the project and answers."""
    if not find_spec("mlflow"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        try:
            digest = fetch_last_registered(dataset, Path(folder))
        except DslpError as error:  # such as for lack of a network; git knows a version too
            say(f"{dataset.name} is not compared with what is registered: {error}", "yellow")
            return None
        return Snapshot.of(Path(folder), digest) if digest else None


def _merged(dataset: Dataset) -> Snapshot | None:
    """The version where the branch left the collaboration branch, if it was there."""
    project = dataset.project
    for branch in (f"origin/{project.branch}", project.branch):
        commit = git_output(project, "merge-base", "HEAD", branch)
        if commit:
            folder = dataset.folder.relative_to(project.root).as_posix()
            texts = {
                file: git_output(project, "show", f"{commit}:./{folder}/{file}") for file in FILES
            }
            there = {file: text for file, text in texts.items() if text is not None}
            try:
                return Snapshot.made(there) if len(there) == len(FILES) else None
            except DslpError:
                return None  # it stated no version there
    return None


def _digest(dataset: Dataset) -> str | None:
    """Digest of the content, if it is here and was made by today's pipeline."""
    from dslp.data.fingerprint import digest

    return digest(dataset) if dataset.is_built and not dataset.stale else None
