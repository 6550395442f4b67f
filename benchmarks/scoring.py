"""How long a whole file takes to score, beside the same model asked by hand, and each memory.

    uv run python -m benchmarks.scoring [--rows 1000000 10000000] [--runs 3]

The rows are those of benchmarks/data.py, real claims drawn again and again; the model is the
example's boosted trees. By hand means: 100,000 rows at a time from Parquet to Parquet, with
nothing checked and nothing written but the prediction. Each run is a process with its imports.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.data import make
from benchmarks.machine import describe, row, whole
from benchmarks.serving import DSLP, project

BY_HAND = """
import sys
import pyarrow as pa, pyarrow.parquet as pq
from dslp.models.persistence import load_model
from pathlib import Path

model, rows, output = load_model(Path(sys.argv[1])), pq.ParquetFile(sys.argv[2]), sys.argv[3]
with pq.ParquetWriter(output, pa.schema([("visits", "float64")])) as writer:
    for batch in rows.iter_batches(100_000):
        writer.write_table(pa.table({"visits": model.predict(batch.to_pandas())}))
"""


def main() -> None:
    """Let both score each file in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10**6, 10**7])
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, file, output = project(folder), folder / "rows.parquet", folder / "scored.parquet"
        ours = [*DSLP, "model", "score", "--input", str(file), "--output", str(output)]
        by_hand = [sys.executable, "-c", BY_HAND, str(model), str(file), str(output)]
        for rows in asked.rows:
            make(file, rows)
            turns = [(whole(ours, folder), whole(by_hand, folder)) for _ in range(asked.runs)]
            print(f"{rows:,} rows")
            for title, side in (("dslp model score", 0), ("by hand", 1)):
                taken = [turn[side] for turn in turns]
                figures = row(title, [one.wall for one in taken])
                cpu = statistics.median(one.cpu for one in taken)
                peak = max(one.peak for one in taken)
                print(f"{figures}   processor {cpu:.1f} s, peak {peak:,.0f} MB")


if __name__ == "__main__":
    main()
