"""How good predictions are, by what fits their kind: figures with intervals, and their pictures.

An interval is that of a mean over rows that depend on one another within a unit of `uncertainty`
(the linearised variance of Liang and Zeger, 1986, Biometrika 73, with the t distribution over the
units). That of a share is Wilson's (1927), for the number of independent rows that would have the
same variance (Franco, Little, Louis and Slud, 2019, Journal of Survey Statistics and Methodology
7).
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from dslp.core.pictures import draw_matrix, draw_points
from dslp.core.text import visible
from dslp.data.schema import key_columns
from dslp.experiments.model import Model
from dslp.experiments.uncertainty import units
from pandas.api.types import is_numeric_dtype

FILE = "evaluation.json"  # among the artifacts of a run
OTHERS = "other classes"
FEW = 10  # rows that a bin has at least, and a class that is named: no row can be recognised
MOMENTS = 4  # rows that a bin of a forecast has at least
UNITS = 3  # that an interval needs at least
MOST = 10  # bins, classes or series
# The pictures of points: their axes, what a line means, and the names of two lines.
POINTS: dict[str, tuple[str, str, str, Sequence[str]]] = {
    "calibration": ("predicted {}", "observed {}, average", "equal", ()),
    "residuals": ("predicted {}", "observed less predicted {}", "0", ()),
    "frequencies": ("{}", "% of the rows", "", ("observed", "expected")),
    "horizon": ("steps after the training", "error of {}", "", ("model", "last value repeated")),
    "time": ("from", "observed less predicted {}", "0", ()),
    "reliability": ("predicted probability, %", "observed, %", "equal", ()),
    "gains": ("% of all cases, the most probable first", "% found", "by chance", ()),
}


def truth_pairs(
    model: Model, past: pd.DataFrame, rows: pd.DataFrame, predicted: pd.DataFrame
) -> pd.DataFrame:
    """The truth beside the prediction, and what else an evaluation needs of each row.

    That is `by`, the column of the split, and of a forecast the `step` (the number of its moment
    after the past), the `series` (the key without the time) and the `naive` forecast: the last
    value of the series in the past, or of a new one the average of the last moment. With only a
    probability, the prediction is the class that is at least as probable as the other.
    """
    target, split = model.params.target, model.params.split
    fields = [name for name in (target, *predicted) if name in predicted and name != "probability"]
    pairs = rows[[target]].set_axis(["truth"], axis=1)
    if fields:
        pairs["predicted"] = predicted[fields[0]]
    else:
        classes = sorted({*past[target].dropna(), *rows[target].dropna()})
        likely = predicted["probability"] >= 1 / 2
        pairs["predicted"] = np.where(likely, classes[-1], classes[0])
    if "probability" in predicted:
        pairs["probability"] = predicted["probability"]
    if split.by:
        pairs["by"] = rows[split.by]
    if split.by and split.policy == "time" and model.kind(rows[target]) == "forecast":
        past = past.sort_values(split.by)
        latest = past.loc[past[split.by] == past[split.by].iloc[-1], target].mean()
        pairs = pairs.assign(step=rows[split.by].rank(method="dense"), naive=float(latest))
        if names := [name for name in key_columns(model.dataset) if name != split.by]:
            before, pairs["series"] = (
                side[names[0]].astype(str).str.cat(side[names[1:]].astype(str), " / ")
                for side in (past, rows)
            )
            last = past[target].groupby(before).last()
            pairs["naive"] = pairs["series"].map(last).astype(float).fillna(latest)
    return pairs


def evaluate_pairs(model: Model, pairs: pd.DataFrame, observed: "pd.Series[Any]") -> dict[str, Any]:
    """What fits the kind, of pairs as `truth_pairs` makes them; it holds no row of the data.

    Tables of points have columns x, y, the ends of an interval, a number of rows and perhaps
    another y. Rows without a value are left out, as are predictions of numbers that are none.

    Args:
        model: says what fits.
        pairs: of truth and prediction.
        observed: the target of all rows, those trained on as well: its values are the classes.
    """
    kind, split, target = model.kind(observed), model.params.split, model.params.target
    personal = model.dataset.sheet.personal_data
    if kind != "classification":
        for side in ("truth", "predicted"):
            numbers = pd.to_numeric(pairs[side], errors="coerce").astype(float)
            pairs = pairs.assign(**{side: numbers})
        pairs = pairs.assign(residual=pairs["truth"] - pairs["predicted"])
    pairs = pairs.replace([-math.inf, math.inf], math.nan).dropna().reset_index(drop=True)
    pairs["unit"] = units(pairs, split, "by")
    result = {"kind": kind, "target": target, "rows": len(pairs), "units": pairs["unit"].nunique()}
    if len(pairs) >= FEW and kind == "classification":
        result |= _of_classes(pairs, observed.dropna(), personal)
    elif len(pairs) >= FEW:
        result |= _of_forecast(pairs) if "step" in pairs else _of_numbers(pairs, kind)
    if personal:
        result.pop("series", None)  # it may be a person
    text = json.dumps(result)
    rounded: dict[str, Any] = json.loads(text, parse_float=lambda x: float(f"{float(x):.5g}"))
    return rounded


def draw_views(evaluation: dict[str, Any]) -> dict[str, str]:
    """The pictures of an evaluation, by their names, as SVG."""
    target = visible(evaluation["target"], 24)
    pictures = {
        name: draw_points(x.format(target), y.format(target), evaluation[name], mark, two)
        for name, (x, y, mark, two) in POINTS.items()
        if name in evaluation
    }
    if "confusion" in evaluation:
        pictures["confusion"] = draw_matrix(f"Confusion of {target}", evaluation["confusion"])
    return pictures


def read_evaluation(run: str) -> dict[str, Any]:
    """What `experiment run` recorded of a run; empty for a trial of a sweep."""
    from mlflow import artifacts

    exists = FILE in {file.path for file in artifacts.list_artifacts(run_id=run)}
    return dict(artifacts.load_dict(f"runs:/{run}/{FILE}")) if exists else {}


def mean_interval(rows: pd.DataFrame, column: str) -> list[Any]:
    """The mean of a column, the ends of its 95 % interval, and the number of rows.

    The mean of truth values is a share, in percent. The ends are None with fewer than three units,
    which do not tell how sure it is; the mean of no rows is None too.
    """
    from scipy.stats import t

    values, codes = rows[column], rows["unit"]
    count, groups, mean = len(rows), codes.nunique(), float(values.mean())
    scale, middle = 100.0 if values.dtype == bool else 1.0, mean
    if groups < UNITS:
        return [scale * mean if count else None, None, None, count]
    variance = float(((values - mean).groupby(codes).sum() ** 2).sum())
    variance *= groups / (groups - 1) / count**2
    quantile = float(t.ppf(0.975, groups - 1))
    half = quantile * math.sqrt(variance)
    if values.dtype == bool:
        plain = mean * (1 - mean)
        size = count / max(1, variance * (count - 1) / plain) if plain else groups
        widening = 1 + quantile**2 / size
        middle = (mean + quantile**2 / size / 2) / widening
        half = quantile * math.sqrt(plain / size + (quantile / size / 2) ** 2) / widening
    ends = [scale * (middle - half), scale * (middle + half)]
    if values.dtype == bool:
        ends = [min(max(0.0, round(end, 9)), 100.0) for end in ends]
    return [scale * mean, *ends, count]


def _bins(pairs: pd.DataFrame, by: str, few: int = FEW) -> list[pd.DataFrame]:
    """The rows in about ten bins of a column, or fewer; equal values stay together."""
    number = max(1, min(MOST, len(pairs) // few))
    codes = pd.qcut(pairs[by], number, labels=False, duplicates="drop").fillna(0)
    return [rows for _, rows in pairs.groupby(codes) if len(rows) >= few]


def _of_numbers(pairs: pd.DataFrame, kind: str) -> dict[str, Any]:
    """Calibration, residuals over the prediction, their size; of counts, frequencies."""
    from scipy.stats import poisson

    residual, tenths, within = pairs["residual"], _bins(pairs, "predicted"), [0.1, 0.9]
    figures = {
        "calibration": [[r["predicted"].mean(), *mean_interval(r, "truth")] for r in tenths],
        "residuals": [
            [*r[["predicted", "residual"]].mean(), *r["residual"].quantile(within), len(r)]
            for r in tenths
        ],
        "bias": mean_interval(pairs, "residual"),
        "off": residual.abs().quantile([0.5, 0.9]).tolist(),
    }
    if kind == "counts":
        figures["frequencies"] = [
            [
                str(n),
                *mean_interval(pairs.assign(equal=pairs["truth"] == n), "equal"),
                100 * poisson.pmf(n, pairs["predicted"].clip(0)).mean(),
            ]
            for n in range(min(MOST, int(pairs["truth"].abs().max()) + 1))
        ]
    return figures


def _of_forecast(pairs: pd.DataFrame) -> dict[str, Any]:
    """The error over the horizon and of each series beside the naive one; residuals over time."""
    off, naive = pairs["residual"].abs(), (pairs["truth"] - pairs["naive"]).abs()
    pairs = pairs.assign(off=off, naive=naive)

    def error(name: Any, rows: pd.DataFrame) -> list[Any]:
        return [name, *mean_interval(rows, "off"), rows["naive"].mean()]

    figures = {
        "bias": mean_interval(pairs, "residual"),
        "error": error("all", pairs),
        "horizon": [error(rows["step"].mean(), rows) for rows in _bins(pairs, "step", MOMENTS)],
        "time": [
            [str(rows["by"].min())[:16].removesuffix(" 00:00"), *mean_interval(rows, "residual")]
            for rows in _bins(pairs, "by", MOMENTS)
        ],
    }
    parts = pairs.groupby("series") if "series" in pairs else ()
    all_errors = [error(name, rows) for name, rows in parts if len(rows) >= MOMENTS]
    if worst := sorted(all_errors, key=lambda row: -row[1])[:MOST]:
        figures |= {"series": worst, "all_series": [len(all_errors)]}
    return figures


def _of_classes(pairs: pd.DataFrame, observed: "pd.Series[Any]", personal: bool) -> dict[str, Any]:
    """Confusion, and shares by class; with a probability, reliability, and gains of two classes.

    A class of few rows is not named: of two classes, only where the data is personal.
    """
    sides = [side.infer_objects() for side in (observed, pairs["truth"], pairs["predicted"])]
    if not all(map(is_numeric_dtype, sides)):
        sides = [side.astype(str) for side in sides]
    sides = [side.astype(sides[0].dtype) for side in sides]  # 1.0 and True are equal to 1
    classes = [*map(str, sorted(set().union(*sides)))]
    truth, predicted, two = sides[1].map(str), sides[2].map(str), len(classes) == 2
    counts = (truth if personal else pd.concat([truth, predicted])).value_counts()
    counts = counts.reindex(classes, fill_value=0).sort_values(ascending=False, kind="stable")
    often = counts.index[counts >= (FEW if personal or not two else 0)][:MOST]
    names = [name for name in classes if name in often]
    shown = [*names, OTHERS] if len(names) < len(classes) else names
    rows, columns = (side.where(side.isin(names), OTHERS) for side in (truth, predicted))
    table = pd.crosstab(rows, columns).reindex(index=shown, columns=shown, fill_value=0)
    pairs = pairs.assign(hit=truth == predicted)
    pairs["event"] = truth == classes[-1] if two else pairs["hit"]
    positive = {"positive": classes[-1]} if two and classes[-1] in names else {}

    def shares(name: str) -> list[Any]:
        sides = (pairs[side == name] for side in (truth, predicted))
        return [name, *(figure for side in sides for figure in mean_interval(side, "hit"))]

    figures: dict[str, Any] = {
        "right": mean_interval(pairs, "hit"),
        "confusion": table.reset_index().to_numpy().tolist(),
        "classes": [shares(name) for name in names],
        **positive,
    }
    if "probability" in pairs and (positive or not two):
        bins = _bins(pairs, "probability")
        points = [[100 * r["probability"].mean(), *mean_interval(r, "event")] for r in bins]
        off = sum(n * abs(x - y) for x, y, _, _, n in points) / sum(n for *_, n in points)
        figures |= {"reliability": points, "calibration_error": off}
    if "probability" in pairs and positive and pairs["event"].any():
        figures["gains"] = [[0, 0, None, None, 0]]
        for least in (bin["probability"].min() for bin in reversed(bins)):
            pairs["top"] = pairs["probability"] >= least
            found = mean_interval(pairs[pairs["event"]], "top")
            figures["gains"].append([100 * pairs["top"].mean(), *found])
    return figures
