"""The digest of a table's values."""

import pyarrow as pa

from strongroom.engines.robustness.assessment.fingerprint import rows_digest

TABLE = pa.table({"a": [1.5, None, 3.0], "b": ["x", "", None], "c": [[1], [2, 3], None]})


def test_it_is_of_the_values_however_they_lie() -> None:
    digest = rows_digest(TABLE)
    assert digest.startswith("sha256:")
    pieces = pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)])
    assert rows_digest(pieces) == digest
    at = TABLE.column_names.index("b")
    coded = TABLE.set_column(at, "b", TABLE.column("b").dictionary_encode())
    assert rows_digest(coded) == digest
    assert rows_digest(pa.table({"a": pa.array([], pa.float64())})).startswith("sha256:")


def test_every_change_changes_it() -> None:
    others = [
        TABLE.slice(0, 2),
        TABLE.take([1, 0, 2]),
        TABLE.rename_columns(["a", "b", "d"]),
        TABLE.select(["b", "a", "c"]),
        TABLE.set_column(0, "a", pa.array([1.5, 0.0, 3.0])),
        TABLE.set_column(1, "b", pa.array(["x", None, ""])),
        TABLE.set_column(1, "b", pa.array(["", "x", None])),
    ]
    assert len({rows_digest(TABLE), *map(rows_digest, others)}) == len(others) + 1
