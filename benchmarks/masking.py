"""Masking by method against a plain copy of the table, and what people write themselves as peer.

A table of 200,000 rows, one column a method; speeds are of clear Arrow bytes in per CPU-second,
each the median of rounds. The copy writes every value anew, which is the least any mask does. The
peers are pandas with Faker and hashlib, a function applied to each value, on fewer rows: they give
other values on each run, or a hash that anybody can guess.
"""

import hashlib
import random
import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from faker import Faker

from strongroom.engines.privacy.discover.findings import (
    ColumnFinding,
    ColumnProfile,
    SampleGuarantee,
    Shape,
    TableFindings,
)
from strongroom.engines.privacy.discover.rules.registry import role_of
from strongroom.engines.privacy.discover.text.finder import text_finder
from strongroom.engines.privacy.mask.hiding import count_values
from strongroom.engines.privacy.mask.plan import MaskPlan, mask_batches, plan_masks
from strongroom.engines.privacy.mask.policy_file import parse_policy
from strongroom.engines.privacy.mask.tokens import TokenFile

ROWS = 200_000
FEW_ROWS = 10_000
"""For what takes long: stand-ins, tokens, texts and the peers."""
BATCH_ROWS = 1 << 16
ROUNDS = 3
KEY = bytes(range(32))

METHODS = {
    "keep": ("score", None, '"keep"', ROWS),
    "keep_common": ("ward", None, '"keep_common"', ROWS),
    "redact": ("email", "email", '"redact"', ROWS),
    "partial": ("email", "email", '{ method = "partial", keep_first = 1 }', ROWS),
    "hash, all different": ("email", "email", '"hash"', ROWS),
    "hash, 1,000 different": ("doctor", "person_name", '"hash"', ROWS),
    "tokenize": ("email", "email", '"tokenize"', ROWS),
    "generalize a number": ("score", None, '"generalize"', ROWS),
    "generalize a date": ("seen", "date", '"generalize"', ROWS),
    "generalize a postcode": ("postcode", "postcode", '"generalize"', ROWS),
    "shift_date": ("seen", "date", '"shift_date"', ROWS),
    "noise, by value": ("score", None, '"noise"', ROWS),
    "noise, by row": ("score", None, '{ method = "noise", per = "row" }', ROWS),
    "stand_in, 1,000 names": ("doctor", "person_name", '"stand_in"', ROWS),
    "stand_in, e-mail": ("email", "email", '"stand_in"', FEW_ROWS),
    "stand_in, card, wrong check": ("card", "payment_card", '"stand_in"', FEW_ROWS),
    "mask_spans, patterns only": ("note", None, '"mask_spans"', FEW_ROWS),
}
"""Title → column, its type, rule, rows."""


def _table(rows: int) -> pa.Table:
    """Made-up patients; the same on every run."""
    chance = np.random.default_rng(7)
    doctors = [f"Doctor{n % 40} Name{n}" for n in range(1_000)]
    days = [date(2020, 1, 1) + timedelta(days=n) for n in range(1_500)]
    wards = ["north", "south", "east", "west"]
    numbers = range(rows)
    return pa.table(
        {
            "patient": [f"P{n // 4:07}" for n in numbers],
            "email": [f"patient{n}@clinic{n % 97}.org" for n in numbers],
            "doctor": [doctors[n] for n in chance.integers(0, 1_000, rows)],
            "ward": [wards[n] for n in chance.integers(0, 4, rows)],
            "postcode": [f"{n:05}" for n in chance.integers(1_000, 99_999, rows)],
            "card": [f"4{n:015}" for n in chance.integers(0, 10**15, rows)],
            "seen": [days[n] for n in chance.integers(0, 1_500, rows)],
            "score": chance.normal(50, 10, rows),
            "note": [
                f"seen on 2024-03-{n % 28 + 1:02}, wrote to a{n}@clinic.org, otherwise well"
                for n in numbers
            ],
        }
    )


def _plan(table: pa.Table, column: str, type_name: str | None, rule: str) -> MaskPlan:
    profile = ColumnProfile("string", Shape.CATEGORY, 10, 0, 3, 0, 4.0)
    finding = ColumnFinding(column, type_name, role_of(type_name), 0.9, (), profile)
    findings = TableFindings((finding,), (), SampleGuarantee(10, 10, 0.0, 0.0))
    policy = parse_policy(f"[columns]\n{column} = {rule}\npatient = 'drop'")
    subject = "patient" if "shift" in rule else None
    chosen = [column, "patient"] if subject else [column]
    return plan_masks(
        table.select(chosen).schema, findings, policy, subject,
        counts=count_values(table.slice(0, 2_000)),
    )  # fmt: skip


def _seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median CPU-seconds."""
    seen = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        seen.append(time.process_time() - started)
    return statistics.median(seen)


def _methods(table: pa.Table) -> None:
    finder = text_finder(model=False)
    print(f"{'method':<32} {'MB/s':>8} {'M values/s':>11} {'of a copy':>10}")
    for title, (column, type_name, rule, rows) in METHODS.items():
        part = table.slice(0, rows)
        plan = _plan(part, column, type_name, rule)
        chosen = part.select(plan.source.names)
        batches = chosen.combine_chunks().to_batches(BATCH_ROWS)
        size = chosen[column].nbytes

        def mask(batches: list[pa.RecordBatch] = batches, plan: MaskPlan = plan) -> None:
            for _ in mask_batches(batches, plan, KEY, tokens=TokenFile(), finder=finder):
                pass

        def copy(batches: list[pa.RecordBatch] = batches, column: str = column) -> None:
            for batch in batches:
                values: Any = batch.column(column)
                values.take(pa.array(np.arange(len(values))))

        spent, least = _seconds(mask, 1 if rows == FEW_ROWS else ROUNDS), _seconds(copy)
        print(
            f"{title:<32} {size / spent / 1e6:8.1f} {rows / spent / 1e6:11.2f} "
            f"{least / spent:10.1%}"
        )


def _peers(table: pa.Table) -> None:
    frame = table.slice(0, FEW_ROWS).to_pandas()
    Faker.seed(7)
    fake = Faker("en_US")
    remembered: dict[str, str] = {}

    def stand_in(value: str) -> str:
        if value not in remembered:
            remembered[value] = fake.email()
        return remembered[value]

    peers: dict[str, tuple[str, Callable[[Any], object]]] = {
        "pandas, SHA-256 without a key": (
            "email", lambda value: hashlib.sha256(value.encode()).hexdigest()
        ),
        "pandas, Faker e-mail, remembered": ("email", stand_in),
        "pandas, first letter and stars": (
            "email", lambda value: value[0] + "*" * (len(value) - 1)
        ),
        "pandas, date by a random shift": (
            "seen", lambda value: value + timedelta(days=random.randint(-365, 365))
        ),
    }  # fmt: skip
    print(f"\npeers, {FEW_ROWS} rows")
    for title, (column, change) in peers.items():
        size = table.slice(0, FEW_ROWS).select([column]).nbytes
        values: pd.Series[Any] = frame[column]
        spent = _seconds(lambda values=values, change=change: values.map(change), 1)  # type: ignore[misc] # bound at once
        print(f"{title:<32} {size / spent / 1e6:8.1f} {FEW_ROWS / spent / 1e6:11.2f}")


def main() -> None:
    """Print every speed."""
    table = _table(ROWS)
    _methods(table)
    _peers(table)


if __name__ == "__main__":
    main()
