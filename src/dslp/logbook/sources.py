"""Where the logbook is read from: GitHub, git and MLflow, or an exported folder."""

import os
from dataclasses import replace

from dslp.core.errors import DslpError
from dslp.core.files import remove_path
from dslp.core.settings import Project
from dslp.github.remote import remote_name
from dslp.logbook.events import Logbook
from dslp.logbook.git_source import read_git
from dslp.logbook.github_source import read_github
from dslp.logbook.site import CACHE, own_folder
from dslp.logbook.tracking_source import read_tracking


def read_logbook(project: Project, fresh: bool = False) -> Logbook:
    """Read GitHub, git and MLflow; where one cannot be read, `notes` say what is left out.

    Args:
        project: the repository.
        fresh: read everything again, and not only what has changed.

    Raises:
        DslpError: in a workflow, GitHub cannot be read: half a logbook is not to be published.
    """
    own_folder(project)
    folder = project.root / CACHE
    if fresh:
        remove_path(folder)
    tracked = read_tracking(project)
    try:
        works, pulls, notes = read_github(project, folder / "github.db")
    except DslpError as error:
        if os.environ.get("GITHUB_ACTIONS") == "true":
            raise
        works, pulls = read_git(project, tracked.runs)
        note = f"Titles and texts of issues are missing, since GitHub was not read: {error}"
        is_known = bool(remote_name(project) or os.environ.get("GITHUB_REPOSITORY"))
        notes = (note,) if is_known else ()
    return replace(tracked, works=works, pulls=pulls, notes=(*notes, *tracked.notes))
