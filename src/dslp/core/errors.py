"""Errors that the user sees as one line: what was wrong, where, and what to do next."""

from collections.abc import Collection
from difflib import get_close_matches


class DslpError(Exception):
    """The command cannot run; it prints the message and exits with `exit_code`."""

    exit_code = 2


class Refused(DslpError):
    """The check says no: a rule of the process forbids the step."""

    exit_code = 1


def nearest(word: str, known: Collection[str]) -> str:
    """The end of an error about an unknown word: the most similar known word, and all of them."""
    close = get_close_matches(word, known, n=1)
    return f"; {f'do you mean {close[0]}? K' if close else 'k'}nown are {', '.join(known)}"
