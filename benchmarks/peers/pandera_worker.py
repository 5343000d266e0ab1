"""pandera on pandas, lazily: every rule on every row, all failures collected, bad rows set aside.

The second argument says how pandas holds the table: ``str`` (what it reads by default: texts of
Arrow), ``object`` (texts as Python's, as before pandas 3) or ``pyarrow`` (every column Arrow's).
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd
import pandera.pandas as pa


def main() -> None:
    """Read table and rules, then validate once per line of standard input."""
    folder, held = Path(sys.argv[1]), sys.argv[2]
    frame = read(folder / "rows.parquet", held)
    rules = json.loads((folder / "rules.json").read_text())
    schema = make_schema(frame, rules)
    for _ in sys.stdin:
        started = time.perf_counter()
        counts, cases = validate(schema, frame)
        seconds = time.perf_counter() - started
        rows = cases["index"].dropna().unique() if len(cases) else []
        accepted, quarantined = frame.drop(index=rows), frame.loc[rows]
        with_rows = time.perf_counter() - started
        print(json.dumps({
            "seconds": seconds, "with_rows": with_rows, "counts": counts,
            "accepted": len(accepted), "quarantined": len(quarantined),
        }), flush=True)  # fmt: skip


def read(path, held):
    """The table as pandas holds it in one of three ways."""
    if held == "pyarrow":
        return pd.read_parquet(path, dtype_backend="pyarrow")
    frame = pd.read_parquet(path)
    texts = [name for name in frame.columns if frame[name].dtype == "str"]
    return frame.astype(dict.fromkeys(texts, held))


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
                # \Z would keep pandas from asking Arrow; no value ends in a new line
                "pattern": lambda a: pa.Check.str_matches(f"^(?:{a})$"),
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
    """Broken rows per rule, and what pandera tells of each of them."""
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
        counts = {
            f"{kinds[check.partition('(')[0]]} {column}": int(count)
            for (column, check), count in found.items()
        }
        return counts, cases
    return {}, ()


main()
