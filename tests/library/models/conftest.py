"""What the tests of models share."""

from tests.library.toy import Outcome, Toy


def refused(toy: Toy, *arguments: object, code: int = 2, error: str = "") -> Outcome:
    """Run `dslp model`, which is to end with this exit code and an error that holds this text."""
    outcome = toy.run("model", *map(str, arguments))
    assert outcome.code == code, outcome
    assert error in outcome.error
    return outcome
