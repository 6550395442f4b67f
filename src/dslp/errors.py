"""Errors that are told to the user in one line: what was wrong, where, and what to do next."""


class DslpError(Exception):
    """The command cannot do its work; it exits with `exit_code` after printing the message."""

    exit_code = 2


class Refused(DslpError):
    """The check says no: the input was understood, and a rule of the process forbids the step."""

    exit_code = 1
