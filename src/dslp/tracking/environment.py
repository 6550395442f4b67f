"""The environment's own version (V2), counted from the locks that runs were made with.

Major: a package was added, removed, or has another major version. Minor: any other change of a
version. Each lock is recorded once, as a run of the MLflow experiment `environments`.
"""

import json
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError
from dslp.core.text import error_line
from dslp.tracking.provenance import lock_digest

if TYPE_CHECKING:
    from dslp.tracking.connection import Tracking

EXPERIMENT, FILE, FIRST = "environments", "packages.json", "1.0"

Packages = Mapping[str, list[str]]  # by name; a lock may hold several versions, one a platform


def environment_version(tracking: "Tracking") -> str:
    """The version of the present lock, recorded if it is new; or that nothing is locked.

    Raises:
        DslpError: the lock cannot be read.
    """
    digest = lock_digest(tracking.project)
    if digest == "not locked":
        return digest
    client, experiment = tracking.client, tracking.experiment(EXPERIMENT)
    kept = "attributes.status = 'FINISHED' and tags.`dslp.environment_version` != ''"
    same = client.search_runs(
        [experiment],
        filter_string=f"{kept} and tags.`dslp.environment` = '{digest}'",
        order_by=["attributes.start_time ASC"],
        max_results=1,
    )
    if same:
        return str(same[0].data.tags["dslp.environment_version"])
    present = locked_packages(tracking.project.root / "uv.lock")
    newest = client.search_runs(
        [experiment], kept, order_by=["attributes.start_time DESC"], max_results=1
    )
    number = FIRST
    if newest:
        before = str(newest[0].data.tags["dslp.environment_version"])
        number = next_environment_version(
            before, _recorded(tracking, newest[0].info.run_id), present
        )
    tags = {
        "dslp.kind": "environment",
        "dslp.environment": digest,
        "dslp.environment_version": number,
    }
    run = client.create_run(experiment, run_name=f"environment {number}", tags=tags)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_text(json.dumps(present, indent=1), encoding="utf-8")
        client.log_artifact(run.info.run_id, str(Path(folder) / FILE))
    client.set_terminated(run.info.run_id)
    return number


def locked_packages(lock: Path) -> dict[str, list[str]]:
    """Versions of each package of a `uv.lock`, but for those that the repository holds itself.

    Raises:
        DslpError: it is no lock.
    """
    try:
        stated = tomllib.loads(lock.read_text(encoding="utf-8")).get("package", [])
        found: dict[str, set[str]] = {}
        for package in stated:
            if not {"editable", "virtual", "directory"} & set(package.get("source", {})):
                found.setdefault(package["name"], set()).add(package.get("version", ""))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DslpError(f"{lock} cannot be read: {error_line(error)}") from None
    except (AttributeError, KeyError, TypeError):
        raise DslpError(f"{lock} is no lock of uv; make it again: uv lock") from None
    return {name: sorted(versions) for name, versions in sorted(found.items())}


def next_environment_version(number: str, old: Packages, new: Packages) -> str:
    """The version after `number` once the environment was `old` and is `new` (V2).

    A major version that falls counts as one that rises: code breaks on either.
    """
    major, minor = map(int, number.split("."))
    if {name: _majors(versions) for name, versions in old.items()} != {
        name: _majors(versions) for name, versions in new.items()
    }:
        return f"{major + 1}.0"
    return number if old == new else f"{major}.{minor + 1}"


def _majors(versions: list[str]) -> set[str]:
    """The major versions: what stands before the first dot, epoch included."""
    return {version.split(".")[0] for version in versions}


def _recorded(tracking: "Tracking", run: str) -> dict[str, list[str]]:
    """The packages of an environment that was recorded."""
    with tempfile.TemporaryDirectory() as folder:
        file = tracking.client.download_artifacts(run, FILE, folder)
        packages: dict[str, list[str]] = json.loads(Path(file).read_text(encoding="utf-8"))
    return packages
