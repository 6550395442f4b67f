"""A recorded run made again: what `reproduce` starts in the run's commit and environment.

Called as `python -m dslp.experiments.recomputation RECORD ANSWER`, two JSON files, in the worktree.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.data.build import RawMissing, ensure_built
from dslp.data.dataset import find_dataset
from dslp.data.fingerprint import digest
from dslp.data.loading import StoredVersion
from dslp.experiments.model import Model, find_model
from dslp.experiments.model_data import read_model_data
from dslp.experiments.params import Split
from dslp.experiments.runs import cross_validate, fold_metrics, score_on_holdout


def recompute(record: dict[str, Any]) -> dict[str, Any]:
    """The run's metrics, made by the code of the working directory; with `doubts` about its origin.

    Args:
        record: what `reproduce` read: `name`, `kind`, `candidate`, `settings`, `split`, `digest`,
            `code`, and `data`, the project's data folder.
    """
    doubts = []
    with tempfile.TemporaryDirectory() as aside:
        here, dataset, same = _data(record, Path(aside))
        made = find_model(Project.find(Path.cwd(), data=here), record["name"])
        if not same:
            doubts.append(
                f"the data is not that of the run: the pipeline of its commit makes other content "
                f"of {dataset}"
            )
        if made.code != record["code"]:
            doubts.append("the model's files are not those of the run: they were not committed")
        candidate, settings = record["candidate"], record["settings"]
        if settings is None:
            settings = made.params.candidates.get(candidate)
        if settings is None:
            raise DslpError(f"{candidate} is no candidate in params.yml of the run's commit")
        split = Split.model_validate(record["split"])  # from text, as MLflow keeps it
        made = replace(made, params=made.params.model_copy(update={"split": split}))
        return {"doubts": doubts, "metrics": _metrics(made, record["kind"], candidate, settings)}


def _metrics(made: Model, kind: str, candidate: str, settings: dict[str, Any]) -> dict[str, float]:
    """What a run of that kind records, the metric of fold 2 as `fold_NAME.2`."""
    data, metric = read_model_data(made), made.params.metric
    if kind != "training":
        scores = cross_validate(made, data.development, candidate, settings)
        folds = {f"fold_{metric.name}.{fold}": one[metric.name] for fold, one in enumerate(scores)}
        return fold_metrics(scores, metric.name) | folds
    return score_on_holdout(made, data, candidate, settings)[1]


def _data(record: dict[str, Any], aside: Path) -> tuple[Path, str, bool]:
    """A data folder with the run's dataset, its name and version, and whether its content agrees.

    What is built now may be it, or what was kept of the version; otherwise it is built again.
    """
    given = Path(record["data"])
    project = Project.find(Path.cwd(), data=given)
    stated = find_model(project, record["name"]).params.dataset
    shown = f"{stated.name} {stated.version}"
    dataset = find_dataset(project, stated.name)
    if dataset.is_built and digest(dataset) == record["digest"]:
        return given, shown, True
    kept = StoredVersion(project, stated.name, stated.version)
    if kept.is_built and digest(kept) == record["digest"]:
        suffix = kept.built.suffix
        _same(kept.built, aside / "processed" / f"{stated.name}{suffix}")
        return aside, shown, True
    for place in (aside / "as it is", aside / "anew"):
        if place.name == "as it is" and (given / "raw").is_dir():
            for path in (given / "raw").iterdir():  # one by one: nothing is written there
                _same(path, place / "raw" / path.name)
        dataset = find_dataset(Project.find(Path.cwd(), data=place), stated.name)
        with suppress(RawMissing):  # raw data that was put there by hand cannot be fetched anew
            ensure_built(dataset)
        if dataset.is_built and digest(dataset) == record["digest"]:
            return place, shown, True
    return (place if dataset.is_built else aside / "as it is"), shown, False


def _same(path: Path, place: Path) -> None:
    """Have what is at `path` at `place` too, copied where links are not allowed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.symlink_to(path, target_is_directory=path.is_dir())
    except OSError:
        (shutil.copytree if path.is_dir() else shutil.copy2)(path, place)


@contextmanager
def _told(answer: Path) -> Iterator[dict[str, Any]]:
    """Write what was found, or why nothing was."""
    found: dict[str, Any] = {}
    try:
        yield found
    except DslpError as error:
        found["error"] = str(error)
    answer.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    os.environ["DSLP_ENGINE"] = "embedded"  # no table of a database is replaced
    with _told(Path(sys.argv[2])) as told:
        told.update(recompute(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
