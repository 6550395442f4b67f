"""Errors that are told to the user in one line: what was wrong, where, and what to do next."""

from collections.abc import Collection
from difflib import get_close_matches


class DslpError(Exception):
    """The command cannot do its work; it exits with `exit_code` after printing the message."""

    exit_code = 2


class Refused(DslpError):
    """The check says no: the input was understood, and a rule of the process forbids the step."""

    exit_code = 1


def nearest(word: str, known: Collection[str]) -> str:
    """The end of an error about an unknown word: the known word most like it, and all of them."""
    close = get_close_matches(word, known, n=1)
    return f"; {f'do you mean {close[0]}? K' if close else 'k'}nown are {', '.join(known)}"
