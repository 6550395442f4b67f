"""Where the data is not, a datasheet says what stands for it, and what was not checked is said."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.library.toy import Toy

TESTS = Path(__file__).parents[3] / "template" / "tests" / "data"
SAMPLE = "def build(raw):\n    return raw.assign(day=pd.to_datetime(raw['day']).astype('M8[us]'))"
EXTRACT = "def extract():\n    raise OSError('CI has no such network')"


@pytest.mark.slow
@pytest.mark.rule("D1", "D3")
def test_each_dataset_comes_to_ci_as_its_datasheet_says(built: Toy, tmp_path: Path) -> None:
    """Built, from a sample file, from a generator, from sampled parents, not at all, and broken."""
    folder, summary = built.root / "tests" / "data", tmp_path / "summary.md"
    (folder / "samples").mkdir(parents=True)
    for name in ("committed", "broken"):
        built.rows().head(150).to_csv(folder / "samples" / f"{name}.csv", index=False)
    (folder / "test_suites.py").write_bytes((TESTS / "test_suites.py").read_bytes())
    pipeline = (built.dataset / "pipeline.py").read_text(encoding="utf-8")
    extract = pipeline.partition("def extract")[2].partition("def build")[0]
    for name, ci, code in (
        ("committed", "sample", f"{EXTRACT}\n\n\n{SAMPLE}"),
        ("generated", "sample", f"import numpy as np\n\n\ndef sample{extract}{SAMPLE}"),
        ("derived", "build", "def build(generated):\n    return generated.head(120)"),
        ("secret", "none", f"import nosuchdriver\n\n\n{SAMPLE}"),
        ("broken", "sample", SAMPLE.replace("day=", "day=1 / 0 + ")),
    ):
        built.pipeline(code, name)
        sheet = built.dataset.with_name(name) / "datasheet.md"
        built.edit(sheet, "owner:", f"ci: {ci}\nowner:")
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
        "broken": "FAILED",
    }, done.stdout
    for shown in (
        "secret: ci is none",
        "run it where the data is: uv run dslp data validate secret",
        "ZeroDivisionError",
    ):
        assert shown in done.stdout
    lines = summary.read_text(encoding="utf-8").splitlines()
    names = ["- committed", "- derived", "- generated", "- secret"]
    assert [line.split(":")[0] for line in lines] == names
    assert "expect_table_row_count_to_be_between" in lines[0]
    assert "was NOT run" in lines[3]
    assert not (built.root / "data" / "raw" / "committed.parquet").exists()
