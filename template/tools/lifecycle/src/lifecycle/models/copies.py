"""Versions of a model as folders of this machine, and whether others are in use by now.

The process that serves asks the registry through a process of its own, so that MLflow's memory is
none of it; whether it has to ask, it sees for itself.
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
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from lifecycle.errors import LifecycleError
from lifecycle.experiments.tracking import registered, registry_uri, uri
from lifecycle.models.flavours import FILES, verified
from lifecycle.models.trail import PREFIX, entries, standing
from lifecycle.project import Project, redacted

if TYPE_CHECKING:
    from lifecycle.models.registry import Release

ANSWER = 600  # seconds that asking the registry, and a download, may take
VERSIONS = """
    SELECT v.version, v.run_id, t.key, t.value
    FROM model_versions v JOIN model_version_tags t
        ON t.workspace = v.workspace AND t.name = v.name AND t.version = v.version
    WHERE v.name = ? AND v.current_stage <> 'Deleted_Internal' ORDER BY v.version, t.key
"""

# A line for each tag of each version: number, run, name and value of the tag.
Seen = list[tuple[str, str, str, str]]


def copy(project: Project, release: "Release") -> Path:
    """The folder of a version's files, brought here if it is not.

    Raises:
        LifecycleError: the files cannot be had.
    """
    folder = _place(project, release.name, release.version, release.run)
    files = release.tags.get(FILES, "")
    if folder.is_dir():
        verified(folder, files)
        return folder
    import mlflow.artifacts

    place = folder.parent
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".") as aside:
            came = Path(mlflow.artifacts.download_artifacts(release.address, dst_path=aside))
            file = next(came.rglob("MLmodel"), None)
            if file is None:
                raise LifecycleError("there is no MLmodel in it")
            verified(file.parent, files)
            shutil.copytree(file.parent, Path(aside) / "whole")
            if not folder.is_dir():
                (Path(aside) / "whole").rename(folder)
    except Exception as error:  # whatever MLflow, storage or the disk raises
        if folder.is_dir():  # another process was faster
            return folder
        reason = redacted(" ".join(str(error).split()))[:160]
        raise LifecycleError(
            f"{release.name} {release.label} cannot be brought here: {reason}"
        ) from error
    return folder


def _place(project: Project, name: str, version: str, run: str) -> Path:
    # The run as well as the number: a registry that was made anew counts from one again.
    return project.data / "interim" / "models" / name / f"{version}-{(run or 'unknown')[:8]}"


def in_use(project: Project, name: str, seen: Seen | None, roles: Sequence[str]) -> dict[str, Any]:
    """The versions in use, by role, as `lifecycle model current` prints them.

    Where a glance has shown which they are, and their files are here, nothing more is asked, so
    that a rollback is there at once.

    Raises:
        LifecycleError: the registry or the files cannot be reached.
    """
    if seen is not None:
        tags: dict[str, dict[str, str]] = {}
        runs = {version: run for version, run, _, _ in seen}
        for version, _, key, value in seen:
            tags.setdefault(version, {})[key] = value
        now = standing(entries(tags.items()))
        found: dict[str, Any] = {}
        for role in roles:
            number = getattr(now, role)
            found[role] = number and {
                "version": number,
                "semantic": tags[number].get("lifecycle.version", ""),
                "run": runs[number],
                "files": tags[number].get(FILES, ""),
                "folder": str(_place(project, registered(project, name), number, runs[number])),
            }
        if all(Path(one["folder"]).is_dir() for one in found.values() if one):
            return found
    command = [sys.executable, "-m", "lifecycle", "model", "current", name, *roles]
    try:
        done = subprocess.run(
            command, cwd=project.root, capture_output=True, text=True, check=False, timeout=ANSWER
        )
        if done.returncode == 0:
            return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        reason = (lines or ["error: nothing was said"])[-1].removeprefix("error: ")
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        reason = f"the registry cannot be asked: {redacted(str(error))[:160]}"
    raise LifecycleError(reason)


def glance(project: Project, name: str) -> Callable[[], Seen] | None:
    """A cheap look at the registry, which shows other tags once something was promoted.

    Returns:
        A function that raises OSError or ValueError when there is no answer; None for a registry
        that there is no cheap look at.
    """
    address, name = registry_uri(uri(project)), registered(project, name)
    if address.startswith("sqlite:///"):
        file = Path(address.removeprefix("sqlite:///")).resolve()
        return lambda: _of_file(file, name)
    if address.startswith(("http://", "https://")):
        return lambda: _of_server(address.rstrip("/"), name)
    return None


def _of_file(file: Path, name: str) -> Seen:
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(VERSIONS, (name,)).fetchall()
    except sqlite3.Error as error:
        raise OSError(f"{file}: {error}") from error
    return [
        (str(version), run or "", key, value) for version, run, key, value in rows if _told(key)
    ]


def _of_server(address: str, name: str) -> Seen:
    user, token = (
        os.environ.get("MLFLOW_TRACKING_USERNAME"),
        os.environ.get("MLFLOW_TRACKING_TOKEN"),
    )
    headers = {}
    if user:
        pair = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    elif token:
        headers["Authorization"] = f"Bearer {token}"
    versions, page = [], {"filter": f"name = '{name}'", "max_results": "1000"}
    while page.get("page_token", "first"):
        search = f"{address}/api/2.0/mlflow/model-versions/search?{urlencode(page)}"
        with urlopen(Request(search, headers=headers), timeout=10) as answer:
            content = json.load(answer)
        versions += content.get("model_versions", [])
        page["page_token"] = content.get("next_page_token", "")
    return sorted(
        (str(version["version"]), version.get("run_id", ""), tag["key"], tag["value"])
        for version in versions
        for tag in version.get("tags", [])
        if _told(tag["key"])
    )


def _told(key: str) -> bool:
    """Whether a tag says what the version is, or what was done with it."""
    return key in ("lifecycle.version", FILES) or key.startswith(PREFIX)
