"""Makes tables safe to open in a spreadsheet."""

from typing import Any

import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.mask.methods import is_text

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

# Characters that make a spreadsheet take a cell for a formula (OWASP, CSV injection), and their
# full-width forms.
_FORMULA = r"^[\s]*[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
_NUMBER = r"^[+-]?[0-9]+(?:[.,][0-9]+)?$"


def without_formulas(batch: pa.RecordBatch) -> pa.RecordBatch:
    """`batch` with an apostrophe before each text or column name that could run as a formula.

    Texts that are plain signed numbers stay as they are.
    """
    arrays = []
    for column in batch.columns:
        if is_text(column.type):
            risky = pc.and_(
                pc.match_substring_regex(column, _FORMULA),
                pc.invert(pc.match_substring_regex(column, _NUMBER)),
            )
            guarded = pc.binary_join_element_wise(pa.scalar("'", column.type), column, "")
            column = pc.if_else(risky, guarded, column)  # noqa: PLW2901 # the guarded column
        arrays.append(column)
    names = pc.if_else(
        pc.match_substring_regex(pa.array(batch.schema.names, pa.string()), _FORMULA),
        pc.binary_join_element_wise("'", pa.array(batch.schema.names, pa.string()), ""),
        pa.array(batch.schema.names, pa.string()),
    )
    return pa.RecordBatch.from_arrays(arrays, names.to_pylist())
