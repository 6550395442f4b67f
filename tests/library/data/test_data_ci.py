"""Where data is not, a datasheet says what stands for it, and what is not judged is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.library.toy import Toy

TESTS = Path(__file__).parents[3] / "template" / "tests" / "data"
SAMPLE = "def build(raw):\n    return raw.assign(day=pd.to_datetime(raw['day']).astype('M8[us]'))"
EXTRACT = "def extract():\n    raise OSError('CI has no such network')"


def dataset(toy: Toy, name: str, ci: str, pipeline: str) -> None:
    toy.pipeline(pipeline, name)
    sheet = toy.dataset.with_name(name) / "datasheet.md"
    toy.edit(sheet, "owner:", f"ci: {ci}\nowner:")


@pytest.mark.slow
@pytest.mark.rule("D1", "D3")
def test_each_dataset_comes_to_ci_as_its_datasheet_says(built: Toy, tmp_path: Path) -> None:
    """Built, from a sample file, from a generator, from sampled parents, not at all, and broken."""
    rows = built.rows().head(150)
    folder = built.root / "tests" / "data"
    (folder / "samples").mkdir(parents=True)
    rows.to_csv(folder / "samples" / "committed.csv", index=False)
    (folder / "test_suites.py").write_bytes((TESTS / "test_suites.py").read_bytes())
    made = built.dataset / "pipeline.py"
    generator = made.read_text(encoding="utf-8").partition("def extract")[2].partition("def build")
    dataset(built, "committed", "sample", f"{EXTRACT}\n\n\n{SAMPLE}")
    dataset(
        built, "generated", "sample", f"import numpy as np\n\n\ndef sample{generator[0]}{SAMPLE}"
    )
    dataset(built, "derived", "build", "def build(generated):\n    return generated.head(120)")
    dataset(built, "secret", "none", f"import nosuchdriver\n\n\n{SAMPLE}")
    dataset(built, "unfetched", "build", SAMPLE)
    dataset(built, "broken", "sample", f"{SAMPLE.replace('day=', 'day=1 / 0 + ')}")
    dataset(built, "unsampled", "sample", SAMPLE)
    rows.to_csv(folder / "samples" / "broken.csv", index=False)
    summary = tmp_path / "summary.md"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "tests"],
        cwd=built.root,
        env={"PATH": "/usr/bin:/bin", "GITHUB_STEP_SUMMARY": str(summary), "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = {
        line.rpartition("[")[2].partition("]")[0]: line.split()[0]
        for line in done.stdout.splitlines()
        if line.startswith(("PASSED", "FAILED"))
    }
    assert verdicts == {
        **dict.fromkeys(("visits", "committed", "generated", "derived"), "PASSED"),
        **dict.fromkeys(("broken", "unsampled"), "FAILED"),
    }, done.stdout
    assert "SKIPPED [1]" in done.stdout
    assert "secret: ci is none" in done.stdout
    assert "its suite runs where it is: uv run dslp data validate secret" in done.stdout
    assert "ZeroDivisionError" in done.stdout
    assert "there is neither" in done.stdout
    told = summary.read_text(encoding="utf-8").splitlines()
    assert [line.split(":")[0] for line in told] == [
        *("- committed", "- derived", "- generated", "- secret", "- unfetched")
    ]
    assert "expect_table_row_count_to_be_between" in told[0]
    assert "was NOT run" in told[3]
    assert not (built.root / "data" / "raw" / "committed.parquet").exists()
