"""Versions of a model as folders of this machine, and whether others are in use by now.

The process that serves asks the registry through a process of its own, so that MLflow's memory is
none of it; whether it has to ask, it sees at a glance.
"""

import base64
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode
from urllib.request import Request, urlopen

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line, redact
from dslp.models.persistence import FILES, check_files
from dslp.tracking.connection import registered_name, registry_uri, tracking_uri

if TYPE_CHECKING:
    from dslp.tracking.registry import Release

ANSWER = 600  # seconds that asking the registry, and a download, may take
TAGS = """
    SELECT v.version, v.current_stage, t.key, t.value
    FROM model_versions v JOIN model_version_tags t USING (workspace, name, version)
    WHERE v.name = ? ORDER BY v.version, t.key
"""


def fetch_model(project: Project, release: "Release") -> Path:
    """The folder of a version's files, brought here if it is not.

    Raises:
        DslpError: the files cannot be had.
    """
    # The run as well as the number: a registry that was made anew counts from one again.
    kept = project.data / "interim" / "models" / release.name
    folder = kept / f"{release.version}-{(release.run or 'unknown')[:8]}"
    files = release.tags.get(FILES, "")
    if folder.is_dir():
        check_files(folder, files)
        return folder
    import mlflow.artifacts

    place = folder.parent
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".") as aside:
            came = Path(mlflow.artifacts.download_artifacts(release.uri, dst_path=aside))
            file = next(came.rglob("MLmodel"), None)
            if file is None:
                raise DslpError("there is no MLmodel in it")
            check_files(file.parent, files)
            shutil.copytree(file.parent, Path(aside) / "whole")
            if not folder.is_dir():
                (Path(aside) / "whole").rename(folder)
    except Exception as error:  # whatever MLflow, storage or the disk raises
        if folder.is_dir():  # another process was faster
            return folder
        reason = error_line(error)
        raise DslpError(
            f"{release.name} {release.label} cannot be brought here: {reason}"
        ) from error
    return folder


def models_in_use(project: Project, name: str, roles: Sequence[str]) -> dict[str, Any]:
    """The versions in use, by role, as `dslp model current` prints them.

    Raises:
        DslpError: the registry cannot be reached.
    """
    if (file := _file(registry_uri(tracking_uri(project)))) and not file.is_file():
        raise DslpError(f"there is no {file}")  # and MLflow would make an empty one
    command = [sys.executable, "-m", "dslp", "model", "current", name, *roles]
    try:
        done = subprocess.run(
            command, cwd=project.root, capture_output=True, text=True, check=False, timeout=ANSWER
        )
        if done.returncode == 0:
            return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        reason = (lines or ["error: nothing was said"])[-1].removeprefix("error: ")
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        reason = f"the registry cannot be asked: {redact(str(error))[:160]}"
    raise DslpError(reason)


def registry_state(project: Project, name: str) -> Callable[[], object] | None:
    """A cheap look at the registry, which sees something else once something was promoted.

    Returns:
        A function that raises OSError or ValueError when there is no answer; None for a registry
        that there is no cheap look at.
    """
    address, name = registry_uri(tracking_uri(project)), registered_name(project, name)
    if file := _file(address):
        return lambda: _of_file(file, name)
    if address.startswith(("http://", "https://")):
        return lambda: _of_server(address, name)
    return None


def _file(address: str) -> Path | None:
    """The file of a registry that is one."""
    scheme, _, path = address.partition(":///")
    return Path(path).resolve() if scheme == "sqlite" else None


def _of_file(file: Path, name: str) -> object:
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(TAGS, (name,)).fetchall()
    except sqlite3.Error as error:
        raise OSError(f"{file}: {error}") from error


def _of_server(address: str, name: str) -> object:
    scheme, _, place = address.rstrip("/").partition("://")
    account, _, host = place.rpartition("@")
    headers, about = {}, urlencode({"filter": f"name = '{name}'", "max_results": "1000"})
    account, user = unquote(account), os.environ.get("MLFLOW_TRACKING_USERNAME")
    if user and not account:
        account = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
    if account:
        headers["Authorization"] = f"Basic {base64.b64encode(account.encode()).decode()}"
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    search = f"{scheme}://{host}/api/2.0/mlflow/model-versions/search?{about}"
    with urlopen(Request(search, headers=headers), timeout=10) as answer:
        return answer.read()  # of the newest thousand versions
