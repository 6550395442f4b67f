"""The log of predictions: one JSON line each, for monitoring (M9)."""

import asyncio
import json
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from dslp.core.errors import DslpError
from prometheus_client import Counter

WAITING = 100_000  # records that may wait for the disk
LARGEST = 64_000_000  # bytes of a file, after which a new one begins; so does a new day
PAUSE = 0.01  # seconds between two writes
RETRY = 0.2  # seconds after a write that failed
LOST = Counter("dslp_lost_predictions", "Predictions that were not logged.")
BEGUN_ANEW = Counter("dslp_log_begun_anew", "Files of the log that were deleted, and begun anew.")

logger = logging.getLogger("dslp.serve")


class Log:
    """A folder of files that are written in another thread, so that no request waits for a disk.

    If the file or the folder is deleted, a new one begins with the lines that were to be written.
    """

    def __init__(self, folder: Path) -> None:
        """Begin a file.

        Raises:
            DslpError: nothing can be written there.
        """
        self.waiting = list[tuple[dict[str, Any], list[Any], list[Any]]]()
        self.folder, self.records = folder, 0
        try:
            self._begin()
        except OSError as error:
            reason = f"{error.strerror}; say --log FOLDER"
            raise DslpError(f"predictions cannot be logged in {folder}: {reason}") from None

    def add(self, facts: dict[str, Any], records: list[Any], answers: list[Any]) -> None:
        """Log a request soon: a line for each record, with the facts about the whole request."""
        if self.records + len(records) > WAITING:
            self._lose(len(records), "too many records wait for the disk")
            return
        self.waiting.append((facts, records, answers))
        self.records += len(records)

    async def write_all(self, ended: asyncio.Event) -> None:
        """Write what is added, until the server has ended and all is written."""
        while self.waiting or not ended.is_set():
            if self.waiting:
                with suppress(RuntimeError):  # no thread can be started: the next time
                    await asyncio.to_thread(self._write)
                self.records = sum(len(records) for _, records, _ in self.waiting)
            await asyncio.sleep(RETRY if self.broken else PAUSE)

    def _begin(self) -> None:
        """A file that nobody else writes: one for each process, day and size."""
        start = datetime.now(UTC)
        name = f"{start:%Y%m%dT%H%M%S}-{uuid4().hex[:12]}.jsonl"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file: IO[bytes] = (self.folder / name).open("xb", buffering=0)
        self.day, self.broken = start.date(), False

    def _write(self) -> None:
        batch, self.waiting = self.waiting, []
        text = ""
        for facts, records, answers in batch:
            try:
                text += lines(facts, records, answers)
            except Exception as error:  # whatever a schema's own serialisation raises
                self._lose(len(records), error)
        data = left = text.encode()
        try:
            while left:
                today = datetime.now(UTC).date()
                if self.broken or today != self.day or self.file.tell() > LARGEST:
                    self._replace()
                self.broken = True  # a file that may end in half a line is not continued
                while left:  # a write may end before the disk is full
                    left = left[self.file.write(left) :]
                self.broken = False
                if not os.fstat(self.file.fileno()).st_nlink:
                    BEGUN_ANEW.inc()
                    left, self.broken = data, True
        except Exception as error:  # whatever the disk does, the next lines are tried again
            self._lose(left.count(b"\n"), error)

    def _replace(self) -> None:
        self.broken = True
        with suppress(OSError):
            self.file.close()
        self._begin()

    def _lose(self, predictions: int, reason: object) -> None:
        LOST.inc(predictions)
        logger.error("%d predictions are not logged: %s", predictions, reason)


def lines(facts: dict[str, Any], records: list[Any], answers: list[Any]) -> str:
    """The lines of a request, in the order of its records."""
    head = json.dumps(facts)[:-1]
    return "".join(
        f'{head}, "row": {row}, "inputs": {record.model_dump_json(by_alias=True)}, '
        f'"prediction": {answer.model_dump_json(by_alias=True)}}}\n'
        for row, (record, answer) in enumerate(zip(records, answers, strict=True))
    )
