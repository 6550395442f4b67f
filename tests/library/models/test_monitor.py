"""What is asked, what is answered and how well: somebody is told when it moves."""

import json
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import numpy as np
import pandas as pd
import pytest
from dslp.models import drift
from hypothesis import given
from hypothesis import strategies as st

from tests.library.toy import Outcome, Toy


def month(toy: Toy, **changes: float) -> Path:
    """A file with the rows of another month, which is like the first but for the changes."""
    rows = toy.rows().assign(**changes)
    rows["id"] += 10_000
    path = toy.root / "month.parquet"
    rows.to_parquet(path, index=False)
    return path


def log(toy: Toy, count: int = 100, role: str = "champion", **inputs: object) -> Path:
    """A log of so many predictions of a version, as the server writes it."""
    folder = toy.root / "data" / "interim" / "predictions" / "frequency"
    folder.mkdir(parents=True, exist_ok=True)
    draw, now = np.random.default_rng(2), pd.Timestamp.now("UTC").isoformat()
    lines = []
    for number in range(count):
        amount = float(inputs.get("amount", draw.uniform(0, 10)))  # type: ignore[arg-type]
        line = {
            "request_id": f"{role}-{number}",
            "time": now,
            "model": "frequency",
            "version": "1" if role == "champion" else "2",
            "semantic": "1.0.0",
            "role": role,
            "latency_ms": 1.0,
            "row": 0,
            "inputs": {"amount": amount, "kind": draw.choice(["home", "office"])} | inputs,
            "prediction": {"visits": 1 + amount if role == "champion" else 2 + amount},
        }
        lines.append(json.dumps(line))
    (folder / f"{role}.jsonl").write_text("\n".join([*lines, '{"half": ']))
    return folder


def watched(toy: Toy, *arguments: object) -> Outcome:
    return toy.run("model", "monitor", *map(str, arguments))


@pytest.mark.rule("M9")
def test_a_month_like_the_others_is_quiet(champion: Toy) -> None:
    outcome = watched(champion, "--data", month(champion))
    assert outcome.code == 0, outcome
    assert "nothing moved beyond its limit" in outcome.out
    for word in ("amount", "kind", "predicted visits", "absolute_error", "suite and schema"):
        assert word in outcome.out


@pytest.mark.rule("M9")
def test_a_month_that_has_moved_is_told_by_feature_prediction_and_quality(
    champion: Toy, tmp_path: Path
) -> None:
    path = month(champion, amount=9.5, visits=300)
    page, proposal = tmp_path / "report.md", tmp_path / "proposal.json"
    outcome = watched(champion, "--data", path, "--report", page, "--proposal", proposal)
    assert outcome.code == 1
    for word in ("amount", "predicted visits", "absolute_error"):
        assert word in outcome.error
    assert "kind" not in outcome.error
    assert "column values to be between" in page.read_text()
    assert "| over 8.95 | 10.1 % | 100.0 % |" in page.read_text()
    assert "](report/drift-1.svg)" in page.read_text()
    assert "in training" in (tmp_path / "report" / "drift-1.svg").read_text()
    facts = json.loads(proposal.read_text())
    assert facts["params"] == f"src/{champion.package}/models/frequency/params.yml"
    assert (facts["stated"], facts["newest"], facts["ask"]) == ("1.2.0", "1.2.0", 7)


def test_what_is_not_observed_yet_is_no_fault(champion: Toy) -> None:
    path = month(champion)
    pd.read_parquet(path).drop(columns="visits").to_parquet(path)
    outcome = watched(champion, "--data", path)
    assert outcome.code == 0, outcome
    assert "absolute_error" not in outcome.out
    truth = champion.root / "truth.csv"
    pd.read_parquet(path)[["id"]].assign(visits=40).to_csv(truth, index=False)
    outcome = watched(champion, "--data", path, "--truth", truth)
    assert outcome.code == 1
    assert "moved: absolute_error" in outcome.error


@pytest.mark.rule("M9")
def test_logged_predictions_are_watched_and_met_by_the_truth(champion: Toy) -> None:
    log(champion)
    outcome = watched(champion)
    assert outcome.code == 0, outcome
    truth = champion.root / "truth.jsonl"
    known = [{"request_id": f"champion-{number}", "visits": 50} for number in range(80)]
    truth.write_text("\n".join(map(json.dumps, known)))
    outcome = watched(champion, "--truth", truth)
    assert outcome.code == 1
    assert "80 outcomes are observed" in outcome.out
    log(champion, kind="boat")
    outcome = watched(champion)
    assert outcome.code == 1
    assert "moved: kind" in outcome.error
    assert "other: 0.0% in training, 100.0% now" in outcome.out


@pytest.mark.parametrize("named", ["truth", "truth/", "[1].csv"])
def test_a_truth_that_is_no_file_is_named(champion: Toy, named: str) -> None:
    place = champion.root / named
    if "." not in named:
        place.mkdir(exist_ok=True)
    outcome = watched(champion, "--data", champion.processed, "--truth", f"{champion.root}/{named}")
    assert outcome.code == 2
    assert f"{named} is not one file of the kind .parquet" in outcome.error


@pytest.mark.rule("M9")
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("kind", ["uuid", "number", "upper"])
def test_the_truth_finds_its_request_however_that_is_called(
    champion: Toy, kind: str, suffix: str
) -> None:
    folder = log(champion)
    file, text = folder / "champion.jsonl", (folder / "champion.jsonl").read_text()
    names = [str(uuid5(NAMESPACE_DNS, str(number))) for number in range(100)]
    if kind == "upper":
        names = [name.upper() for name in names]
    if kind == "number":
        names = [f"{number:03}" for number in range(100)]
    for number, name in enumerate(names):
        text = text.replace(f'"champion-{number}"', f'"{name}"')
    file.write_text(text)
    known = pd.DataFrame({"request_id": names, "visits": 50})
    truth = champion.root / f"truth.{suffix}"
    if suffix == "jsonl":
        known.to_json(truth, orient="records", lines=True)
    elif suffix == "csv":
        known.to_csv(truth, index=False)
    else:
        known.to_parquet(truth)
    outcome = watched(champion, "--truth", truth)
    assert outcome.code == 1
    assert "100 outcomes are observed" in outcome.out


@pytest.mark.parametrize("source", ["served", "new"])
def test_a_truth_about_nothing_that_arrived_is_said(champion: Toy, source: str) -> None:
    log(champion)
    column = "request_id" if source == "served" else "id"
    truth = champion.root / "truth.csv"
    truth.write_text(
        f"{column},visits\n123,2\nb,3\n" if source == "new" else f"{column},visits\n7,2\n"
    )
    arguments = ("--data", month(champion)) if source == "new" else ()
    outcome = watched(champion, *arguments, "--truth", truth)
    assert outcome.code == 2
    assert "truth.csv" in outcome.error
    assert column in outcome.error


@pytest.mark.parametrize("kind", ["int", "bool"])
def test_an_answer_that_may_be_missing_is_read_as_missing(champion: Toy, kind: str) -> None:
    champion.edit(champion.model_folder / "schema.py", "visits: float", f"visits: {kind} | None")
    file = log(champion) / "champion.jsonl"
    told = [json.loads(line) for line in file.read_text().splitlines()[:-1]]
    for number, one in enumerate(told):
        one["prediction"]["visits"] = None if number % 4 == 0 else kind == "bool" or 5
    file.write_text("\n".join(map(json.dumps, told)))
    outcome = watched(champion)
    assert outcome.code == 1
    assert "75.0% now" in outcome.out


@pytest.mark.rule("M12")
def test_champion_and_challenger_are_compared_by_share_and_outcome(champion: Toy) -> None:
    champion.train_and_register()
    log(champion, 150)
    folder = log(champion, 50, "challenger")
    known = [
        {"request_id": f"{role}-{number}", "visits": 6}
        for role, count in (("champion", 150), ("challenger", 50))
        for number in range(count)
    ]
    truth = champion.root / "truth.jsonl"
    truth.write_text("\n".join(map(json.dumps, known)))
    champion.edit(champion.model_folder / "monitor.yml", "quality: 0.1", "quality: 9")
    champion.edit(champion.model_folder / "monitor.yml", "prediction: 0.25", "prediction: 9")
    outcome = watched(champion, "--predictions", folder, "--truth", truth)
    assert outcome.code == 0, outcome
    assert "champion 1.0.0 (version 1): 150 rows (75.0%), absolute_error" in outcome.out
    assert "challenger 1.0.1 (version 2): 50 rows (25.0%), absolute_error" in outcome.out
    assert "the challenger against the champion in absolute_error: " in outcome.out


def test_more_missing_values_are_told(champion: Toy) -> None:
    amount = champion.rows()["amount"].where(lambda values: values.index % 4 > 0)
    path = champion.root / "data" / "interim" / "predictions" / "frequency"
    log(champion)
    lines = (path / "champion.jsonl").read_text().splitlines()[:-1]
    told = [json.loads(line) for line in lines]
    for one, value in zip(told, amount.isna(), strict=False):
        one["inputs"]["amount"] = None if value else one["inputs"]["amount"]
    (path / "champion.jsonl").write_text("\n".join(map(json.dumps, told)))
    outcome = watched(champion)
    assert outcome.code == 1
    assert "0.0%, now 25.0%" in outcome.out


@pytest.mark.rule("M9")
@pytest.mark.parametrize("few", ["few", "old", "none"])
def test_too_few_predictions_do_not_hide_what_moved_in_the_data(champion: Toy, few: str) -> None:
    folder = log(champion, 20 if few == "few" else 100)
    file = folder / "champion.jsonl"
    if few == "old":
        file.write_text(file.read_text().replace('"time": "20', '"time": "19'))
    if few == "none":
        file.unlink()
    page = champion.root / "page.md"
    data = month(champion, amount=9.5)
    outcome = watched(champion, "--data", data, "--predictions", folder, "--report", page)
    assert outcome.code == 1
    assert "moved: amount" in outcome.error
    assert "nothing can be said of served" in outcome.error
    assert "not known" in page.read_text()


def test_a_metric_that_the_champion_was_not_measured_by_is_said(champion: Toy) -> None:
    champion.edit(champion.model_folder / "params.yml", "absolute_error, b", "squared_error, b")
    text = '"bias": float((predicted - target).mean()),'
    squared = '"squared_error": float(((target - predicted) ** 2).mean()),'
    champion.edit(champion.model_folder / "evaluate.py", text, f"{text}\n        {squared}")
    outcome = watched(champion, "--data", month(champion))
    assert outcome.code == 2
    assert "was not measured by squared_error; train, register and promote" in outcome.error


@pytest.mark.rule("M9")
def test_a_metric_that_is_no_number_does_not_hold(champion: Toy) -> None:
    evaluate = champion.model_folder / "evaluate.py"
    champion.edit(evaluate, "float((target - predicted)", "float((target[:0] - predicted[:0])")
    outcome = watched(champion, "--data", month(champion))
    assert outcome.code == 2
    assert "evaluate returned no finite number for absolute_error" in outcome.error


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("no champion", "frequency has no champion to watch"),
        ("no log", "no predictions are logged in "),
        ("too few", "served: 20 rows are too few to say anything; monitor.yml asks for 50"),
        ("too old", "no prediction of the last 30 days is in "),
        ("no rows", "nothing is new in visits since 1.0.0 (version 1) was trained"),
        ("no file", "nowhere.parquet is no dataset of the project, no .parquet and no .csv"),
        ("threshold", "monitor.yml: featurs: Extra inputs are not permitted"),
        ("truth", "must have visits, and request_id (and row) of the log or the key of visits"),
    ],
)
def test_what_cannot_be_watched_is_said(champion: Toy, wrong: str, said: str) -> None:
    arguments: list[object] = []
    if wrong == "no champion":
        champion.client.delete_registered_model("frequency")
    if wrong in ("too few", "too old", "truth"):
        folder = log(champion, 20 if wrong == "too few" else 100)
        file = folder / "champion.jsonl"
        if wrong == "too old":
            file.write_text(file.read_text().replace('"time": "20', '"time": "19'))
    if wrong == "no rows":
        arguments = ["--data", "visits"]
    if wrong == "no file":
        arguments = ["--data", "nowhere.parquet"]
    if wrong == "threshold":
        champion.edit(champion.model_folder / "monitor.yml", "features", "featurs")
    if wrong == "truth":
        truth = champion.root / "truth.csv"
        truth.write_text("request,visits\n1,2\n")
        arguments = ["--truth", truth]
    outcome = watched(champion, *arguments)
    assert outcome.code == 2
    assert said in outcome.error


def test_a_release_that_kept_no_figures_is_said_to_have_none(champion: Toy) -> None:
    for file in champion.root.rglob("record.json"):
        file.unlink()
    outcome = watched(champion, "--data", month(champion))
    assert outcome.code == 2
    assert "train, register and promote frequency again" in outcome.error


def test_the_index_is_the_published_one() -> None:
    """Siddiqi's formula: 0 for the same shares, and by hand for two bins of 50/50 and 80/20."""
    half, other = np.array([500_000, 500_000]), np.array([800_000, 200_000])
    assert drift.stability(half, half) == 0
    expected = 0.3 * np.log(1.6) + -0.3 * np.log(0.4)
    assert drift.stability(half, other) == pytest.approx(expected, abs=1e-4)


@given(st.lists(st.floats(allow_nan=True, width=32), min_size=1), st.lists(st.floats(width=32)))
def test_every_value_is_in_one_bin(before: list[float], now: list[float]) -> None:
    bins = drift.bins(pd.Series(before, dtype=float))
    assert sum(bins["counts"]) == len(before)
    counts = drift.count_values(pd.Series(now, dtype=float), bins)
    assert counts.sum() == len(now)
    assert len(drift.bin_names(bins)) == len(counts) == len(bins["counts"])
    assert drift.stability(np.array(bins["counts"]), counts) >= 0


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([True, False, None] * 20, dtype="object"),
        pd.Series(pd.date_range("2024-01-01", periods=60, freq="D")),
        pd.Series(["a", "b", None] * 20),
        pd.Series(["a", "b", "a"] * 20, dtype="category"),
        pd.Series([1, 2, 3] * 20, dtype="Int64"),
        pd.Series([7.5] * 60),
    ],
    ids=lambda values: str(values.dtype),
)
def test_a_log_reads_as_the_training_did(values: "pd.Series[Any]") -> None:
    bins = drift.bins(values)
    told = json.loads(values.to_json(orient="records", date_format="iso"))
    logged = [v if v is None else json.dumps(v).strip('"') for v in told]
    again = drift.count_values(pd.Series(logged, dtype="object"), bins)
    assert again.tolist() == bins["counts"]
