"""A recorded run computed again: what `reproduce` starts in the run's commit and environment.

Called as `python -m dslp.experiments.recomputation RECORD ANSWER`, two JSON files, in the worktree.
"""

import json
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.data.build import RawMissing, ensure_built
from dslp.data.dataset import Dataset, find_dataset
from dslp.data.fingerprint import digest
from dslp.data.loading import StoredVersion
from dslp.experiments.model import Model, find_model
from dslp.experiments.model_data import read_model_data
from dslp.experiments.params import Split
from dslp.experiments.runs import cross_validate, fold_metrics, score_on_holdout


def recompute(record: dict[str, Any]) -> dict[str, Any]:
    """The run's metrics, by the code of the working directory; and `doubts` about its origin.

    Args:
        record: `tags` and `params` of the run, as MLflow keeps them, and `data`, the project's
            data folder.
    """
    doubts, tags = [], record["tags"]
    with tempfile.TemporaryDirectory() as aside:
        data = _data_folder(record, Path(aside))
        model = find_model(Project.find(data=data), tags["dslp.model"])
        if not _has_digest(model.dataset, tags["dslp.dataset_digest"]):
            doubts.append(
                f"the data is not that of the run: the pipeline of its commit makes other content "
                f"of {model.dataset.name} {model.dataset.version}"
            )
        if model.code_digest != tags["dslp.code"]:
            doubts.append("the model's files are not those of the run: they were not committed")
        candidate, params = tags["dslp.candidate"], record["params"].items()
        if "dslp.settings" in tags:
            settings = json.loads(tags["dslp.settings"])
        else:
            model.check_candidate(candidate)
            settings = model.params.candidates[candidate]
        split = {n.removeprefix("split."): v for n, v in params if n.startswith("split.")}
        update = {"split": Split.model_validate(split)}  # from text
        model = replace(model, params=model.params.model_copy(update=update))
        metrics = _metrics(model, tags["dslp.kind"], candidate, settings)
        return {"doubts": doubts, "metrics": metrics}


def _metrics(model: Model, kind: str, candidate: str, settings: dict[str, Any]) -> dict[str, float]:
    """What a run of that kind records; the metric of fold 2 is `fold_NAME.2`."""
    data, metric = read_model_data(model), model.params.metric.name
    if kind == "training":
        return score_on_holdout(model, data, candidate, settings).figures
    scores = cross_validate(model, data.development, candidate, settings)
    folds = {f"fold_{metric}.{fold}": score[metric] for fold, score in enumerate(scores)}
    return fold_metrics(scores, metric) | folds


def _data_folder(record: dict[str, Any], aside: Path) -> Path:
    """A data folder with the run's dataset: the first whose content is that of the run.

    Tried in turn: the project's, the version that was kept, a build from the project's raw data,
    and a build from newly extracted raw data. The last that could be built, if none agrees.
    """
    tags, project = record["tags"], Project.find(data=Path(record["data"]))
    wanted, expected = (
        find_model(project, tags["dslp.model"]).params.dataset,
        tags["dslp.dataset_digest"],
    )
    if _has_digest(find_dataset(project, wanted.name), expected):
        return project.data
    kept = StoredVersion(project, wanted.name, wanted.version)
    if _has_digest(kept, expected):
        _link(kept.built, aside / "processed" / f"{wanted.name}{kept.built.suffix}")
        return aside
    best = aside / "raw kept"
    for folder in (best, aside / "raw new"):
        if folder == best and (project.data / "raw").is_dir():
            for path in (project.data / "raw").iterdir():  # one by one: nothing is written there
                _link(path, folder / "raw" / path.name)
        dataset = find_dataset(Project.find(data=folder), wanted.name)
        with suppress(RawMissing):  # raw data that a person put there cannot be extracted
            ensure_built(dataset)
            best = folder
        if _has_digest(dataset, expected):
            return folder
    return best


def _has_digest(dataset: Dataset, expected: str) -> bool:
    return dataset.is_built and digest(dataset) == expected


def _link(source: Path, target: Path) -> None:
    """Link to a file or folder; copy it where links are not allowed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)


if __name__ == "__main__":
    os.environ["DSLP_ENGINE"] = "embedded"  # no table of a database is replaced
    question, answer = map(Path, sys.argv[1:])
    try:
        result = recompute(json.loads(question.read_text(encoding="utf-8")))
    except DslpError as error:
        result = {"error": str(error)}
    answer.write_text(json.dumps(result), encoding="utf-8")
