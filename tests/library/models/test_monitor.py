"""What is requested, what is predicted and how well: somebody is told when it moves."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dslp.experiments.splitting import read_model_data
from dslp.models.persistence import fetch_model, load_model
from dslp.tracking.registry import Registry
from fsspec.implementations.memory import MemoryFileSystem
from scipy.stats import t

from tests.library.models.conftest import refused
from tests.library.toy import Outcome, Toy

pytestmark = pytest.mark.slow


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
        line = {"request_id": f"{role}-{number}", "time": now, "role": role, "row": 0}
        line |= {"version": "1" if role == "champion" else "2"}
        line |= {"inputs": {"amount": amount, "kind": draw.choice(["home", "office"])} | inputs}
        line |= {"prediction": {"visits": 1 + amount if role == "champion" else 2 + amount}}
        lines.append(json.dumps(line))
    (folder / f"{role}.jsonl").write_text("\n".join([*lines, '{"half": ']))
    return folder


def outcomes(count: int, visits: int, role: str = "champion") -> pd.DataFrame:
    """The observed outcomes of so many logged predictions."""
    return pd.DataFrame({"request_id": [f"{role}-{n}" for n in range(count)], "visits": visits})


def write_truth(toy: Toy, *observed: pd.DataFrame) -> Path:
    """A file of observed outcomes."""
    file = toy.root / "truth.csv"
    pd.concat(observed).to_csv(file, index=False)
    return file


@pytest.mark.rule("M9")
def test_what_moved_in_a_month_is_named_by_feature_prediction_and_quality(
    champion: Toy, tmp_path: Path
) -> None:
    output = champion.done("model", "monitor", "--data", str(month(champion))).out
    moving = ("amount", "kind", "predicted visits", "absolute_error", "suite and schema")
    for word in ("nothing moved", *moving):
        assert word in output
    path = month(champion, amount=9.5, visits=300)
    page, proposal = tmp_path / "report.md", tmp_path / "proposal.json"
    options = ("--data", path, "--report", page, "--proposal", proposal)
    outcome = refused(champion, "monitor", *options, code=1)
    for word in ("amount", "predicted visits", "absolute_error"):
        assert word in outcome.error
    assert "kind" not in outcome.error
    shown = (
        "column values to be between",
        "| 9.05 to 9.99 | 9.7 % | 100.0 % |",
        "](report/drift-1.",
    )
    assert all(text in page.read_text() for text in shown)
    assert "in training" in (tmp_path / "report" / "drift-1.svg").read_text()
    facts = json.loads(proposal.read_text())
    assert facts["params"] == f"src/{champion.package}/models/frequency/params.yml"
    assert (facts["stated"], facts["newest"], facts["ask"]) == ("1.2.0", "1.2.0", 7)


@pytest.mark.rule("M9")
def test_logged_predictions_are_compared_with_training_and_with_outcomes(champion: Toy) -> None:
    log(champion)
    champion.done("model", "monitor")
    truth = write_truth(champion, outcomes(80, 50))
    outcome = refused(champion, "monitor", "--truth", truth, code=1)
    assert "80 outcomes are observed, without person, so the interval is made" in outcome.out
    log(champion, kind="boat")
    outcome = refused(champion, "monitor", code=1, error="moved: kind")
    assert "other: 0.0 % in training, 100.0 % now" in outcome.out


@pytest.mark.rule("M9")
def test_an_outcome_belongs_to_its_request_however_that_is_called(champion: Toy) -> None:
    file, before = log(champion) / "champion.jsonl", outcomes(100, 50)
    text = file.read_text()
    for name in ("{}-0000-4000-8000-00000000000A", "{}"):  # like a UUID, like a number
        renamed = [name.format(f"{number:08}") for number in range(100)]
        lines = text
        for number in range(100):
            lines = lines.replace(f'"champion-{number}"', f'"{renamed[number]}"')
        file.write_text(lines)
        truth = write_truth(champion, before.assign(request_id=renamed))
        outcome = champion.run("model", "monitor", "--truth", str(truth))
        assert "100 outcomes are observed" in outcome.out


@pytest.mark.rule("M12")
def test_champion_and_challenger_are_compared_by_share_and_outcome(champion: Toy) -> None:
    champion.train_and_register()
    log(champion, 150)
    folder = log(champion, 50, "challenger")
    truth = write_truth(champion, outcomes(150, 6), outcomes(50, 6, "challenger"))
    champion.edit(champion.model_folder / "monitor.yml", "quality: 0.1", "quality: 9")
    champion.edit(champion.model_folder / "monitor.yml", "prediction: 0.25", "prediction: 9")
    paths = ("--predictions", str(folder), "--truth", str(truth))
    output = champion.done("model", "monitor", *paths).out
    assert "champion 1.0.0 (version 1): 150 rows (75.0 %), absolute_error" in output
    assert "challenger 1.0.1 (version 2): 50 rows (25.0 %), absolute_error" in output
    assert "the challenger against the champion in absolute_error: " in output


@pytest.mark.rule("M9")
def test_too_few_predictions_do_not_hide_what_moved_in_the_data(champion: Toy) -> None:
    folder, page = log(champion, 20), champion.root / "page.md"
    data = month(champion, amount=9.5)
    options = ("--data", data, "--predictions", folder, "--report", page)
    outcome = refused(champion, "monitor", *options, code=1, error="moved: amount")
    assert "not known: served" in outcome.error
    assert "not known" in page.read_text()


def test_what_cannot_be_monitored_is_said(champion: Toy) -> None:
    def says(reason: str, *arguments: object) -> None:
        refused(champion, "monitor", *arguments, error=reason)

    says("no predictions are logged in ")
    file = log(champion) / "champion.jsonl"
    file.write_text(file.read_text().replace('"time": "20', '"time": "19'))
    says("no prediction of the last 30 days is in ")
    log(champion, 20)
    says("served: 20 rows are too few to compare; monitor.yml requires 50")
    says("nothing is new in visits since 1.0.0 (version 1) was trained", "--data", "visits")
    log(champion)
    truth, key = champion.root / "truth.csv", champion.root / "key.csv"
    truth.write_text("request,visits\n1,2\n")
    says("must have visits, and request_id (and row) of the log or the key", "--truth", truth)
    truth.write_text("request_id,visits\n7,2\n")
    says("truth.csv has no row with the request_id, row of a recent row", "--truth", truth)
    key.write_text("id,visits\n123,2\nb,3\n")
    says(
        "key.csv cannot be read (row 2: column id has b, which is no whole number",
        "--data",
        month(champion),
        "--truth",
        key,
    )
    for record in champion.root.rglob("record.json"):
        record.unlink()
    says("train, register and promote frequency again", "--data", month(champion))
    champion.edit(champion.model_folder / "monitor.yml", "features", "featurs")
    says("monitor.yml: featurs: Extra inputs are not permitted")
    champion.edit(champion.model_folder / "monitor.yml", "featurs", "features")
    champion.client.delete_registered_model("frequency")
    says("frequency has no champion; first")


@pytest.mark.rule("M9")
def test_the_interval_of_quality_counts_people_and_the_uncertain_holdout(champion: Toy) -> None:
    """Against the linearised error of a ratio of means of clusters (Cochran 1977, section 6.13)."""
    path, names = month(champion), ["amount", "kind", "visits"]
    rows = pd.read_parquet(path)
    rows[names] = rows.groupby("person")[names].transform("first")
    rows.to_parquet(path)
    output = champion.run("model", "monitor", "--data", str(path), "--json").out
    signals = json.loads(output)["results"][0]["details"]["signals"]
    (quality,) = (signal for signal in signals if signal["measure"] == "quality")
    assert "those of one person count together" in quality["note"]
    model, project = champion.model, champion.project
    release = Registry.read(project, "frequency").in_role("champion")
    assert release is not None
    estimator = load_model(fetch_model(project, release))

    def mean_and_error(part: pd.DataFrame) -> tuple[float, float]:
        errors = (part["visits"] - model.predict(estimator, part)["visits"]).abs()
        sums = (errors - errors.mean()).groupby(part["person"]).sum()
        return errors.mean(), np.sqrt((sums**2).sum()) / len(part)

    (now, sure), (before, unsure) = map(mean_and_error, (rows, read_model_data(model).holdout))
    error = now / before * np.hypot(sure / now, unsure / before)
    half = t.ppf(0.975, 19) * error  # twenty people are in the holdout
    shown = [
        float(number) / 100 for number in re.findall(r"[-+][\d.]+(?= %| to)", quality["figure"])
    ]
    gain = 1 - now / before
    assert shown[0] == pytest.approx(gain, abs=0.001)
    assert np.array(shown[1:]) - gain == pytest.approx(np.array([-half, half]), rel=0.25)


@pytest.mark.rule("M9")
@pytest.mark.parametrize(
    ("holdout", "reason"),
    [
        ({"value": 0.0, "draws": [0.0] * 200}, "a metric around 0 has no shares"),
        ({"draws": [2.0, 40.0] * 100}, "more outcomes are needed: the interval reaches the limit"),
        ({"units": 1}, "more outcomes are needed: the interval reaches the limit"),
    ],
)
def test_quality_is_not_known_where_its_interval_is_wide(
    champion: Toy, holdout: dict[str, object], reason: str
) -> None:
    for file in champion.root.rglob("record.json"):
        record = json.loads(file.read_text())
        record["quality"] |= holdout
        file.write_text(json.dumps(record))
    output = champion.done("model", "monitor", "--data", str(month(champion))).out
    assert reason in output


# What the scheduled workflow runs, on a machine that has nothing but the newest data.


def watched(toy: Toy, folder: Path, **variables: str) -> Outcome:
    return toy.run("model", "watch", str(folder), cwd=None, **variables)


@pytest.mark.rule("M9", "M10")
def test_new_rows_are_compared_where_only_the_store_has_the_old_ones(
    champion: Toy, tmp_path: Path
) -> None:
    store, rows = tmp_path / "store", champion.rows()
    champion.done("data", "push", "visits", DSLP_DATA_STORE=str(store))
    later = rows.assign(id=rows["id"] + 10_000, amount=rows["amount"] / 2 + 9)
    champion.with_rows(pd.concat([rows, later]))
    champion.edit(champion.dataset / "datasheet.md", "version: 1.2.0", "version: 1.3.0")
    outcome = watched(champion, tmp_path / "reports")
    assert outcome.code == 2
    assert "the new rows of visits are not known without visits 1.2.0" in outcome.out
    champion.done("data", "push", "visits", DSLP_DATA_STORE=str(store))
    for file in (champion.processed, *champion.processed.parent.glob("visits-*")):
        file.unlink()
    outcome = watched(champion, tmp_path / "reports", DSLP_DATA_STORE=str(store))
    assert outcome.code == 0, outcome
    assert "300 rows (visits): moved: amount" in outcome.out
    facts = json.loads((tmp_path / "reports" / "frequency.json").read_text())
    assert (facts["stated"], facts["newest"]) == ("1.2.0", "1.3.0")


@pytest.mark.rule("M9")
def test_outcomes_at_an_address_are_looked_up_each_week(champion: Toy, tmp_path: Path) -> None:
    log(champion)
    truth = write_truth(champion, outcomes(80, 50))
    MemoryFileSystem().pipe_file("/truth/frequency.csv", truth.read_bytes())
    outcome = watched(champion, tmp_path / "reports", DSLP_TRUTH="memory://truth")
    assert outcome.code == 0, outcome
    assert "moved: absolute_error" in outcome.out
    assert "80 outcomes are observed" in (tmp_path / "reports" / "frequency.md").read_text()
