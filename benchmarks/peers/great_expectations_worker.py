"""Great Expectations on pandas: one expectation per rule, five examples each."""

import json
import logging
import sys
import time
import warnings
from pathlib import Path

import great_expectations as gx
import pandas as pd

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)


def main() -> None:
    """Read table and rules, then validate once per line of standard input."""
    folder = Path(sys.argv[1])
    frame = pd.read_parquet(folder / "rows.parquet")
    rules = json.loads((folder / "rules.json").read_text())
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="rules", expectations=[expectation(*r) for r in rules])
    for _ in sys.stdin:
        started = time.perf_counter()
        result = batch.validate(suite, result_format={
            "result_format": "SUMMARY", "partial_unexpected_count": 5,
        })  # fmt: skip
        counts = {
            item.expectation_config.meta["rule"]: int(item.result["unexpected_count"])
            for item in result.results
        }
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "counts": counts}), flush=True)


def expectation(kind, column, argument):
    """The expectation that says the same as a rule."""
    meta = {"rule": f"{kind} {column}"}
    gxe = gx.expectations
    if kind == "missing":
        return gxe.ExpectColumnValuesToNotBeNull(column=column, meta=meta)
    if kind == "below":
        return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=argument, meta=meta)
    if kind == "above":
        return gxe.ExpectColumnValuesToBeBetween(column=column, max_value=argument, meta=meta)
    if kind == "not among":
        return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=argument, meta=meta)
    if kind == "pattern":
        regex = f"^(?:{argument})$"  # as pandera's
        return gxe.ExpectColumnValuesToMatchRegex(column=column, regex=regex, meta=meta)
    if kind == "longer":
        return gxe.ExpectColumnValueLengthsToBeBetween(column=column, max_value=argument, meta=meta)
    return gxe.ExpectColumnValuesToBeUnique(column=column, meta=meta)


main()
