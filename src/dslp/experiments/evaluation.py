"""How good predictions are, by what fits their kind: figures with intervals, and their pictures.

An interval is that of a mean over rows that depend on one another within a unit: a group or, where
the split is by time, a block of moments (the linearised variance of Liang and Zeger, 1986,
Biometrika 73, with the t distribution over the units). That of a share is Wilson's (1927), for the
number of independent rows that would have the same variance (Franco, Little, Louis and Slud, 2019,
Journal of Survey Statistics and Methodology 7).
"""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.pictures import draw_histogram, draw_matrix, draw_points, draw_shares
from dslp.core.text import format_number, visible
from dslp.data.schema import read_schema
from dslp.experiments.model import Model
from dslp.tracking.connection import Tracking

if TYPE_CHECKING:
    import pandas as pd

FILE = "evaluation.json"  # among the artifacts of a run
OTHERS = "other classes"
FEW = 10  # rows that a bin has at least, and a class that is named: no row can be recognised
MOMENTS = 4  # rows that a bin of a forecast has at least
UNITS = 3  # that an interval needs at least
MOST = 10  # bins, classes or series
POINTS = {  # for each picture of points: its two axes, and what the line in it means
    "calibration": ("predicted {}", "observed {}, average", "equal"),
    "residuals": ("predicted {}", "observed less predicted {}", "0"),
    "horizon": ("steps after the training", "error of {}, average", ""),
    "time": ("first moment", "observed less predicted {}", "0"),
    "reliability": ("predicted probability, %", "observed, %", "equal"),
    "gains": ("% of all cases, the most probable first", "% of {} among them", "by chance"),
}


def truth_pairs(
    model: Model, past: "pd.DataFrame", rows: "pd.DataFrame", predicted: "pd.DataFrame"
) -> "pd.DataFrame":
    """The truth beside the prediction, and what else an evaluation needs of each row.

    That is `by`, the column of the split, and of a forecast the `step` (the number of its moment
    after the past), the `series` (the key without the time) and the `naive` forecast: the last
    value of the series in the past, or of a new one the average of the last moment.
    """
    target, split = model.params.target, model.params.split
    fields = [name for name in (target, *predicted) if name in predicted and name != "probability"]
    pairs = rows[[target]].set_axis(["truth"], axis=1)
    pairs["predicted"] = predicted[fields[0]] if fields else predicted["probability"] >= 1 / 2
    if "probability" in predicted:
        pairs["probability"] = predicted["probability"]
    if split.by:
        pairs["by"] = rows[split.by]
    if split.by and split.policy == "time" and model.kind(rows[target]) == "forecast":
        pairs["step"] = rows[split.by].rank(method="dense")
        past = past.sort_values(split.by)
        latest = past.loc[past[split.by] == past[split.by].iloc[-1], target].mean()
        pairs["naive"] = float(latest)
        if names := [name for name in read_schema(model.dataset).key if name != split.by]:
            before, pairs["series"] = (
                side[names].astype(str).agg(" / ".join, axis=1) for side in (past, rows)
            )
            last = past[target].groupby(before).last()
            pairs["naive"] = pairs["series"].map(last).astype(float).fillna(latest)
    return pairs


def evaluate_pairs(model: Model, pairs: "pd.DataFrame") -> dict[str, Any]:
    """What fits the kind, of pairs as `truth_pairs` makes them; it holds no row of the data.

    Tables of points have columns x, y, the ends of an interval, a number of rows and perhaps
    another y. Rows without a value are left out, as are predictions of numbers that are none.
    """
    import pandas as pd

    kind, params = model.kind(pairs["truth"]), model.params
    figures = _of_classes
    if kind != "classification":
        figures = _of_forecast if "step" in pairs else _of_numbers
        sides = {
            name: pd.to_numeric(pairs[name], errors="coerce").astype(float)
            for name in ("truth", "predicted")
        }
        pairs = pairs.assign(**sides, residual=sides["truth"] - sides["predicted"])
    pairs = pairs.replace([-math.inf, math.inf], math.nan).dropna().reset_index(drop=True)
    units = pairs.groupby("by").ngroup() if params.split.by else pairs.index.to_series()
    if params.split.policy == "time":
        units //= math.ceil(units.nunique() ** (1 / 3))  # moments in a block, as in `draw_samples`
    unit = read_schema(model.dataset).columns[params.target].unit
    result = {
        "kind": kind,
        "target": f"{params.target} ({unit})" if unit else params.target,
        "rows": len(pairs),
        "units": units.nunique(),
        **(figures(pairs.assign(unit=units), kind) if len(pairs) >= FEW else {}),
    }
    if "positive" in result:
        result["positive"] = f"{params.target} = {result['positive']}"
    if model.dataset.sheet.personal_data:
        result.pop("series", None)  # it may be a person
    text = json.dumps(result)
    rounded: dict[str, Any] = json.loads(text, parse_float=lambda x: float(f"{float(x):.5g}"))
    return rounded


def draw_views(evaluation: dict[str, Any], title: str = "") -> dict[str, str]:
    """The pictures of an evaluation, by their names, as SVG."""
    pictures, target = {}, visible(evaluation["target"], 24)
    for name, (x, y, mark) in POINTS.items():
        if rows := evaluation.get(name):
            last = "last value repeated" if len(rows[0]) > 5 else ""
            axes = x.format(target), y.format(evaluation.get("positive", target))
            pictures[name] = draw_points(*axes, rows, mark, last, title)
    if "confusion" in evaluation:
        pictures["confusion"] = draw_matrix(
            f"Confusion of {target}", evaluation["confusion"], title
        )
    if "errors" in evaluation:
        end = format_number(evaluation["reach"])
        names = f"-{end}", "0", end
        pictures["errors"] = draw_histogram(
            f"Residuals of {target}", evaluation["errors"], names, title
        )
    if "frequencies" in evaluation:
        rows = {name: shares for name, *shares in evaluation["frequencies"]}
        pictures["frequencies"] = draw_shares(
            f"Frequencies of {target}", rows, ("observed", "expected"), title
        )
    return pictures


def read_evaluation(tracking: Tracking, run: str) -> dict[str, Any] | None:
    """What `experiment run` recorded of a run; None of a trial of a sweep."""
    if FILE not in {file.path for file in tracking.client.list_artifacts(run)}:
        return None
    path = Path(tracking.client.download_artifacts(run, FILE))
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def mean_interval(values: "pd.Series[Any]", units: "pd.Series[Any]") -> list[Any]:
    """The mean, the ends of its 95 % interval, and the number of rows.

    The mean of truth values is a share, in percent. The ends are None with fewer than three units:
    how sure it is cannot be known then.
    """
    from scipy.stats import t

    count, groups, mean = len(values), units[values.index].nunique(), float(values.mean())
    percent = 100.0 if values.dtype == bool else 1.0
    if groups < UNITS:
        return [percent * mean if count else None, None, None, count]
    variance = float(((values - mean).groupby(units).sum() ** 2).sum())
    variance *= groups / (groups - 1) / count**2
    quantile = float(t.ppf(0.975, groups - 1))
    middle, half, scale = mean, quantile * math.sqrt(variance), percent
    if values.dtype == bool:
        plain = mean * (1 - mean)
        size = count / max(1, variance * (count - 1) / plain) if plain else groups
        middle += quantile**2 / size / 2
        half = quantile * math.sqrt(plain / size + (quantile / size / 2) ** 2)
        scale /= 1 + quantile**2 / size
    return [percent * mean, scale * (middle - half), scale * (middle + half), count]


def _bins(pairs: "pd.DataFrame", by: str, few: int = FEW) -> "list[pd.DataFrame]":
    """The rows in about ten bins of a column, or fewer; equal values stay together."""
    import pandas as pd

    number = max(1, min(MOST, len(pairs) // few))
    codes = pd.qcut(pairs[by], number, labels=False, duplicates="drop").fillna(0)
    return [rows for _, rows in pairs.groupby(codes) if len(rows) >= few]


def _of_numbers(pairs: "pd.DataFrame", kind: str) -> dict[str, Any]:
    """Calibration, residuals over the prediction, their distribution; of counts, frequencies."""
    import numpy as np
    from scipy.stats import poisson

    truth, residual, tenths = pairs["truth"], pairs["residual"], _bins(pairs, "predicted")
    reach = float(f"{residual.abs().quantile(0.98):.1e}") or 1.0
    middles, within = [rows["predicted"].mean() for rows in tenths], [0.1, 0.9]
    means = [mean_interval(rows["truth"], rows["unit"]) for rows in tenths]
    spread = [
        [rows["residual"].mean(), *rows["residual"].quantile(within), len(rows)] for rows in tenths
    ]
    figures = {
        "calibration": [[x, *row] for x, row in zip(middles, means, strict=True)],
        "residuals": [[x, *row] for x, row in zip(middles, spread, strict=True)],
        "bias": mean_interval(residual, pairs["unit"]),
        "off": residual.abs().quantile([0.5, 0.9]).tolist(),
        "reach": reach,
        "errors": np.histogram(residual.clip(-reach, reach), 21, (-reach, reach))[0].tolist(),
    }
    if kind == "counts":
        values = np.arange(max(0, min(truth.max(), MOST - 1)) + 1)
        expected = poisson.pmf(values[:, None], pairs["predicted"].clip(0).to_numpy()).mean(axis=1)
        observed = (truth.to_numpy() == values[:, None]).mean(axis=1)
        names = [*(f"{value:.0f}" for value in values), f"over {values[-1]:.0f}"]
        shares = [[*side, max(0.0, 1 - side.sum())] for side in (observed, expected)]
        figures["frequencies"] = [list(row) for row in zip(names, *shares, strict=True)]
    return figures


def _of_forecast(pairs: "pd.DataFrame", kind: str) -> dict[str, Any]:
    """The error over the horizon and of each series beside the naive one; residuals over time."""
    off, naive = pairs["residual"].abs(), (pairs["truth"] - pairs["naive"]).abs()
    pairs = pairs.assign(off=off, naive=naive)

    def error(rows: "pd.DataFrame") -> list[Any]:
        return [*mean_interval(rows["off"], rows["unit"]), rows["naive"].mean()]

    figures: dict[str, Any] = {
        "error": error(pairs),
        "bias": mean_interval(pairs["residual"], pairs["unit"]),
        "horizon": [[rows["step"].mean(), *error(rows)] for rows in _bins(pairs, "step", MOMENTS)],
        "time": [
            [_moment(rows["by"].min()), *mean_interval(rows["residual"], rows["unit"])]
            for rows in _bins(pairs, "by", MOMENTS)
        ],
    }
    if "series" in pairs:
        parts = [part for part in pairs.groupby("series") if len(part[1]) >= MOMENTS]
        worst = sorted(([name, *error(rows)] for name, rows in parts), key=lambda row: -row[1])
        figures |= {"series": worst[:MOST], "all_series": len(worst)}
    return figures


def _of_classes(pairs: "pd.DataFrame", kind: str) -> dict[str, Any]:
    """Confusion, and shares by class; with a probability, reliability, and gains of two classes."""
    import pandas as pd
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    truth, predicted, unit = pairs["truth"].infer_objects(), pairs["predicted"], pairs["unit"]
    label: Any = str
    if is_bool_dtype(truth):
        predicted = predicted.astype(bool)
    elif is_numeric_dtype(truth):
        label, predicted = format_number, pd.to_numeric(predicted)
    else:
        truth, predicted = truth.astype(str), predicted.astype(str)
    classes = [label(value) for value in sorted({*truth, *predicted})]
    truth, predicted, two = truth.map(label), predicted.map(label), len(classes) == 2
    counts, hit = pd.concat([truth, predicted]).value_counts(), truth == predicted
    often = counts.index[counts >= (1 if two else FEW)][:MOST]
    names = [name for name in classes if name in often]
    shown = [*names, OTHERS] if len(names) < len(classes) else names
    rows, columns = (side.where(side.isin(names), OTHERS) for side in (truth, predicted))
    table = pd.crosstab(rows, columns).reindex(index=shown, columns=shown, fill_value=0)
    figures: dict[str, Any] = {
        "right": mean_interval(hit, unit),
        "confusion": [
            [name, *row] for name, row in zip(shown, table.to_numpy().tolist(), strict=True)
        ],
        "classes": [
            [
                name,
                *(x for side in (truth, predicted) for x in mean_interval(hit[side == name], unit)),
            ]
            for name in names
        ],
    }
    if two:
        figures["positive"] = classes[-1]
    if "probability" in pairs:
        pairs["event"] = event = truth == classes[-1] if two else hit
        bins = _bins(pairs, "probability")
        points = [[100 * b["probability"].mean(), *mean_interval(b["event"], unit)] for b in bins]
        off = sum(n * abs(x - y) for x, y, _, _, n in points) / sum(n for *_, n in points)
        figures |= {"reliability": points, "calibration_error": off}
        if two:
            tops = [pairs["probability"] >= rows["probability"].min() for rows in bins[:0:-1]]
            gains = [[100 * top.mean(), *mean_interval(top[event], unit)] for top in tops]
            ends = [[share, share, None, None, int(event.sum())] for share in (0, 100)]
            figures |= {"gains": [ends[0], *gains, ends[1]]}
    return figures


def _moment(value: object) -> str:
    """A moment of the data for people, such as `2024-03-01`."""
    return str(value)[:16].removesuffix(" 00:00")
