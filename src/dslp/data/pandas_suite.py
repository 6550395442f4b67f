"""Expectations that SQL cannot say, in Great Expectations on pandas, by its public interface."""

import warnings
from collections.abc import Sequence
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.text import error_line
from dslp.data.dataset import Dataset
from dslp.data.expectations import Outcome
from dslp.data.reading import read_frame


def run_on_pandas(
    dataset: Dataset, expectations: Sequence[tuple[str, str, dict[str, Any]]]
) -> list[Outcome]:
    """The outcomes of expectations (place, type, kwargs) on the rows in memory, in their order.

    Raises:
        DslpError: one of them cannot be read, or cannot be run.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    if (dataset.folder / "expectations.py").is_file():
        dataset.project.module(f"datasets.{dataset.name}.expectations")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("files").add_dataframe_asset(dataset.name)
    whole = asset.add_batch_definition_whole_dataframe("whole")
    batch = whole.get_batch({"dataframe": read_frame(dataset)})
    outcomes = []
    for place, kind, kwargs in expectations:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expectation = ExpectationConfiguration(kind, kwargs).to_domain_obj()
                result = batch.validate(expectation, result_format="BASIC").to_json_dict()
        except Exception as error:  # the library raises anything about a wrong expectation
            raise DslpError(f"{place} cannot be run: {error_line(error)}") from error
        detail, information = result["result"], result["exception_info"]
        for entry in (information, *information.values()):
            if isinstance(entry, dict) and (problem := entry.get("exception_message")):
                hidden = "the reason is not shown, as the data is personal"
                reason = hidden if dataset.sheet.personal_data else problem
                raise DslpError(f"{place} cannot be run: {error_line(reason, 160)}")
        count, observed = detail.get("unexpected_count"), detail.get("observed_value")
        outcomes.append(Outcome(result["success"], count, observed))
    return outcomes
