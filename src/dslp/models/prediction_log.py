"""The log of predictions: JSON lines, one each, from which drift and quality are told (M9)."""

import json
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from dslp.core.errors import DslpError

WAITING = 10_000  # requests that may wait for the disk
LARGEST = 64_000_000  # characters of a file, after which a new one begins; so does a new day


@dataclass(frozen=True)
class Answered:
    """A request that was answered, and by what.

    `facts` are those of the whole request; each of its records is a line with one prediction.
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

    A line is on its way to the file at once, and in it when `close` returns.
    """

    def __init__(self, folder: Path, lost: Callable[[int, str], None]) -> None:
        """Begin a file in `folder`; `lost` is told of lines that cannot be written, and why.

        Raises:
            DslpError: nothing can be written there.
        """
        self.folder, self.lost = folder, lost
        self.waiting: queue.Queue[Answered | None] = queue.Queue(WAITING)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._begin()
        except OSError as error:
            raise DslpError(
                f"predictions cannot be logged in {folder}: {error.strerror}; say --log FOLDER"
            ) from None
        self.thread = threading.Thread(target=self._write, name="log", daemon=True)
        self.thread.start()

    def add(self, answered: Answered) -> None:
        """Log it soon, or lose it where the disk is that far behind."""
        try:
            self.waiting.put_nowait(answered)
        except queue.Full:
            self.lost(len(answered.records), "too many wait for the disk")

    def close(self) -> None:
        """Return when all that was added is in the file."""
        self.waiting.put(None)
        self.thread.join()

    def _begin(self) -> None:
        """Open a file that nobody else writes: one for each process, day and size."""
        now = datetime.now(UTC)
        self.day, self.size = now.date(), 0
        for number in range(1000):
            name = f"{now:%Y%m%dT%H%M%S}-{os.getpid()}-{number}.jsonl"
            try:
                self.file: IO[str] = (self.folder / name).open("x", encoding="utf-8")
                return
            except FileExistsError:
                continue
        raise FileExistsError(17, "there are too many files of this second")

    def _write(self) -> None:
        open_for_more = True
        while open_for_more:
            found = [self.waiting.get()]
            while not self.waiting.empty() and len(found) < 1000:
                found.append(self.waiting.get())
            open_for_more = None not in found
            text = ""
            for answered in filter(None, found):
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
            except Exception as error:  # of this thread, or nothing more would be logged
                self.lost(text.count("\n"), str(error))
                self.size = LARGEST + 1  # a new file, since this one may end in half a line
        with suppress(OSError):
            self.file.close()
