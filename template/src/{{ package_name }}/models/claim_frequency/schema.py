"""The API of the model, defined once: what it is asked, and what it answers."""

from typing import Literal

from pydantic import BaseModel, Field


class Request(BaseModel):
    """An insured person and their plan; the fields are columns of the dataset."""

    coinsurance: float = Field(ge=0, le=100, description="Percent of the cost paid by the family.")
    individual_deductible: bool = Field(description="Whether each person has a deductible.")
    incentive_payment: float = Field(
        ge=0, description="Payment for taking part, US dollars a year."
    )
    expenditure_ceiling: float = Field(
        ge=0, description="Cost above which the plan pays all, US dollars a year; 0 is none."
    )
    physical_limitation: float = Field(ge=0, le=1, description="Whether physically limited.")
    chronic_diseases: float = Field(ge=0, description="Index of chronic diseases.")
    health: Literal["poor", "fair", "good", "excellent"] = Field(
        description="Health as the person rates it."
    )


class Response(BaseModel):
    """The expected number of outpatient visits in a year."""

    visits: float = Field(ge=0)
