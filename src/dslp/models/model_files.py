"""The files of a model's versions on this machine, and whether the versions in use have changed.

The server reads the registry in another process, so that it does not need MLflow's memory. Whether
the registry has changed is read without MLflow.
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
from dslp.core.text import error_line
from dslp.models.persistence import FILES, check_files
from dslp.tracking.connection import registered_name, registry_uri, tracking_uri
from dslp.tracking.registry import versions_in_use

if TYPE_CHECKING:
    from dslp.tracking.registry import Release

PATIENCE = 600  # seconds that reading the registry, and a download, may take
TAGS = """
    SELECT v.version, v.current_stage, t.key, t.value
    FROM model_versions v JOIN model_version_tags t USING (workspace, name, version)
    WHERE v.name = ? ORDER BY v.version, t.key
"""


def fetch_model(project: Project, release: "Release") -> Path:
    """The folder of a version's files on this machine, downloaded if need be.

    Raises:
        DslpError: the files cannot be downloaded, or are not the registered ones.
    """
    # The run as well as the number: a registry that was made anew counts from one again.
    parent = project.data / "interim" / "models" / release.name
    folder = parent / f"{release.version}-{(release.run or 'unknown')[:8]}"
    files = release.tags.get(FILES, "")
    if folder.is_dir():
        check_files(folder, files)
        return folder
    import mlflow.artifacts

    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=".") as temporary:
            path = Path(mlflow.artifacts.download_artifacts(release.uri, dst_path=temporary))
            file = next(path.rglob("MLmodel"), None)
            if file is None:
                raise DslpError("there is no MLmodel in it")
            check_files(file.parent, files)
            shutil.copytree(file.parent, Path(temporary) / "whole")
            if not folder.is_dir():
                (Path(temporary) / "whole").rename(folder)
    except Exception as error:  # whatever MLflow, storage or the disk raises
        if folder.is_dir():  # another process was faster
            return folder
        name, reason = f"{release.name} {release.label}", error_line(error)
        raise DslpError(f"{name} cannot be downloaded: {reason}") from error
    return folder


def fetch_in_use(project: Project, name: str, roles: Sequence[str]) -> dict[str, Any]:
    """The version of each role with the folder of its files, or with an error; None if vacant."""
    in_use: dict[str, Any] = dict.fromkeys(roles)
    for role, release in versions_in_use(name, project).items():
        if release is None or role not in roles:
            continue
        facts = {"version": release.version, "semantic": release.semantic, "run": release.run}
        try:
            folder = str(fetch_model(project, release))
            in_use[role] = facts | {"folder": folder, "files": release.tags.get(FILES, "")}
        except DslpError as error:  # of one role; the other one is served all the same
            in_use[role] = facts | {"error": str(error)}
    return in_use


def models_in_use(project: Project, name: str, roles: Sequence[str]) -> dict[str, Any]:
    """`fetch_in_use` in a process of its own.

    Raises:
        DslpError: the registry cannot be reached.
    """
    if (file := _file(registry_uri(tracking_uri(project)))) and not file.is_file():
        raise DslpError(f"there is no {file}")  # and MLflow would make an empty one
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


def registry_state(project: Project, name: str) -> Callable[[], object] | None:
    """A function that returns the state of the registry, which differs after a promotion.

    Returns:
        The function, which raises OSError or ValueError if the registry does not answer; None if
        the state of this kind of registry cannot be read cheaply.
    """
    address, name = registry_uri(tracking_uri(project)), registered_name(project, name)
    if file := _file(address):
        return lambda: _file_state(file, name)
    if address.startswith(("http://", "https://")):
        return lambda: _server_state(address, name)
    return None


def _file(address: str) -> Path | None:
    """The file of a registry, if it is a file."""
    scheme, _, path = address.partition(":///")
    return Path(path).resolve() if scheme == "sqlite" else None


def _file_state(file: Path, name: str) -> object:
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(TAGS, (name,)).fetchall()
    except sqlite3.Error as error:
        raise OSError(f"{file}: {error}") from error


def _server_state(address: str, name: str) -> object:
    scheme, _, place = address.rstrip("/").partition("://")
    account, _, host = place.rpartition("@")
    headers, query = {}, urlencode({"filter": f"name = '{name}'", "max_results": "1000"})
    account, user = unquote(account), os.environ.get("MLFLOW_TRACKING_USERNAME")
    if user and not account:
        account = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
    if account:
        headers["Authorization"] = f"Basic {base64.b64encode(account.encode()).decode()}"
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    search = f"{scheme}://{host}/api/2.0/mlflow/model-versions/search?{query}"
    with urlopen(Request(search, headers=headers), timeout=10) as answer:
        return answer.read()  # of the newest thousand versions
