"""Outpatient visits of people in the RAND Health Insurance Experiment, one row per person and year.

The experiment (1974-1982) assigned families at random to insurance plans that differ in what the
family pays itself. statsmodels carries the public-domain extract of Cameron and Trivedi (2005).
"""

import numpy as np
import pandas as pd
import statsmodels.api as sm

HEALTH = ("poor", "fair", "good", "excellent")


def extract() -> pd.DataFrame:
    """The extract as published: 20,190 person-years and 10 columns, amounts as logarithms."""
    raw: pd.DataFrame = sm.datasets.randhie.load_pandas().data
    return raw


def build(raw: pd.DataFrame) -> pd.DataFrame:
    """Person-years in units that a person can read, with keys for the record and the person.

    The extract has no key of the person. Its records are in the order of the enrolled people, and
    what was measured at enrolment does not change over a person's three or five years: a new
    person begins where any of it changes. Alike people in a row count as one, which is the safe
    side when training and holdout data must not share people.
    """
    enrolment = raw.drop(columns="mdvis")
    changed = enrolment.ne(enrolment.shift()).any(axis="columns")
    return pd.DataFrame(
        {
            "record_id": np.arange(1, len(raw) + 1),
            "person_id": changed.cumsum().to_numpy(),
            "visits": raw["mdvis"].astype("int64"),
            "coinsurance": amount(raw["lncoins"], smallest=0).round(),
            "individual_deductible": raw["idp"].astype(bool),
            "incentive_payment": amount(raw["lpi"], smallest=1),
            "expenditure_ceiling": amount(raw["fmde"], smallest=1),
            "physical_limitation": raw["physlm"],
            "chronic_diseases": raw["disea"],
            "health": self_rated_health(raw),
        }
    )


def amount(logarithm: pd.Series, smallest: float) -> pd.Series:
    """Undo the extract's logarithms: ln(x + 1) where `smallest` is 0, ln(max(1, x)) where it is 1.

    Both map "none" to 0, and so does this. Rounded to cents.
    """
    plain: pd.Series = np.exp(logarithm) - (1 - smallest)
    return plain.where(logarithm > 0, 0.0).round(2)


def self_rated_health(raw: pd.DataFrame) -> pd.Series:
    """One category from three indicators, of which none is set for excellent health."""
    conditions = [raw["hlthp"] == 1, raw["hlthf"] == 1, raw["hlthg"] == 1]
    rated = np.select(conditions, HEALTH[:3], default=HEALTH[3])
    return pd.Series(rated, index=raw.index, dtype="str")
