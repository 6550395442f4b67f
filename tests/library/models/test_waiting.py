"""What waits for the disk or for the model outlives what they raise."""

import asyncio
import shutil
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
from types import SimpleNamespace
from typing import Any

import pytest
from dslp.models.live_model import Predictor
from dslp.models.prediction_log import LOST, Log


def test_a_log_writes_whole_lines_whatever_the_disk_does(tmp_path: Path) -> None:
    log, ended, folder = Log(tmp_path / "log"), asyncio.Event(), tmp_path / "log"
    record, (least, most) = (
        SimpleNamespace(model_dump_json=lambda **_: "1" * 99),
        getrlimit(RLIMIT_FSIZE),
    )
    ended.set()

    def write(limit: int = least) -> tuple[list[int], int]:
        before = next(iter(LOST.collect())).samples[0].value
        setrlimit(RLIMIT_FSIZE, (limit, most))
        log.add({}, [record] * 20, [record] * 20)
        asyncio.run(log.write_all(ended))
        setrlimit(RLIMIT_FSIZE, (least, most))
        lines = [path.read_text().count("\n") for path in folder.glob("*")]
        return sorted(lines), int(next(iter(LOST.collect())).samples[0].value - before)

    assert write(limit=1000) == ([4], 16)  # the disk is full in the middle of a line
    assert write() == ([4, 20], 0)
    shutil.rmtree(folder)
    folder.touch()  # nothing can be written there
    assert [write(), write()] == [([], 20)] * 2
    folder.unlink()
    assert write() == ([20], 0)


@pytest.mark.parametrize("error", [ValueError, StopIteration, SystemExit, BaseException])
def test_a_request_that_cannot_be_predicted_fails_alone(error: type[BaseException]) -> None:
    def predict(_: Any, records: list[int]) -> list[int]:
        if min(records) < 0:
            raise error
        return records

    async def answers() -> list[Any]:
        model: Any = SimpleNamespace(predict=predict, estimator=None)
        predictor = Predictor(model)
        futures = [predictor.predict(model, [value]) for value in (1, -1, 2)]
        await asyncio.wait(futures, timeout=5)
        return [one.exception() or one.result() for one in futures]

    first, failed, second = asyncio.run(answers())
    assert (first, second, isinstance(failed, Exception)) == ([1], [2], True)
