"""Forms of tables: apart from other types, for offline commands need no validation library."""

from enum import StrEnum


class TableFormat(StrEnum):
    """Forms in which a table comes and goes."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROW = "arrow"
