"""The loaded versions of a server, and the switch to those that the registry names (M7, M12)."""

import asyncio
import gc
import hashlib
import logging
import time
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.text import error_line, redact
from dslp.models.api import Api
from dslp.models.model_files import models_in_use, registry_state
from dslp.models.persistence import check_files, load_model
from dslp.models.prediction_log import Log
from dslp.models.predictor import Loaded, Predictor
from dslp.models.serving_metrics import Metrics
from dslp.tracking.connection import registry_uri, tracking_uri

RETRY = 60  # seconds until a version that could not be loaded is tried again
ROLES = ("champion", "challenger")

logger = logging.getLogger("dslp.serve")


def draw_share(name: str, challenger: str, key: str) -> float:
    """A number between 0 and 1 for a key, always the same, and another one for each challenger."""
    text = "\0".join((name, challenger, key))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


class Serving:
    """The versions that answer, and the switch to others."""

    def __init__(self, api: Api, share: float, log: Path, poll: float) -> None:
        """Load the versions in use.

        Args:
            api: of the model.
            share: of the requests, for the challenger.
            log: folder of the predictions.
            poll: seconds between two checks of the registry.

        Raises:
            DslpError: there is no champion, or it cannot be loaded.
        """
        self.api, self.share, self.poll = api, share, poll
        self.retry_at = time.monotonic() + RETRY
        self.metrics, self.predictor = Metrics(), Predictor(api)
        self.roles = ROLES if share else ROLES[:1]
        self.read_state = registry_state(api.model.project, api.model.name)
        self.state: object = None
        self.state = self._registry_state()
        self.loaded: dict[str, Loaded] = {}
        releases = self._in_use()
        self.metrics.registry_up.set(1)
        if not releases.get("champion"):
            name = api.model.name
            raise DslpError(f"{name} has no champion yet; first: uv run dslp model promote {name}")
        self.failure = self.switch(releases)
        if "champion" not in self.loaded:
            raise DslpError(self.failure)
        self.log = Log(log, self._lost)

    def choose(self, key: str) -> Loaded:
        """The version that answers: for a key always the same one, on every server (M12)."""
        loaded = self.loaded
        challenger = loaded.get("challenger")
        if challenger and draw_share(self.api.model.name, challenger.version, key) < self.share:
            return challenger
        return loaded["champion"]

    def switch(self, releases: dict[str, Any]) -> str:
        """Load the versions in use, try each, and let them answer from here on.

        A version that cannot be loaded replaces no other.

        Returns:
            The error, if there was one.
        """
        loaded, failure = dict(self.loaded), ""
        for role in ROLES:
            release = releases.get(role)
            if not release:
                loaded.pop(role, None)
                continue
            try:
                if "error" in release:
                    raise DslpError(release["error"])
                facts = {name: release[name] for name in ("version", "semantic", "run", "folder")}
                estimators = {one.folder: one.estimator for one in self.loaded.values()}
                estimator = estimators.get(release["folder"]) or self._load(release)
                loaded[role] = Loaded(role, estimator=estimator, **facts)
            except DslpError as error:
                failure = f"{role} version {release['version']}: {error}"
                self._not_switched(failure)
                if role == "challenger":
                    loaded.pop(role, None)
        if loaded != self.loaded:
            identities = {role: one.identity for role, one in loaded.items()}
            logger.info("serving", extra={"facts": identities})
            self.loaded = loaded
            self.metrics.serving(loaded)
        return failure

    def _load(self, release: dict[str, str]) -> Any:
        """A version that has predicted once, so that no request waits for its imports."""
        folder = Path(release["folder"])
        check_files(folder, release["files"])
        self.api.check(folder)
        estimator, record = load_model(folder), self.api.example
        if record is not None:
            try:
                self.api.predict(estimator, [record])
            except DslpError as error:  # one record is no reason to refuse a version
                logger.warning("not warmed up", extra={"facts": {"reason": str(error)}})
        gc.unfreeze()  # the version before may be removed
        gc.collect()
        gc.freeze()  # the garbage collector need not look at the new one
        return estimator

    async def watch(self) -> None:
        """Follow promotions and rollbacks, for ever."""
        while True:
            await asyncio.sleep(self.poll)
            try:
                await asyncio.to_thread(self._follow)
            except Exception as error:  # whatever was raised, the next look follows
                self._not_switched(error_line(error))

    def _follow(self) -> None:
        """Switch if the registry has changed; at times also if its state cannot be read."""
        state = self._registry_state()
        due = (self.failure or state is None) and time.monotonic() > self.retry_at
        if state == self.state and not due:
            return
        self.retry_at = time.monotonic() + RETRY
        self.state, self.failure = state, "the switch did not end"
        try:
            releases = self._in_use()
        except DslpError as error:
            self.metrics.registry_up.set(0)
            logger.warning("the registry does not answer", extra={"facts": {"reason": str(error)}})
            self.failure = str(error)
            return
        self.metrics.registry_up.set(1)
        self.failure = self.switch(releases) if releases.get("champion") else ""

    def _in_use(self) -> dict[str, Any]:
        return models_in_use(self.api.model.project, self.api.model.name, self.roles)

    def _registry_state(self) -> object:
        """The state of the registry; None if it cannot be read."""
        try:
            return self.read_state()
        except Exception as error:  # whatever a server may answer that is no registry
            if self.state is not None:  # the error's text may hold the whole address
                address = redact(registry_uri(tracking_uri(self.api.model.project)))
                facts = {"reason": type(error).__name__, "address": address}
                logger.warning("the registry cannot be read", extra={"facts": facts})
            return None

    def _not_switched(self, reason: str) -> None:
        self.metrics.failed_switches.inc()
        logger.error("not switched", extra={"facts": {"reason": reason}})

    def _lost(self, lines: int, reason: str) -> None:
        self.metrics.lost_predictions.inc(lines)
        logger.error("not logged", extra={"facts": {"predictions": lines, "reason": reason}})
