"""The files of a model's versions on this machine."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.files import written_aside
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.models.persistence import FILES, check_files, files_digest
from dslp.tracking.connection import local_database, require_records
from dslp.tracking.registry import Registry, Release, current_versions

PATIENCE = 600  # seconds that reading the registry, and a download, may take


def fetch_model(project: Project, release: Release) -> Path:
    """The folder of a version's files on this machine, downloaded if need be.

    Raises:
        DslpError: the files cannot be downloaded, or are not the registered ones.
    """
    # The run as well as the number: a registry that was made anew counts from one again.
    parent = project.data / "interim" / "models" / release.name
    folder = parent / f"{release.version}-{(release.run or 'unknown')[:8]}"
    files = release.tags.get(FILES, "")
    if _is_whole(folder, files):
        return folder
    import mlflow.artifacts

    try:
        with written_aside(folder) as part:
            part.mkdir()
            address = f"models:/{release.name}/{release.version}"
            mlflow.artifacts.download_artifacts(address, dst_path=str(part))
            if not (part / "MLmodel").is_file():
                raise DslpError("there is no MLmodel in it")
            check_files(part, files)
    except Exception as error:  # whatever MLflow, storage or the disk raises
        if _is_whole(folder, files):  # another process was faster
            return folder
        name, reason = f"{release.name} {release.label}", error_line(error)
        raise DslpError(f"{name} cannot be downloaded: {reason}") from error
    return folder


def _is_whole(folder: Path, files: str) -> bool:
    """Whether the version is on this machine as it was registered, without a file more."""
    return folder.is_dir() and (not files or files_digest(folder) == files)


def fetch_in_use(project: Project, name: str, roles: Sequence[str]) -> dict[str, Any]:
    """The version of each role with the folder of its files, or with an error; None if vacant.

    Raises:
        DslpError: the registry cannot be read.
    """
    require_records(project, f"uv run dslp model train {name}")
    registry, in_use = Registry.read(project, name), dict[str, Any]()
    for role in roles:
        release = in_use[role] = registry.in_role(role)
        if release is None:
            continue
        in_use[role] = {
            "version": release.version,
            "semantic": release.semantic,
            "run": release.run,
        }
        try:
            folder = str(fetch_model(project, release))
            in_use[role] |= {"folder": folder, "files": release.tags.get(FILES, "")}
        except DslpError as error:  # of one role; the other one is served all the same
            in_use[role] |= {"error": str(error)}
    return in_use


def models_in_use(project: Project, name: str, roles: Sequence[str]) -> dict[str, Any]:
    """`fetch_in_use` in a process of its own, so that a server does not need MLflow's memory.

    Raises:
        DslpError: the registry cannot be read.
    """
    command = [sys.executable, "-m", "dslp", "model", "current", name, *roles]
    options: Any = {"capture_output": True, "text": True, "timeout": PATIENCE}
    try:
        done = subprocess.run(command, cwd=project.root, **options)
        if done.returncode == 0:
            return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        reason = (lines or ["error: it printed no error"])[-1].removeprefix("error: ")
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        reason = f"the registry cannot be read: {error_line(error)}"
    raise DslpError(reason)


def registry_state(project: Project, name: str) -> Callable[[], object]:
    """A function that returns the state of the registry, which differs after a promotion.

    Of local tracking it is the time of the last change, which does not need MLflow; of a server,
    the numbers of champion and challenger. The function raises OSError or DslpError if the registry
    cannot be read.
    """
    if file := local_database(project):
        return lambda: file.stat().st_mtime_ns
    return lambda: current_versions(project, name)
