"""Running an experiment: every candidate on the same folds, baseline first, each a tracked run."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.errors import LifecycleError
from lifecycle.experiments import split
from lifecycle.experiments.material import Material, material
from lifecycle.experiments.model import Model
from lifecycle.experiments.tracking import Tracking


@dataclass(frozen=True)
class Attempt:
    """One candidate's outcome: the metrics' means over the folds, and the scatter of the Ask's."""

    candidate: str
    run: str
    metrics: dict[str, float]
    deviation: float


@dataclass(frozen=True)
class Experiment:
    """Candidates of one model, tried on the same folds of the same rows.

    Attributes:
        model: what is tried.
        data: the rows; only the development part is looked at.
        tracking: where each attempt is recorded.
        issue: number of the Experiment issue that the attempts belong to (E2), if there is one.
    """

    model: Model
    data: Material
    tracking: Tracking
    issue: int | None = None

    @classmethod
    def prepare(cls, model: Model, issue: int | None = None) -> "Experiment":
        """Read and divide the data, and reach the tracking server."""
        return cls(model, material(model), Tracking.open(model.project), issue)

    def candidates(self, names: Sequence[str] | None = None) -> list[str]:
        """The candidates called `names`, or all; the baseline comes first and is always there.

        Raises:
            LifecycleError: `params.yml` has no candidate of that name.
        """
        known = self.model.params.candidates
        for name in names or ():
            if name not in known:
                raise LifecycleError(
                    f"no candidate {name!r} in {self.model.folder / 'params.yml'}; "
                    f"there are: {', '.join(known)}"
                )
        first = self.model.params.baseline
        return [name for name in known if not names or name in names or name == first]

    def attempt(self, candidate: str) -> Attempt:
        """Cross-validate one candidate, and record it as a run."""
        params = self.model.params
        metric = params.metric.name
        tags = {"lifecycle.kind": "experiment", "lifecycle.ask": str(params.ask.issue)}
        if self.issue is not None:
            tags["lifecycle.issue"] = str(self.issue)
        with self.tracking.run(self.model, self.data, candidate, tags) as record:
            rows = self.data.development
            scores = [
                self.model.score(self.model.fit(candidate, rows.iloc[train]), rows.iloc[validate])
                for train, validate in split.folds(rows, params.split)
            ]
            means = {name: statistics.fmean(score[name] for score in scores) for name in scores[0]}
            deviation = statistics.stdev(score[metric] for score in scores)
            record.metrics({**means, f"{metric}_deviation": deviation})
            for fold, score in enumerate(scores):
                record.metrics({f"fold_{metric}": score[metric]}, step=fold)
        return Attempt(candidate, record.identifier, means, deviation)
