"""Where the logbook is read from: GitHub, git and MLflow, or an exported folder."""

import os
from datetime import UTC, datetime
from pathlib import Path

from dslp.core.errors import DslpError
from dslp.core.files import remove_path
from dslp.core.settings import Project
from dslp.github.remote import remote_name
from dslp.logbook.events import Logbook, Pull, Work
from dslp.logbook.git_source import read_git
from dslp.logbook.github_source import read_github
from dslp.logbook.site import CACHE, own_folder
from dslp.logbook.tracking_source import Tracked, read_tracking
from dslp.tracking.provenance import repository_address


def read_logbook(project: Project, fresh: bool = False) -> Logbook:
    """Read GitHub, git and MLflow; where one cannot be read, `notes` say what is left out.

    Args:
        project: the repository.
        fresh: read everything again, and not only what has changed.
    """
    own_folder(project)
    folder = project.root / CACHE
    if fresh:
        remove_path(folder)
    time, tracked = datetime.now(UTC), read_tracking(project)
    works, pulls, notes = _read_work(project, tracked, folder / "github.db")
    return Logbook(
        name=project.root.name,
        repository=repository_address(project),
        read=time,
        notes=(*notes, *tracked.notes),
        works=works,
        pulls=pulls,
        runs=tracked.runs,
        versions=tracked.versions,
        changes=tracked.changes,
    )


def _read_work(
    project: Project, tracked: Tracked, cache: Path
) -> tuple[tuple[Work, ...], tuple[Pull, ...], tuple[str, ...]]:
    """Issues and pull requests: from GitHub, or from git alone where GitHub was never read.

    Raises:
        DslpError: in a workflow, GitHub cannot be read: half a logbook is not to be published.
    """
    try:
        return read_github(project, cache)
    except DslpError as error:
        if os.environ.get("GITHUB_ACTIONS") == "true":
            raise
        note = f"Titles and texts of issues are missing, since GitHub was not read: {error}"
        is_known = bool(remote_name(project) or os.environ.get("GITHUB_REPOSITORY"))
        return (*read_git(project, tracked.runs), (note,) if is_known else ())
