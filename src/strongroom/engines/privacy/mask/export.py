"""Makes tables safe to open in a spreadsheet."""

from typing import Any

import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.mask.arrays import is_text

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

# Blanks that some program takes off the start of a cell, zero-width ones among them.
_BLANK = r"[\x00-\x20\x{00A0}\x{00AD}\x{200B}-\x{200F}\x{2028}\x{2029}\x{2060}\x{3000}\x{FEFF}]"
# Characters that make a spreadsheet take a cell for a formula (OWASP, CSV injection), with their
# full-width, small and superscript forms.
_SIGN = (
    r"[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}\x{FE66}\x{FE62}\x{FE63}\x{FE6B}\x{207A}-\x{207C}"
    r"\x{2212}]"
)
_FORMULA = rf"^(?:[\t\r\n]|{_BLANK}*{_SIGN})"
# A program that splits at semicolons or tabs begins a cell where our writer has none.
_INNER = rf"([;\t\r\n]{_BLANK}*)((?:[=@\x{{FF1D}}\x{{FF20}}])|(?:{_SIGN}[^\s0-9]))"
_NUMBER = (
    r"^[+-]?(?:[0-9]{1,3}(?:[., ][0-9]{3})+|[0-9]+)(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]{1,3})? ?%?$"
)


def without_formulas(batch: pa.RecordBatch) -> pa.RecordBatch:
    """`batch` with an apostrophe before each text or column name that could run as a formula.

    Texts that are plain signed numbers stay as they are. Within a text an apostrophe comes before
    what would be a formula if the file were split at semicolons, tabs or line ends.
    """
    arrays = [
        _guarded(column) if is_text(column.type) else column
        for column in map(_plain, batch.columns)
    ]
    names = [str(name) for name in _guarded(pa.array(batch.schema.names, pa.string())).to_pylist()]
    return pa.RecordBatch.from_arrays(arrays, names)


def _plain(column: "pa.Array[Any]") -> "pa.Array[Any]":
    """The column, decoded where it is a dictionary."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def _guarded(texts: "pa.Array[Any]") -> "pa.Array[Any]":
    risky = pc.and_(
        pc.match_substring_regex(texts, _FORMULA),
        pc.invert(pc.match_substring_regex(texts, _NUMBER)),
    )
    inner = pc.replace_substring_regex(texts, _INNER, r"\1'\2")
    quoted = pc.binary_join_element_wise(pa.scalar("'", texts.type), inner, "")
    guarded: pa.Array[Any] = pc.if_else(risky, quoted, inner)
    return guarded
