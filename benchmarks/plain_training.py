"""What a data scientist writes without the process: the same fits, logged to MLflow by hand.

    python plain_training.py experiment|train

It runs in a project with the example, with that project's own functions and data.
"""

import sys
from pathlib import Path

import mlflow
import pandas as pd
import yaml
from sklearn.model_selection import GroupKFold, GroupShuffleSplit

sys.path.insert(0, "src")
from claims.models.claim_frequency.evaluate import evaluate  # type: ignore[import-not-found]
from claims.models.claim_frequency.schema import Request  # type: ignore[import-not-found]
from claims.models.claim_frequency.train import train  # type: ignore[import-not-found]


def main() -> None:
    """Cross-validate both candidates, or train one of them."""
    text = Path("src/claims/models/claim_frequency/params.yml").read_text(encoding="utf-8")
    candidates = yaml.safe_load(text)["candidates"]
    rows, inputs = pd.read_parquet("data/processed/claims.parquet"), list(Request.model_fields)
    split = GroupShuffleSplit(1, test_size=0.2, random_state=1974)
    inner, outer = next(split.split(rows, groups=rows["person_id"]))
    development, holdout = rows.iloc[inner], rows.iloc[outer]
    mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
    mlflow.set_experiment("plain")
    if sys.argv[1] == "experiment":
        for name, params in candidates.items():
            with mlflow.start_run(run_name=name):
                mlflow.log_params(params)
                scores = []
                folds = GroupKFold(5).split(development, groups=development["person_id"])
                for step, (fitted, left) in enumerate(folds):
                    part, rest = development.iloc[fitted], development.iloc[left]
                    model = train(part[inputs], part["visits"], params)
                    scores.append(evaluate(rest["visits"], model.predict(rest[inputs])))
                    mlflow.log_metrics(scores[-1], step)
                mlflow.log_metrics(pd.DataFrame(scores).mean().to_dict(), len(scores))
        return
    with mlflow.start_run(run_name="boosted"):
        mlflow.log_params(candidates["boosted"])
        for name, params in candidates.items():  # the baseline is what the gain is measured by
            model = train(development[inputs], development["visits"], params)
            predicted = model.predict(holdout[inputs])
            scores = evaluate(holdout["visits"], predicted)
            mlflow.log_metrics({f"{name}_{metric}": value for metric, value in scores.items()})
        signature = mlflow.models.infer_signature(holdout[inputs], predicted)
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=signature,
            input_example=holdout[inputs].head(2),
            serialization_format="cloudpickle",
        )


if __name__ == "__main__":
    main()
