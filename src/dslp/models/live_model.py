"""What a server serves, and the switch to what the registry says is in use by now (M7, M12)."""

import asyncio
import gc
import hashlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.text import redact
from dslp.models.api import Api
from dslp.models.model_files import models_in_use, registry_state
from dslp.models.persistence import check_files, load_model
from dslp.models.prediction_log import Log
from dslp.models.predictor import Loaded, Predictor
from dslp.models.serving_metrics import Metrics
from dslp.tracking.connection import registry_uri, tracking_uri

AGAIN = 60  # seconds until a version that could not be loaded is tried again
ROLES = ("champion", "challenger")

logger = logging.getLogger("dslp.serve")


def draw_share(name: str, challenger: str, key: str) -> float:
    """Where a key stands between 0 and 1, and another place for each challenger."""
    text = "\0".join((name, challenger, key))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


class Serving:
    """What is served, and the switch to what is in use by now."""

    def __init__(self, api: Api, share: float, log: Path, poll: float) -> None:
        """Load what is in use.

        Args:
            api: what is asked and answered.
            share: of the requests, for the challenger.
            log: folder of the predictions.
            poll: seconds between two looks at the registry.

        Raises:
            DslpError: there is no champion, or it cannot be loaded.
        """
        self.api, self.share, self.poll = api, share, poll
        self.again = time.monotonic() + AGAIN
        self.metrics, self.predictor = Metrics(), Predictor(api)
        self.last: Any = None  # a record that was asked for: what a new version is tried with
        self.roles = ROLES if share else ROLES[:1]
        self.look = registry_state(api.model.project, api.model.name)
        self.seen: object = None
        self.seen = self._glance()
        self.loaded: dict[str, Loaded] = {}
        with ThreadPoolExecutor(1) as meanwhile:
            asked = meanwhile.submit(self._in_use)
            with suppress(ImportError):  # what nearly every model needs, and takes a second or two
                import_module("pandas"), import_module("skops.io")
            found = asked.result()
        self.metrics.registry_up.set(1)
        if not found.get("champion"):
            raise DslpError(
                f"{api.model.name} has no champion yet; first: uv run dslp model promote"
            )
        self.failed = self.switch(found)
        if "champion" not in self.loaded:
            raise DslpError(self.failed)
        self.log = Log(log, self._lost)

    def choose(self, key: str) -> Loaded:
        """Who answers: the same one each time for a key, whoever asks and wherever (M12)."""
        loaded = self.loaded
        if "challenger" in loaded:
            about = (self.api.model.name, loaded["challenger"].version, key)
            if draw_share(*about) < self.share:
                return loaded["challenger"]
        return loaded["champion"]

    def switch(self, found: dict[str, Any]) -> str:
        """Load what is in use aside, try it, and let it answer from now on.

        A version that cannot be loaded takes nobody's place.

        Returns:
            What went wrong, if something did.
        """
        now, failed = dict(self.loaded), ""
        for role in ROLES:
            release = found.get(role)
            if not release:
                now.pop(role, None)
                continue
            try:
                if "error" in release:
                    raise DslpError(release["error"])
                facts = {name: release[name] for name in ("version", "semantic", "run", "folder")}
                known = {one.folder: one.estimator for one in self.loaded.values()}
                estimator = known.get(release["folder"]) or self._ready(release)
                now[role] = Loaded(role, estimator=estimator, **facts)
            except DslpError as error:
                failed = f"{role} version {release['version']}: {error}"
                self.metrics.failed_switches.inc()
                logger.error("not switched", extra={"facts": {"reason": failed}})
                if role == "challenger":
                    now.pop(role, None)
        if now != self.loaded:
            said = {role: one.identity for role, one in now.items()}
            logger.info("serving", extra={"facts": said})
            self.loaded = now
            self.metrics.serving(now)
        return failed

    def _ready(self, release: dict[str, str]) -> Any:
        """A version that has predicted once, so that nobody waits for what it imports late."""
        folder = Path(release["folder"])
        check_files(folder, release["files"])
        self.api.check(folder)
        estimator, record = load_model(folder), self.last or self.api.example
        if record is not None:
            try:
                self.api.predict(estimator, [record])
            except DslpError as error:  # one record is no reason to refuse a version
                logger.warning("not warmed up", extra={"facts": {"reason": str(error)}})
        gc.unfreeze()  # what was served before may go
        gc.collect()
        gc.freeze()  # what lives as long as the model need not be looked through again and again
        return estimator

    async def watch(self) -> None:
        """Follow promotions and rollbacks, for ever."""
        while True:
            await asyncio.sleep(self.poll)
            try:
                await asyncio.to_thread(self._turn)
            except Exception as error:  # whatever a look or a switch raises, the next one is due
                self.metrics.failed_switches.inc()
                logger.error("not switched", extra={"facts": {"reason": redact(str(error))[:200]}})

    def _turn(self) -> None:
        """Look once, and follow what is seen; now and then, too, where there is nothing to see."""
        seen = self._glance()
        due = (self.failed or seen is None) and time.monotonic() > self.again
        if seen != self.seen or due:
            self.again = time.monotonic() + AGAIN
            self.seen, self.failed = seen, "it was not tried to the end"
            self.failed = self._follow()

    def _in_use(self) -> dict[str, Any]:
        return models_in_use(self.api.model.project, self.api.model.name, self.roles)

    def _follow(self) -> str:
        """Ask what is in use, and switch to it; what went wrong, if something did."""
        try:
            found = self._in_use()
        except DslpError as error:
            self.metrics.registry_up.set(0)
            logger.warning("the registry does not answer", extra={"facts": {"reason": str(error)}})
            return str(error)
        self.metrics.registry_up.set(1)
        return self.switch(found) if found.get("champion") else ""

    def _glance(self) -> object:
        """What a look at the registry shows; None where there is none, or it fails."""
        if self.look is None:
            return None
        try:
            return self.look()
        except Exception as error:  # whatever a server may answer that is no registry
            if self.seen is not None:  # its text may hold the address with all that is in it
                address = redact(registry_uri(tracking_uri(self.api.model.project)))
                facts = {"reason": type(error).__name__, "address": address}
                logger.warning("a look at the registry failed", extra={"facts": facts})
            return None

    def _lost(self, lines: int, reason: str) -> None:
        self.metrics.lost_predictions.inc(lines)
        logger.error("not logged", extra={"facts": {"predictions": lines, "reason": reason}})
