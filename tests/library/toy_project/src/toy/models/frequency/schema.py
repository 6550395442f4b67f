"""What is asked and answered."""

from typing import Literal

from pydantic import BaseModel


class Request(BaseModel):
    """A visit to come."""

    amount: float
    kind: Literal["home", "office"]


class Response(BaseModel):
    """How many."""

    visits: float
