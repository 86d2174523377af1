"""A digest of a table's values, so that a list of its rows is not used on other ones."""

from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa

_PIECE = 100_000


def rows_digest(table: pa.Table) -> str:
    """`sha256:` and the digest of names, order and values as texts, however they are chunked.

    The type of a column counts only by the texts that it gives: `1` and `1.0` differ.
    """
    found = sha256(f"strongroom rows 1\0{table.num_rows}".encode())
    for name in table.column_names:
        found.update(f"\0{len(name)} {name}".encode())
        for at in range(0, table.num_rows, _PIECE):
            texts = _texts(table.column(name).slice(at, _PIECE))
            encoded = [b"" if one is None else one.encode() for one in texts]
            lengths = [
                -1 if one is None else len(bare) for one, bare in zip(texts, encoded, strict=True)
            ]
            found.update(np.array(lengths, dtype="<i8").tobytes())
            found.update(b"".join(encoded))
    return f"sha256:{found.hexdigest()}"


def _texts(column: Any) -> list[str | None]:  # noqa: ANN401 # a chunked array of any type
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        found = column.cast(pa.large_string()).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # nested, or bytes that are no text
        found = [None if one is None else repr(one) for one in column.to_pylist()]
    return list(found)
