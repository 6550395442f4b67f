"""The versions that a server has loaded, the switch to others, and their thread (M7, M12)."""

import asyncio
import gc
import hashlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.text import error_line, redact
from dslp.models.api import Api
from dslp.models.persistence import check_files, load_model, models_in_use, registry_state
from prometheus_client import Counter, Gauge

RETRY = 60  # seconds until a version that could not be loaded is tried again
WAITING = 10_000  # records that may wait for their prediction; more are turned away
ROLES = ("champion", "challenger")
VERSIONS = Gauge("dslp_model", "1 for each version that answers.", ["role", "version"])
REGISTRY_UP = Gauge("dslp_registry_up", "Whether the registry answers.")
FAILED_SWITCHES = Counter("dslp_failed_switches", "Versions that were not loaded.")

logger = logging.getLogger("dslp.serve")


@dataclass(frozen=True)
class Loaded:
    """A version that can predict."""

    role: str
    version: str
    semantic: str
    run: str
    folder: str
    estimator: Any = field(repr=False, compare=False)


def draw_share(name: str, challenger: str, key: str) -> float:
    """A number between 0 and 1 for a key, always the same, and another one for each challenger."""
    text = "\0".join((name, challenger, key))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


class LiveModel:
    """The versions that answer, and the switch to others."""

    def __init__(self, api: Api, share: float) -> None:
        """Load the versions in use.

        Args:
            api: of the model.
            share: of the requests, for the challenger.

        Raises:
            DslpError: there is no champion, or it cannot be loaded.
        """
        self.api, self.share, self.loaded = api, share, dict[str, Loaded]()
        self.project, self.name = api.model.project, api.model.name
        self.read_state = registry_state(self.project, self.name)
        self.failure, self.retry_at, self.state = "", 0.0, None
        with suppress(OSError):  # a missing registry is named below
            self.state = self.read_state()
        if not self._switch():
            command = f"uv run dslp model promote {self.name}"
            raise DslpError(f"{self.name} has no champion yet; first: {command}")
        if "champion" not in self.loaded:
            raise DslpError(self.failure)

    def choose(self, key: str) -> Loaded:
        """The version that answers: for a key always the same one, on every server (M12)."""
        loaded = self.loaded
        challenger = loaded.get("challenger")
        if challenger and draw_share(self.name, challenger.version, key) < self.share:
            return challenger
        return loaded["champion"]

    async def watch(self, poll: float) -> None:
        """Follow promotions and rollbacks, for ever; the registry is read each `poll` seconds."""
        while True:
            await asyncio.sleep(poll)
            try:
                await asyncio.to_thread(self._follow)
                REGISTRY_UP.set(1)
            except Exception as error:  # whatever a server may answer that is no registry
                REGISTRY_UP.set(0)
                logger.warning("the registry does not answer: %s", redact(error_line(error)))

    def _follow(self) -> None:
        """Switch if the registry has changed, and now and then after a failure."""
        state = self.read_state()
        if state != self.state or (self.failure and time.monotonic() > self.retry_at):
            self.state, self.failure = state, "the registry did not answer"
            self.retry_at = 0.0  # if it does not answer, it is read at the next poll
            self._switch()

    def _switch(self) -> bool:
        """Load the versions in use, try each, and let them answer from here on.

        A version that cannot be loaded replaces no other. Without a champion nothing changes.
        """
        releases = models_in_use(self.project, self.name, ROLES if self.share else ROLES[:1])
        self.retry_at = time.monotonic() + RETRY
        REGISTRY_UP.set(1)
        self.failure, loaded = "", {}
        if not releases.get("champion"):
            return False
        for role, release in releases.items():
            try:
                if release:
                    loaded[role] = self._load(role, release)
            except DslpError as error:
                self.failure = f"{role} version {release['version']}: {error}"
                FAILED_SWITCHES.inc()
                logger.error("not switched: %s", self.failure)
                if role == "champion" and role in self.loaded:
                    loaded[role] = self.loaded[role]
        if loaded != self.loaded:
            logger.info("serving %s", ", ".join(map(str, loaded.values())))
            self.loaded = loaded
            VERSIONS.clear()
            for role, one in loaded.items():
                VERSIONS.labels(role, one.version).set(1)
        return True

    def _load(self, role: str, release: dict[str, str]) -> Loaded:
        """A version that has predicted once, so that no request waits for its imports."""
        if "error" in release:
            raise DslpError(release["error"])
        facts, folder = dict(release), Path(release["folder"])
        files = facts.pop("files")
        for one in self.loaded.values():
            if one.folder == release["folder"]:
                return Loaded(role, estimator=one.estimator, **facts)
        check_files(folder, files)
        self.api.check(folder)
        estimator, record = load_model(folder), self.api.example
        if record is not None:
            try:
                self.api.predict(estimator, [record])
            except DslpError as error:  # one record is no reason to refuse a version
                logger.warning("version %s is not warmed up: %s", release["version"], error)
        gc.unfreeze()  # the version before may be removed
        gc.collect()
        gc.freeze()  # the garbage collector need not look at the new one
        return Loaded(role, estimator=estimator, **facts)


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
