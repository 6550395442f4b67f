"""Leaks: an input that gives the answer away, and rows that both parts of a division share.

What is certain is refused, what is likely is a warning. An input that is measured too late without
following the target, such as a mean over a window that reaches into the future, is not seen in the
data: only people know when a value is known.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from dslp.experiments.model import is_time, plain_times
from dslp.experiments.params import Split
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype, is_string_dtype

CHANCE = math.log(1e-6)  # what is likelier than this by chance is no sign of a leak
NEAR = 0.95  # concordance of two columns that are almost one, 0.997 as a correlation
PURE = 0.98  # mean share of each class that one input finds
RARE = 10  # rows of a class that is too small to say how many of it are found
EXACT = 1 - 1e-9  # of columns in the same order, with an error of rounding
FEW = 20  # values of a target, of which one input may well order almost all
ROUNDED = 1e-3  # deviations of the target by which the sum of rounded parts may miss it
SAMPLE = 5_000  # rows on which inputs are compared with the target
REPEATS = (2, 50)  # rows of one person, machine or shop, whose column's name does not say so
PERSON = "customer|client|user|person|patient|member|employee|student|account|device|machine"
IDENTIFIER = re.compile(  # a name such as person_id, customer or DeviceNumber
    rf"(?i:(^|[\W_])(id|uuid|guid|e-?mail|({PERSON})[\W_]?(no|nr|number|name|code|key)?)$)|[a-z]I[Dd]$"
)
Relation = Literal["", "follows", "tells", "is almost", "is almost the next", "rises by"]


@dataclass(frozen=True)
class LeakCheck:
    """The rows of a model, divided in two.

    Attributes:
        rows: the dataset.
        part: marks the holdout.
        split: the policy that divided them.
        key: columns that identify a row.
        inputs: columns that are predicted from.
        target: the column that is predicted.
        known_before: inputs that are known before the target is, with the reason.
    """

    rows: pd.DataFrame
    part: NDArray[np.bool_]
    split: Split
    key: Sequence[str]
    inputs: Sequence[str]
    target: str
    known_before: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def leaks(self) -> list[str]:
        """The leaks that are certain, one sentence each.

        A leak is a record or group in both parts, training data later than the holdout, or an input
        that is the target, the key or the group, or that follows the target exactly. A part of the
        key may be an input if its values repeat, and so may the time that the split goes by.
        """
        problems, split, rows, part = [], self.split, self.rows, self.part
        for name in self.inputs:
            if name == self.target:
                problems.append(f"input {name} is the target")
            elif self._identifies(name):
                problems.append(f"input {name} tells which record or group it is")
        todo = "if it is known before, write the reason in params.yml: known_before"
        for name, relation in self._relations.items():
            if relation == "follows" and not self._identifies(name):
                problems.append(f"input {name} follows the target exactly; {todo}")
        for names in ([*self.key], [split.by] if split.policy == "group" and split.by else []):
            if names and (shared := self._count_shared(names)):
                problems.append(f"{shared:,} of {', '.join(names)} are in training and in holdout")
        if split.policy == "time" and rows[split.by][~part].max() > rows[split.by][part].min():
            problems.append(f"training data is later than holdout data by {split.by}")
        return problems

    @cached_property
    def suspicions(self) -> list[str]:
        """What is likely to be a leak, one sentence each."""
        target, todo = self.target, f"unless known before {self.target} is, leave it out"
        relations = [(name, kind) for name, kind in self._relations.items() if kind]
        lines = [f"input {name} alone {kind} {target}; {todo}" for name, kind in relations]
        if parts := self._parts():
            lines.append(f"{target} is a sum or product of {', '.join(parts)}; {todo}")
        return [
            *lines,
            *(self._shared_rows() if self.split.policy != "time" else ()),
            *self._times(),
        ]

    def _identifies(self, name: str) -> bool:
        """Whether an input tells which record or group it is."""
        split = self.split
        if name not in self.key or name == split.by:
            return name == split.by and split.policy == "group"
        return self.rows[name].nunique() > len(self.rows) / 2 or not self._count_shared([name])

    def _count_shared(self, names: list[str]) -> int:
        """How many different values of these columns are in both parts."""
        sides = [self.rows.loc[s, names].drop_duplicates() for s in (self.part, ~self.part)]
        return len(sides[0].merge(sides[1], on=names))

    @cached_property
    def _sample(self) -> pd.DataFrame:
        """Some rows; in a split by time, some series in their order, the last one from its end."""
        rows = self.rows
        if self.split.policy != "time":
            return rows.sample(min(len(rows), SAMPLE), random_state=0)
        place = np.random.default_rng(0).permutation(len(rows))[self._series]
        return rows.iloc[np.lexsort((_codes(rows[self.split.by]), place))[-SAMPLE:]]

    @cached_property
    def _series(self) -> "pd.Series[int]":
        """The number of each row's series, by the key but for the time; else all are one."""
        names = [name for name in self.key if name != self.split.by]
        codes = self.rows.groupby(names or self.part * 0, dropna=False).ngroup()
        return codes if codes.nunique() <= len(codes) / 2 else codes * 0

    @cached_property
    def _relations(self) -> dict[str, Relation]:
        """How each input tells the target, and also whether it is missing."""
        relations: dict[str, Relation] = {}
        for name in self.inputs:
            if name == self.target or name in self.known_before:
                continue
            relations[name] = self._relation(self._sample[name])
            missing = self._sample[name].isna()
            if missing.any():
                told = self._relation(missing) or self._told_missing(missing)
                relations[f"{name} (missing or not)"] = told
        return relations

    def _pairs(self, column: "pd.Series[Any]") -> pd.DataFrame:
        """A column (x) and the target (y), where both have values."""
        rows = pd.DataFrame({"x": column, "y": self._sample[self.target]}).dropna()
        if self.split.policy != "group":
            return rows
        # what is the same in all rows of a group counts once
        return rows[~rows.assign(by=self._sample[self.split.by]).duplicated()]

    def _told_missing(self, missing: "pd.Series[Any]") -> Relation:
        """Whether the target tells what is missing, or all rows with a value have the same target.

        Not in a split by time, where neighbouring rows are no separate evidence.
        """
        rows = self._pairs(missing)
        absent, targets = rows["x"].to_numpy(), _codes(rows["y"])
        if self.split.policy == "time":
            return ""
        shares = np.bincount(targets) / len(targets)
        for part in (targets[absent], targets[~absent]):
            if len({*part}) == 1 and len(part) * math.log(shares[part[0]]) < CHANCE:
                return "tells"
        return "tells" if _recall(targets, _codes(rows["x"])) > PURE else ""

    def _relation(self, column: "pd.Series[Any]") -> Relation:
        """How a column tells the target, where chance does not.

        It *follows* the target if their values correspond one to one, or in their order. It *tells*
        the target if none of its values has two of the target's, or if a tree finds nearly all
        rows of each of few values. It *is almost* the target if nearly all pairs of rows are in the
        order of their targets. In a split by time, what only rises, or only falls, is known as the
        time is; and it must tell the changes of the target, and more than the target's own past.
        """
        by, in_time, rows = self.split.by, self.split.policy == "time", self._pairs(column)
        columns = [rows["x"], rows["y"]]
        (x, y), (own, targets) = map(_numbers, columns), map(_codes, columns)
        count, kinds, values = len(rows), len(np.unique(targets)), len(np.unique(own))
        rarity = math.lgamma(count + 1) - sum(map(math.lgamma, np.bincount(targets) + 1.0))
        if rarity < -CHANCE:  # so few rows, or so few that differ, follow anything
            return ""
        if np.array_equal(x, y):
            return "follows"
        if in_time:
            times = self._sample[by].loc[rows.index].sort_values(kind="stable")
            ordered = rows["x"].loc[times.index]
            if ordered.is_monotonic_increasing or ordered.is_monotonic_decreasing:
                return self._relation_in_time(rows)
        is_function = _count_pairs(own, targets) == values
        is_rare = math.lgamma(kinds + 1) - rarity < CHANCE and kinds <= count / 2
        if is_function and values == kinds and is_rare:
            return "follows"
        if _concordance(x, y) > EXACT < _concordance(y, x):
            return "follows"
        changes = np.count_nonzero(np.diff(targets[np.argsort(x, kind="stable")]))
        is_separate = is_rare and changes == kinds - 1 and not np.isnan(x).any()
        if is_function and (is_separate or _is_rare_function(own, targets)):
            return "tells"
        if kinds <= FEW:
            past = _recall(np.roll(targets, 1), targets) if in_time else 0
            found = _recall(own, targets)
            if found > PURE and 1 - found < (1 - past) / 4:
                return "tells"
        if in_time:
            return self._relation_in_time(rows)
        return "is almost" if kinds > FEW and _concordance(x, y) > NEAR else ""

    def _relation_in_time(self, rows: pd.DataFrame) -> Relation:
        """How the changes of x and of y, within each series, are related."""
        series = self._series.loc[rows.index]
        numbers = pd.DataFrame({n: _numbers(rows[n]) for n in rows}, rows.index)
        steps = numbers.groupby(series).diff()
        (x, y), moved = (steps["x"], steps["y"]), steps.groupby(series)

        def follow(own: "pd.Series[Any]", other: "pd.Series[Any]") -> bool:
            pair = pd.concat([own, other], axis=1).dropna().to_numpy()
            return _concordance(pair[:, 0], pair[:, 1]) > NEAR

        if follow(moved["y"].shift(), y):  # so regular that its past tells it
            return ""
        if follow(x, y):
            return "is almost"
        if follow(x, moved["y"].shift(-1)):
            return "is almost the next"
        return "rises by" if follow(moved["x"].diff(), y) else ""

    def _parts(self) -> list[str]:
        """Inputs whose weighted sum, or product of powers, is the target; mostly none."""
        rows = self._sample.dropna(subset=[self.target])
        names = [n for n in self.inputs if n != self.target and not self._relations.get(n)]
        columns = {name: _numbers(rows[name]) for name in (*names, self.target)}
        sums = {n: x for n, x in columns.items() if np.isfinite(x).all()}
        products = {n: np.log(x) for n, x in sums.items() if (x > 0).all()}
        for values in (sums, products):
            scaled = {n: (x - x.mean()) / x.std() for n, x in values.items() if np.ptp(x) > 0}
            target = scaled.pop(self.target, None)
            if target is None or not 30 + 2 * len(scaled) <= len(target) or len(scaled) < 2:
                continue
            matrix = np.column_stack([*scaled.values()])
            some = slice(10 * len(scaled) + 100)
            weights = np.linalg.lstsq(matrix[some], target[some], rcond=None)[0]
            if np.std(target - matrix @ weights) < ROUNDED:
                pairs = zip(scaled, weights, strict=True)
                parts = [name for name, weight in pairs if abs(weight) > 10 * ROUNDED]
                return parts if {*parts} - {*self.known_before} else []
        return []

    def _shared_rows(self) -> Iterator[str]:
        """Rows, or the rows of one person, that are in both parts."""
        columns = self.rows[[*dict.fromkeys((*self.inputs, self.target))]]

        def count_twins(rows: pd.DataFrame) -> int:
            hashed = pd.util.hash_pandas_object(rows, index=False).to_numpy()
            return int(np.isin(hashed[self.part], hashed[~self.part]).sum())

        finest = str(columns.nunique().idxmax())
        shuffled = columns[finest].sample(frac=1, random_state=0).array
        twins = count_twins(columns)
        if twins > 2 + 10 * count_twins(columns.assign(**{finest: shuffled})):
            yield f"{twins:,} rows of the holdout equal one in training, {self.target} included"
        groups = self._groups() if self.split.policy == "random" else ()
        if name := next((name for name in groups if self._count_shared([name])), ""):
            yield (
                f"rows of one {name} are in training and in holdout; where new ones are to be "
                f"predicted, write in params.yml: policy: group, by: {name}"
            )

    def _groups(self) -> Iterator[str]:
        """Columns that look like persons, machines or shops, by their name or by what they tell.

        All rows of one have the same value of another column, and not in the order of both.
        """
        tests = (is_bool_dtype, is_integer_dtype, is_string_dtype)
        names = [str(n) for n in self.rows if n != self.target and [n] != [*self.key]]
        plain = [name for name in names if any(test(self.rows[name]) for test in tests)]
        yield from (n for n in plain if is_identifier(n) and not is_bool_dtype(self.rows[n]))
        codes = {name: _codes(self.rows[name]) for name in plain}
        for name, own in codes.items():
            order, repeats = np.argsort(own, kind="stable"), len(own) / len(np.unique(own))
            others = [] if name in self.inputs else [c for c in codes.values() if c is not own]
            is_group = any(
                _is_rare_function(own, other)
                and np.count_nonzero(np.diff(other[order])) >= len(np.unique(other))
                for other in others
            )
            if is_group and REPEATS[0] <= repeats <= REPEATS[1]:
                yield name

    def _times(self) -> Iterator[str]:
        """Times that the division does not respect."""
        rows, by = self.rows, str(self.split.by)
        times = [str(name) for name in rows if is_time(rows[name])]
        if self.split.policy == "random" and times:
            yield (
                f"training has rows that are later than the holdout's by {times[0]}; where the "
                f"future is to be predicted, write in params.yml: policy: time, by: {times[0]}"
            )
        for name in times if self.split.policy == "time" and by in times else ():
            late = int((plain_times(rows[name]) > plain_times(rows[by])).sum())
            if late and name in {*self.inputs} - {*self.known_before}:
                yield f"input {name} is later than {by} in {late:,} rows; is it known by then?"


def is_identifier(name: str) -> bool:
    """Whether the name of a column says that it tells persons, machines or records apart."""
    return bool(IDENTIFIER.search(name))


def _numbers(column: "pd.Series[Any]") -> NDArray[np.float64]:
    """A column of numbers, of truth values, or of text that has numbers only; else no numbers."""
    if is_string_dtype(column):
        numbers = pd.to_numeric(column, errors="coerce")
        column = numbers if numbers.notna().sum() == column.notna().sum() else column
    if not is_numeric_dtype(column):
        return np.full(len(column), math.nan)
    return column.to_numpy("float64", na_value=math.nan)


def _codes(column: "pd.Series[Any]") -> NDArray[np.int64]:
    """The values of a column, numbered in their order."""
    return pd.factorize(column, sort=True, use_na_sentinel=False)[0].astype("int64")


def _count_pairs(own: NDArray[np.int64], others: NDArray[np.int64]) -> int:
    """How many different pairs of values two columns have."""
    return len(np.unique(own * (int(others.max()) + 1) + others))


def _is_rare_function(own: NDArray[np.int64], others: NDArray[np.int64]) -> bool:
    """Whether rows of one value have one value in another column, where that is no chance."""
    values, agreement = len(np.unique(own)), float(((np.bincount(others) / len(own)) ** 2).sum())
    is_rare = (len(own) - values) * math.log(agreement) < CHANCE
    return is_rare and values <= len(own) / 2 and _count_pairs(own, others) == values


def _concordance(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Of pairs of rows that differ in y: how much more often x has their order than the reverse.

    Somers' D without its sign, from Kendall's tau-b.
    """
    from scipy.stats import kendalltau

    if len(x) < RARE:
        return math.nan
    counts = [np.unique(values, return_counts=True)[1].astype(float) for values in (x, y)]
    ties = [float((count * (count - 1)).sum()) for count in counts]
    untied = [len(x) * (len(x) - 1) - tie for tie in ties]
    return abs(float(kendalltau(x, y).statistic)) * math.sqrt(untied[0] / (untied[1] or math.nan))


def _recall(own: NDArray[np.int64], targets: NDArray[np.int64]) -> float:
    """The share of each class that a tree of one input finds in other rows; the classes' mean."""
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    common = np.bincount(targets)[targets] >= RARE
    if len(np.unique(targets[common])) < 2:
        return 0
    tree = DecisionTreeClassifier(class_weight="balanced", min_samples_leaf=RARE // 2)
    x, y = own[common].reshape(-1, 1), targets[common]
    return float(balanced_accuracy_score(y, cross_val_predict(tree, x, y, cv=3)))
