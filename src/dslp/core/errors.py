"""Errors that the user sees as one line: what was wrong, where, and what to do next."""

from collections.abc import Collection
from difflib import get_close_matches

MANY = 20  # words, of which an error shows the nearest alone


class DslpError(Exception):
    """The command cannot run; it prints the message and exits with `exit_code`."""

    exit_code = 2


class Refused(DslpError):
    """The check says no: a rule of the process forbids the step."""

    exit_code = 1


def nearest(word: str, known: Collection[str]) -> str:
    """The end of an error about an unknown word: the most similar known word, and a few others."""
    many = len(known) > MANY
    close = get_close_matches(word, known, n=1, cutoff=0 if many else 0.6)
    if many:
        return f"; do you mean {close[0]}?"
    return f"; {f'do you mean {close[0]}? K' if close else 'k'}nown are {', '.join(known)}"
