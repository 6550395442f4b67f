"""What the tests of models share."""

from tests.library.toy import Outcome, Toy


def refused(toy: Toy, *arguments: object, code: int = 2) -> Outcome:
    """Run `dslp model`, which is to end with this exit code."""
    outcome = toy.run("model", *map(str, arguments))
    assert outcome.code == code, outcome
    return outcome
