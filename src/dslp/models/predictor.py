"""Predicting for many requests together: one thread, and the requests that wait for it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dslp.models.api import Api
from dslp.models.live_model import Loaded

WAITING = 10_000  # records that may wait for their prediction; more are turned away


class Predictor:
    """The one thread that predicts, and the requests that wait for it."""

    def __init__(self, api: Api) -> None:
        """Start without requests."""
        self.api, self.thread = api, ThreadPoolExecutor(1, "predict")
        self.waiting: list[tuple[Loaded, list[Any], asyncio.Future[list[Any]]]] = []
        self.records = 0
        self.task: asyncio.Task[None] | None = None
        self.last, self.seconds = 1, 0.0  # requests of the last batch, and how long it took

    def predict(self, loaded: Loaded, records: list[Any]) -> "asyncio.Future[list[Any]]":
        """The predictions of these records, once they are made.

        Raises:
            QueueFull: too many records wait.
        """
        if self.records + len(records) > WAITING:
            raise asyncio.QueueFull(f"{WAITING:,} records wait")
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self.waiting.append((loaded, records, future))
        self.records += len(records)
        self.task = self.task or asyncio.create_task(self._work())
        return future

    async def _work(self) -> None:
        """Predict what waits, until nothing does.

        Clients that were answered together may each send a request again: as many as before are
        waited for, but not longer than the last prediction took.
        """
        loop, batch = asyncio.get_running_loop(), self.waiting
        try:
            while self.waiting:
                end = loop.time() + self.seconds
                while len(self.waiting) < self.last and loop.time() < end:
                    await asyncio.sleep(0)
                batch, self.waiting, self.records, started = self.waiting, [], 0, loop.time()
                parts = [(loaded, records) for loaded, records, _ in batch]
                answers = await loop.run_in_executor(self.thread, self._together, parts)
                self.last, self.seconds = len(batch), loop.time() - started
                for (_, _, future), answer in zip(batch, answers, strict=True):
                    if not future.cancelled():
                        failed = isinstance(answer, Exception)
                        (future.set_exception if failed else future.set_result)(answer)
        finally:
            for _, _, future in [*batch, *self.waiting]:
                if not future.done():
                    future.set_exception(RuntimeError("no prediction was made"))
            self.task, self.waiting, self.records = None, [], 0

    def _together(self, parts: list[tuple[Loaded, list[Any]]]) -> list[Any]:
        """Predictions of each part, or the exception it raised, which no other part gets."""
        answers: list[Any] = [None] * len(parts)
        for loaded in {id(one): one for one, _ in parts}.values():
            places = [place for place, (one, _) in enumerate(parts) if one is loaded]
            try:
                records = [record for place in places for record in parts[place][1]]
                predictions = iter(self.api.predict(loaded.estimator, records))
                for place in places:
                    answers[place] = [next(predictions) for _ in parts[place][1]]
            except BaseException as error:  # whatever an estimator raises, sys.exit() as well
                # A future refuses StopIteration; the server would end with what is no Exception.
                usual = isinstance(error, Exception) and not isinstance(error, StopIteration)
                failure = error if usual else RuntimeError(repr(error))
                for place in places:
                    single = len(places) == 1
                    answers[place] = failure if single else self._together([parts[place]])[0]
        return answers
