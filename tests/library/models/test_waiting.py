"""What waits for the disk or for the model outlives what they raise."""

import asyncio
import shutil
import signal
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
from types import SimpleNamespace
from typing import Any, cast

import pytest
from dslp.models.prediction_log import Log
from dslp.models.predictor import Predictor
from prometheus_client import REGISTRY
from pydantic import BaseModel


class Text(BaseModel):
    text: str = "a" * 100


def test_a_log_writes_whole_lines_whatever_the_disk_does(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log, ended, (least, most) = Log(folder), asyncio.Event(), getrlimit(RLIMIT_FSIZE)
    ended.set()
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def lost() -> int:
        return int(REGISTRY.get_sample_value("dslp_lost_predictions_total") or 0)

    before = lost()

    def write() -> list[int]:
        log.add({}, [Text()] * 20, [Text()] * 20)
        asyncio.run(log.write_all(ended))
        return sorted(path.read_text().count("\n") for path in folder.glob("*"))

    try:
        setrlimit(RLIMIT_FSIZE, (1000, most))
        (whole,) = write()  # a short write: the disk is full
    finally:
        setrlimit(RLIMIT_FSIZE, (least, most))
        signal.signal(signal.SIGXFSZ, handler)
    assert 0 < whole == 20 - (lost() - before)
    assert write() == [whole, 20]
    shutil.rmtree(folder)
    folder.touch()  # nothing can be written there
    assert (write(), write(), lost() - before) == ([], [], 60 - whole)
    folder.unlink()
    assert write() == [20]


@pytest.mark.parametrize("error", [ValueError, StopIteration, SystemExit, BaseException])
def test_a_request_that_cannot_be_predicted_fails_alone(error: type[BaseException]) -> None:
    def predict(_: Any, records: list[int]) -> list[int]:
        if min(records) < 0:
            raise error
        return records

    async def answers() -> list[Any]:
        predictor = Predictor(cast("Any", SimpleNamespace(predict=predict)))
        loaded = cast("Any", SimpleNamespace(estimator=None))
        futures = [predictor.predict(loaded, [value]) for value in (1, -1, 2)]
        await asyncio.wait(futures, timeout=5)
        futures.append(predictor.predict(loaded, [3]))
        results: list[Any] = await asyncio.gather(*futures, return_exceptions=True)
        return results

    first, failed, second, later = asyncio.run(answers())
    assert (first, second, later) == ([1], [2], [3])
    assert isinstance(failed, Exception)
