"""pandera on pandas, lazily: every rule on every row, all failures collected."""

import json
import sys
import time
from pathlib import Path

import pandas as pd
import pandera.pandas as pa


def main() -> None:
    """Read table and rules, then validate once per line of standard input."""
    folder = Path(sys.argv[1])
    frame = pd.read_parquet(folder / "rows.parquet")
    rules = json.loads((folder / "rules.json").read_text())
    schema = make_schema(frame, rules)
    for _ in sys.stdin:
        started = time.perf_counter()
        counts = validate(schema, frame)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "counts": counts}), flush=True)


def make_schema(frame, rules):
    """A column per field with its checks; named after the rules."""
    checks, missing, unique = {}, set(), set()
    for kind, column, argument in rules:
        if kind == "missing":
            missing.add(column)
        elif kind == "repeated":
            unique.add(column)
        else:
            check = {
                "below": pa.Check.ge,
                "above": pa.Check.le,
                "not among": pa.Check.isin,
                "pattern": lambda a: pa.Check.str_matches(rf"^(?:{a})\Z"),
                "longer": lambda a: pa.Check.str_length(max_value=a),
            }[kind](argument)
            checks.setdefault(column, []).append(check)
    return pa.DataFrameSchema({
        column: pa.Column(
            checks=checks.get(column, []), nullable=column not in missing,
            unique=column in unique, report_duplicates="exclude_first",
        )
        for column in frame.columns
    })  # fmt: skip


def validate(schema, frame):
    """Broken rows per rule."""
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        found = cases.groupby(["column", "check"], observed=True).size()
        kinds = {
            "not_nullable": "missing", "field_uniqueness": "repeated", "isin": "not among",
            "greater_than_or_equal_to": "below", "less_than_or_equal_to": "above",
            "str_matches": "pattern", "str_length": "longer",
        }  # fmt: skip
        return {
            f"{kinds[check.partition('(')[0]]} {column}": int(count)
            for (column, check), count in found.items()
        }
    return {}


main()
