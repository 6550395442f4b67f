"""Predicting for many requests together: one thread, and the requests that wait for it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from dslp.models.api import Api

WAITING = 10_000  # records that may wait for their prediction; more are turned away
TURNS = 4  # of the event loop, in which clients send their next request, to be predicted too


@dataclass(frozen=True)
class Loaded:
    """A version that can predict."""

    role: str
    version: str
    semantic: str
    run: str
    folder: str
    estimator: Any = field(repr=False, compare=False)

    @property
    def identity(self) -> dict[str, str]:
        """What `/version` says of it."""
        return {"version": self.version, "semantic": self.semantic, "run": self.run}


class Problem(Exception):
    """An error that a client gets instead of a prediction."""

    def __init__(self, status: int, detail: Any) -> None:
        """A status of HTTP, and the error in words, or by field in FastAPI's form."""
        self.status, self.detail = status, detail


class Predictor:
    """The one thread that predicts, and the records that wait for it."""

    def __init__(self, api: Api) -> None:
        """Start without requests."""
        self.api, self.waiting, self.records = api, [], 0  # type: ignore[var-annotated]
        self.thread = ThreadPoolExecutor(1, "predict")
        self.task: asyncio.Task[None] | None = None

    def predict(self, loaded: Loaded, records: list[Any]) -> "asyncio.Future[list[Any]]":
        """The predictions of these records, once they are made."""
        if self.records + len(records) > WAITING:
            raise Problem(503, "too many requests are waiting; try again")
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self.waiting.append((loaded, records, future))
        self.records += len(records)
        if self.task is None:
            self.task = asyncio.create_task(self._work())
        return future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self.waiting:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                batch, self.waiting, self.records = self.waiting, [], 0
                parts = [(loaded, records) for loaded, records, _ in batch]
                answers = await loop.run_in_executor(self.thread, self._together, parts)
                for (_, _, future), answer in zip(batch, answers, strict=True):
                    failed = isinstance(answer, Exception)
                    if not future.cancelled():
                        (future.set_exception if failed else future.set_result)(answer)
        finally:
            self.task = None

    def _together(self, parts: list[tuple[Loaded, list[Any]]]) -> list[Any]:
        """Predictions of each part, or the exception it raised, which no other part gets."""
        answers: list[Any] = [None] * len(parts)
        for loaded in {id(one): one for one, _ in parts}.values():
            places = [place for place, (one, _) in enumerate(parts) if one is loaded]
            try:
                whole = [record for place in places for record in parts[place][1]]
                predictions = iter(self.api.predict(loaded.estimator, whole))
                for place in places:
                    answers[place] = [next(predictions) for _ in parts[place][1]]
            except Exception as error:  # whatever an estimator raises
                for place in places:
                    single = len(places) == 1
                    answers[place] = error if single else self._together([parts[place]])[0]
        return answers
