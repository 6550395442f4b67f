"""The environment's own version (V2), which follows from the locks that runs were made with.

Major: a package was added, removed, or has another major version. Minor: any other change of a
version. Each lock is recorded once, as a run of the MLflow experiment `environments`.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError
from dslp.core.text import error_line
from dslp.tracking.connection import artifact_errors
from dslp.tracking.provenance import lock_digest

if TYPE_CHECKING:
    from dslp.tracking.connection import Tracking

EXPERIMENT, FILE, FIRST = "environments", "packages.json", "1.0"

Packages = Mapping[str, list[str]]  # versions by name; a lock may hold one for each platform


def environment_version(tracking: "Tracking") -> str:
    """The version of the present lock, which is recorded if it is new; or `not locked`.

    Raises:
        DslpError: the lock cannot be read.
    """
    digest = lock_digest(tracking.project)
    if digest == "not locked":
        return digest
    client, experiment = tracking.client, tracking.experiment_id(EXPERIMENT)
    recorded = "attributes.status = 'FINISHED' and tags.`dslp.environment_version` != ''"
    same = f"{recorded} and tags.`dslp.environment` = '{digest}'"
    order = "attributes.start_time"
    if runs := client.search_runs([experiment], same, order_by=[f"{order} ASC"], max_results=1):
        return str(runs[0].data.tags["dslp.environment_version"])
    packages, version = locked_packages(tracking.project.environment / "uv.lock"), FIRST
    if runs := client.search_runs(
        [experiment], recorded, order_by=[f"{order} DESC"], max_results=1
    ):
        from mlflow.artifacts import load_dict

        newest = runs[0]
        previous = load_dict(f"{newest.info.artifact_uri}/{FILE}")
        version = next_environment_version(
            newest.data.tags["dslp.environment_version"], previous, packages
        )
    tags = {
        "dslp.kind": "environment",
        "dslp.environment": digest,
        "dslp.environment_version": version,
    }
    run_id = client.create_run(experiment, run_name=f"environment {version}", tags=tags).info.run_id
    with artifact_errors(run_id):
        client.log_dict(run_id, packages, FILE)
    client.set_terminated(run_id)
    return version


def locked_packages(lock: Path) -> dict[str, list[str]]:
    """Versions of each package in a `uv.lock`, except those that the repository itself holds.

    Raises:
        DslpError: the file is missing, or is not a lock of uv.
    """
    versions: dict[str, set[str]] = {}
    try:
        for package in tomllib.loads(lock.read_text(encoding="utf-8")).get("package", []):
            if not {"editable", "virtual", "directory"} & set(package.get("source", {})):
                versions.setdefault(package["name"], set()).add(package.get("version", ""))
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        problem = f"{lock} cannot be read as a lock of uv: {error_line(error)}"
        raise DslpError(f"{problem}; make it again: uv lock") from None
    return {name: sorted(numbers) for name, numbers in sorted(versions.items())}


def next_environment_version(version: str, old: Packages, new: Packages) -> str:
    """The version after `version`, when the environment changes from `old` to `new` (V2).

    A lower major version counts like a higher one: code breaks on either.
    """
    major, minor = map(int, version.split("."))
    if _major_versions(old) != _major_versions(new):
        return f"{major + 1}.0"
    return version if old == new else f"{major}.{minor + 1}"


def _major_versions(packages: Packages) -> dict[str, set[str]]:
    """What stands before the first dot of each version, with the epoch."""
    return {name: {one.split(".")[0] for one in versions} for name, versions in packages.items()}
