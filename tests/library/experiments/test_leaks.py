"""Planted leaks are detected: certain ones refused, likely ones warned of; honest data has none."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dslp.experiments.leaks import LeakCheck
from dslp.experiments.params import Split
from dslp.experiments.splitting import holdout
from sklearn import datasets

from tests.library.experiments.conftest import runs as experiment_runs
from tests.library.toy import Toy

N = 2000
DRAW = np.random.default_rng(0)
X, NOISE, WEEK = DRAW.normal(size=N), DRAW.normal(size=N), pd.date_range("2020", periods=N)
Y, PERSON = 3 * X + NOISE, np.arange(N) // 4
ROWS = pd.DataFrame({"id": np.arange(N), "x": X, "z": DRAW.normal(size=N), "y": Y})
LABEL = pd.Series(np.digitize(Y, [-2, 2]))
COUNT, RANDOM = pd.Series(DRAW.poisson(3, N)), DRAW.permutation(N)
POLICIES = {"random": None, "group": "person", "time": "week"}


def check(rows: pd.DataFrame, inputs: Any, policy: str = "random", key: str = "id") -> LeakCheck:
    """The check of rows whose target is `y`, divided by a policy."""
    fields = {"policy": policy, "by": POLICIES[policy], "holdout": 0.2, "folds": 4, "seed": 3}
    split, keys = Split.model_validate(fields), key.split()
    return LeakCheck(rows, holdout(rows, split, keys), split, keys, list(inputs), "y")


FOLLOWING: dict[str, tuple[Any, Any]] = {
    "shifted": (5 - 2.5 * Y, Y),
    "curved": (np.exp(Y / 5), Y),
    "text": ([f"{y:.15f}" for y in Y], Y),
    "class": (LABEL.map({0: "low", 1: "mid", 2: "high"}), LABEL),
    "code": (COUNT.map(lambda count: f"v{count * 7 % 101}"), COUNT),
    "count": (COUNT + 0.5, COUNT),
    "truth": (Y > 0, (Y > 0).astype("int64")),
    "refund": (np.where(Y > 2, NOISE, np.nan), Y > 2),
    "reason": (pd.Series(np.where(X > 1, "moved", "price")).where(Y > 2), Y > 2),
    "ended": (pd.Series(WEEK).where(Y > 2), (Y > 2) * 1),
}
GAPS = ("refund", "reason", "ended")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", FOLLOWING)
def test_the_target_under_another_name_is_a_leak(name: str, policy: str) -> None:
    leak, target = FOLLOWING[name]
    rows = ROWS.assign(leak=leak, y=target, person=PERSON, week=WEEK)
    (message,) = check(rows, ["x", "leak"], policy).leaks
    assert message.startswith(
        f"input leak{' (missing or not)' * (name in GAPS)} follows the target"
    )
    excused = replace(check(rows, ["x", "leak"], policy), known_before={"leak": "measured early"})
    assert (excused.leaks, [s for s in excused.suspicions if "input" in s]) == ([], [])


MISSING = "input a (missing or not) alone tells y; unless known before"
TRUTH, WRONG, TELLS = Y > 2, np.arange(N) % 100 == 7, "input a alone tells y; unless known"
LIKELY: list[tuple[dict[str, Any], str, str]] = [
    ({"a": Y + 0.03 * NOISE}, "a", "input a alone is almost y; unless known before y is, leave"),
    ({"a": Y, "y": LABEL}, "a", TELLS),
    ({"a": COUNT + NOISE / 999, "y": COUNT}, "a", TELLS),
    ({"a": PERSON % 90, "y": PERSON % 90 // 9}, "a", TELLS),
    ({"a": TRUTH ^ WRONG, "y": TRUTH}, "a", TELLS),
    ({"a": np.where(TRUTH ^ WRONG, "yes", "no"), "y": TRUTH}, "a", TELLS),
    ({"a": TRUTH + NOISE / 5, "y": TRUTH * 1}, "a", TELLS),
    ({"a": LABEL.where(~WRONG, 1).map({0: 7, 1: 9, 2: 8}), "y": LABEL}, "a", TELLS),
    ({"a": np.where(TRUTH & (X > 1), NOISE, np.nan), "y": TRUTH}, "a", MISSING),
    ({"a": np.where(Y > 0, NOISE, np.nan)}, "a", MISSING),
    ({"a": Y * (1 + NOISE / 20)}, "a", "input a alone is almost y; unless known"),
    ({"y": (100 * (X - NOISE)).round(1), "a": NOISE}, "xa", "y is a sum or product of x, a;"),
    ({"a": np.exp(X), "b": COUNT + 1, "y": np.exp(X) * (COUNT + 1)}, "ab", "y is a sum or product"),
    *(
        ({name: values}, "x", f"rows of one {name} are in training and in holdout;")
        for name, values in {
            "person_id": PERSON,
            "patient_id": RANDOM * 2 // 3,
            "MachineID": RANDOM % 20,
            "customer": [f"c{number}" for number in PERSON],
            "E-Mail": [f"{number}@example.org" for number in PERSON],
        }.items()
    ),
    ({"b": RANDOM[PERSON], "a": RANDOM[PERSON] % 7 > 2}, "a", "rows of one b are in training and"),
    ({"week": WEEK}, "x", "training has rows that are later than the holdout's by week;"),
]


@pytest.mark.parametrize(("columns", "inputs", "warning"), LIKELY)
def test_what_is_likely_a_leak_is_a_warning(
    columns: dict[str, Any], inputs: str, warning: str
) -> None:
    checked = check(ROWS.assign(**columns), inputs)
    assert checked.leaks == []
    assert [line[: len(warning)] for line in checked.suspicions] == [warning]


def test_rows_of_training_in_the_holdout_and_late_inputs_are_warnings() -> None:
    twice = pd.concat([ROWS, ROWS[:100]], ignore_index=True).assign(id=range(N + 100))
    held = check(twice, "xz").part
    twins = sum(held[i] != held[N + i] for i in range(100))
    expected = [f"{twins} rows of the holdout equal one in training, y included"]
    assert check(twice, "xz").suspicions == expected
    paid = WEEK + pd.to_timedelta(np.where(np.arange(N) % 10, -1, 1), "D")
    rows = ROWS.assign(week=WEEK, paid=paid, next=ROWS["y"].shift(-1), last=ROWS["y"].shift())
    rows["total"], rows["before"] = rows["y"].cumsum(), rows["last"].cumsum()
    inputs = ["x", "paid", "next", "last", "total", "before"]
    assert check(rows, inputs, "time").suspicions == [
        "input next alone is almost the next y; unless known before y is, leave it out",
        "input total alone rises by y; unless known before y is, leave it out",
        "input paid is later than week in 200 rows; is it known by then?",
    ]


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "diabetes"])
def test_honest_data_has_no_leak(name: str) -> None:
    rows = getattr(datasets, f"load_{name}")(as_frame=True).frame.rename(columns={"target": "y"})
    checked = check(rows.assign(id=range(len(rows))), rows.columns.drop("y"))
    assert (checked.leaks, checked.suspicions) == ([], [])


@pytest.mark.parametrize("rows", [60, N])
@pytest.mark.parametrize("policy", ["random", "group"])
def test_noise_and_a_nearly_perfect_input_are_no_leak(rows: int, policy: str) -> None:
    noise = {f"n{n}": DRAW.normal(size=N) for n in range(20)}
    flags = {f"f{n}": DRAW.random(N) < 0.01 for n in range(20)}
    many = pd.DataFrame(
        {**noise, **flags, "x": X, "id": range(N), "person": DRAW.integers(99, size=N)}
    ).drop(columns=["person"] if policy == "random" else [])
    rare = DRAW.random(N) < 0.002
    for target in (3 * X + 0.3 * NOISE, COUNT, LABEL, rare, COUNT.where(COUNT.index < 5)):
        checked = check(many.assign(y=target).head(rows), [*noise, *flags, "x"], policy)
        assert (checked.leaks, checked.suspicions) == ([], [])


SHOPS = pd.MultiIndex.from_product([range(20), WEEK[:100]], names=["shop", "week"])
SALES = SHOPS.to_frame(index=False).assign(id=range(N))
SALES["y"] = 10 ** (SALES["shop"] / 5) * (10 + NOISE)
SALES["last"] = SALES.groupby("shop")["y"].shift()
SALES["typical"] = 10 ** (SALES["shop"] / 5)
TREND = pd.DataFrame({"week": WEEK, "year": WEEK.year, "y": np.cumsum(np.exp(X))})
TREND["last"] = TREND["y"].shift()
STATE = pd.DataFrame({"week": WEEK, "y": np.cumsum(NOISE) > 0})
STATE["last"] = STATE["y"].shift(fill_value=False)


@pytest.mark.parametrize(
    ("rows", "key", "inputs"),
    [
        (SALES, "shop week", ["shop", "week", "last", "typical"]),
        (SALES.assign(week=SALES["week"].dt.date), "shop week", ["shop", "week", "last"]),
        (SALES.assign(week=SALES["week"].dt.day_of_year), "shop week", ["shop", "week", "last"]),
        (TREND, "week", ["week", "year", "last"]),
        (STATE, "week", ["week", "last"]),
    ],
)
def test_the_time_may_be_key_and_input_where_the_split_is_by_time(
    rows: pd.DataFrame, key: str, inputs: list[str]
) -> None:
    checked = check(rows, inputs, "time", key)
    assert (checked.leaks, checked.suspicions) == ([], [])
    for policy in ("random", "group"):
        checked = check(rows.assign(person=PERSON), key.split(), policy, key)
        unique = [name for name in key.split() if rows[name].is_unique]
        assert checked.leaks == [f"input {n} tells which record or group it is" for n in unique]


def test_a_leak_is_detected_in_series_that_are_not_the_first() -> None:
    rows = pd.MultiIndex.from_product([range(200), WEEK[:60]], names=["shop", "week"])
    frame = rows.to_frame(index=False)
    frame["y"] = np.resize(NOISE, len(frame)) * (frame["shop"] >= 100)
    (message,) = check(frame.assign(twice=2 * frame["y"]), ["twice"], "time", "shop week").leaks
    assert message.startswith("input twice follows the target exactly; if it is known before")


def test_an_identifier_and_a_record_on_both_sides_are_leaks() -> None:
    rows = ROWS.assign(person=PERSON)
    part = check(rows, "x", "group").part
    others = rows.loc[np.flatnonzero(~part)[:2], "id"]
    rows.loc[np.flatnonzero(part)[:2], "id"] = others.to_numpy()
    rows["year"] = np.arange(N) % 4
    assert check(rows, ["x", "year"], "group", "person year").leaks == []
    assert check(rows, ["x", "y", "id", "person"], "group").leaks == [
        "input y is the target",
        *(f"input {name} tells which record or group it is" for name in ("id", "person")),
        "2 of id are in training and in holdout",
    ]
    assert check(ROWS.assign(week=WEEK), ["id"], "time").leaks == [
        "input id tells which record or group it is"
    ]


def test_a_leak_stops_the_experiment_and_a_likely_one_is_shown(tracked: Toy) -> None:
    schema = tracked.model_folder / "schema.py"
    tracked.with_rows(tracked.rows().assign(almost=lambda rows: rows["visits"] + rows["id"] / 1e6))
    tracked.edit(schema, "    amount: float\n", "    amount: float\n    almost: float\n")
    tracked.edit(tracked.dataset / "schema.yml", "  amount:", "  almost: {type: double}\n  amount:")
    outcome = tracked.done("experiment", "run")
    assert outcome.out.count("visits may leak: input almost alone tells visits") == 1
    params = tracked.model_folder / "params.yml"
    tracked.edit(params, "target: visits", "target: visits\nknown_before: {almost: set at entry}")
    outcome = tracked.done("experiment", "run")
    assert "may leak" not in outcome.out
    assert "input almost of visits is known before: set at entry" in outcome.out
    assert experiment_runs(tracked)[-1].data.tags["dslp.known_before"] == "almost: set at entry"
    tracked.edit(params, "{almost: set", "{almots: set")
    assert "known_before names almots, which is no input" in tracked.run("experiment", "run").error
    tracked.edit(params, "known_before: {almots: set at entry}", "")
    tracked.edit(schema, "    almost: float\n", "    visits: int\n")
    outcome = tracked.run("experiment", "run")
    assert outcome.code == 1
    assert "frequency leaks: input visits is the target" in outcome.error
