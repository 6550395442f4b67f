"""The log of predictions: one JSON line each, for monitoring (M9)."""

import json
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from dslp.core.errors import DslpError

WAITING = 10_000  # requests that may wait for the disk
LARGEST = 64_000_000  # characters of a file, after which a new one begins; so does a new day


@dataclass(frozen=True)
class Answered:
    """A request that was answered.

    `facts` belong to the whole request; each of its records becomes a line with its prediction.
    """

    facts: dict[str, Any]
    records: list[Any]
    answers: list[Any]

    def lines(self) -> str:
        """The lines, in the order of the request."""
        head = json.dumps(self.facts)[:-1]
        pairs = zip(self.records, self.answers, strict=True)
        return "".join(
            f'{head}, "row": {row}, "inputs": {record.model_dump_json()}, '
            f'"prediction": {answer.model_dump_json()}}}\n'
            for row, (record, answer) in enumerate(pairs)
        )


class Log:
    """A folder of files that one thread writes, so that no request waits for a disk.

    All lines are in the file when `close` returns.
    """

    def __init__(self, folder: Path, lost: Callable[[int, str], None]) -> None:
        """Begin a file in `folder`; `lost` gets the number of lines that were not written, and why.

        Raises:
            DslpError: nothing can be written there.
        """
        self.folder, self.lost = folder, lost
        self.waiting: queue.Queue[Answered | None] = queue.Queue(WAITING)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._begin()
        except OSError as error:
            reason = f"{error.strerror}; say --log FOLDER"
            raise DslpError(f"predictions cannot be logged in {folder}: {reason}") from None
        self.thread = threading.Thread(target=self._write, name="log", daemon=True)
        self.thread.start()

    def add(self, answered: Answered) -> None:
        """Log it soon; it is lost if too many wait for the disk."""
        try:
            self.waiting.put_nowait(answered)
        except queue.Full:
            self.lost(len(answered.records), "too many wait for the disk")

    def close(self) -> None:
        """Write all that was added, and stop."""
        self.waiting.put(None)
        self.thread.join()

    def _begin(self) -> None:
        """Open a file that nobody else writes: one for each process, day and size."""
        start = datetime.now(UTC)
        self.day, self.size = start.date(), 0
        name = f"{start:%Y%m%dT%H%M%S}-{uuid4().hex[:12]}.jsonl"
        self.file: IO[str] = (self.folder / name).open("x", encoding="utf-8")

    def _write(self) -> None:
        is_open = True
        while is_open:
            batch = [self.waiting.get()]
            while not self.waiting.empty() and len(batch) < 1000:
                batch.append(self.waiting.get())
            is_open = None not in batch
            text = ""
            for answered in filter(None, batch):
                try:
                    text += answered.lines()
                except Exception as error:  # whatever a schema's own serialisation raises
                    self.lost(len(answered.records), str(error))
            try:
                if datetime.now(UTC).date() != self.day or self.size > LARGEST:
                    with suppress(OSError):
                        self.file.close()
                    self._begin()
                self.file.write(text)
                self.file.flush()
                self.size += len(text)
            except Exception as error:  # the thread must go on, or nothing more is logged
                self.lost(text.count("\n"), str(error))
                self.size = LARGEST + 1  # a new file, since this one may end in half a line
        with suppress(OSError):
            self.file.close()
