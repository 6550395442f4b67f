"""What every run records of how it was made: issue, code, data, environment (E1, B10, V1)."""

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dslp.experiments.model import Model
from dslp.project import Project, git, redacted

if TYPE_CHECKING:
    from dslp.experiments.material import Material

BRANCH = re.compile(r"(?:(?:data|explore|experiment|model)/)?([1-9]\d{0,8})-")
ROOM = 4000  # characters that every tracking server takes in a tag


def facts(
    model: Model, data: "Material", candidate: str, settings: Mapping[str, Any], issue: int | None
) -> dict[str, str]:
    """Tags that say what a run of the candidate is made from, with these settings.

    The issue is the one that is given, else the one that the branch is named for, if it is.
    """
    params, code = model.params, provenance(model.project)
    found = {
        "dslp.model": model.name,
        "dslp.candidate": candidate,
        "dslp.ask": str(params.ask.issue),
        "dslp.dataset": params.dataset.name,
        "dslp.dataset_version": data.version,
        "dslp.dataset_digest": data.digest,
        "dslp.code": model.code,
        "dslp.evaluate": model.judge,
        "dslp.seed": str(params.split.seed),
        **code,
        **exact(settings),
    }
    issue = issue or issue_of(code["dslp.branch"])
    if issue is not None:
        found |= {"dslp.issue": str(issue)} | _note(model.project, issue)
    return found


def exact(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings as a tag, as a parameter is text to MLflow, and 1 is not "1".

    There is none where they are too long, or would come back as others, such as a date as text.
    """
    text = json.dumps(settings, default=str)
    if len(text) > ROOM or json.loads(text) != settings:
        return {}
    return {"dslp.settings": text}


def issue_of(branch: str) -> int | None:
    """The issue that a branch is named for (B1): 14 for `experiment/14-lines`."""
    found = BRANCH.match(branch)
    return int(found[1]) if found else None


def provenance(project: Project) -> dict[str, str]:
    """Tags of the code: commit, branch, clean or not (B10), environment.

    A folder without git, or a repository without a commit, is said to be that.
    """
    commit = git(project, "rev-parse", "HEAD")
    changes = git(project, "status", "--porcelain", "--untracked-files=normal")
    return {
        "dslp.commit": commit or "none",
        "dslp.branch": git(project, "branch", "--show-current") or "none",
        "dslp.clean": "true" if commit and changes == "" else "false",
        "dslp.environment": lock_digest(project),
        "dslp.python": platform.python_version(),
    }


def lock_digest(project: Project) -> str:
    """SHA-256 of the project's `uv.lock`, or that there is none."""
    lock = project.root / "uv.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "not locked"


def parameters(
    model: Model, candidate: str, settings: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """What a run of the candidate records of `params.yml`: its own part, and the split."""
    chosen = model.params.candidates[candidate] if settings is None else settings
    return flattened(
        {"candidate": chosen, "split": model.params.split.model_dump(exclude_none=True)}
    )


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as MLflow keeps them: one text a name, levels joined by dots."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def _note(project: Project, issue: int) -> dict[str, str]:
    """The description that MLflow shows on the run's page: the way to the issue (E2)."""
    remote = redacted(git(project, "remote", "get-url", "origin") or "")
    place = re.fullmatch(r"(?:https?://|ssh://|git@)([^/:]+)[/:](.+?)(?:\.git)?/?", remote)
    where = f"https://{place[1]}/{place[2]}/issues/{issue}" if place else ""
    return {"mlflow.note.content": f"Issue [#{issue}]({where})" if where else f"Issue #{issue}"}
