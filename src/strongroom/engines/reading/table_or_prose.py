"""Whether text with delimiters is a table or prose: a comma stands in letters, too.

In a table the delimiter cuts most lines into as many fields as the first, which holds names or
values. In prose a blank follows each comma; a table written that way must have names above numbers
or dates, or names that are words of code.
"""

import re2

from strongroom.engines.reading.csv_dialect import (
    DELIMITERS,
    find_delimiter,
    first_rows,
    kind_of,
    without_quoted,
)

_LOOKED_AT = 1 << 16
_LINES = 200
_SPACED_SHARE = 0.8
_TYPED_SHARE = 0.8
_EVEN_SHARE = 0.9
_PROSE_WORDS = 7
_NAME_WORDS = 6
_THOUSANDS = re2.compile(r"\d,\d{3}\b")
_SPACED_COMMA = re2.compile(r",(?:\s|$)")
_CODE_NAME = re2.compile(r"[a-z_][a-z0-9_]*")
_SENTENCE_END = (".", "!", "?", ":", ";", "{", "}")


def table_delimiter(text: str, *, named_text: bool) -> str | None:
    """The delimiter that makes a table of `text`, the beginning of a file; None: it is none.

    Args:
        text: without blank lines before it.
        named_text: the name of the file says text, so one row alone is no table.
    """
    text = text[:_LOOKED_AT]
    lines = _lines(text)
    delimiter = find_delimiter(text)
    wanted = lines[0].count(delimiter)
    if delimiter not in DELIMITERS or not wanted:
        return None
    alike = sum(1 for line in lines if line.count(delimiter) == wanted) / len(lines)
    # Quoted fields may hold delimiters and line ends.
    if alike <= 0.5 and '"' not in text:
        return None
    if len(lines) == 1 and (named_text or _is_prose(lines, text)):
        return None
    rows = first_rows(text, delimiter)
    if not rows or len(rows[0]) < 2 or not _may_begin(rows[0], delimiter):
        return None
    if is_spaced(text) if delimiter == "," else named_text and _is_prose(lines, text):
        return delimiter if _has_names_above(rows, alike, named_text=named_text) else None
    return delimiter


def is_prose(text: str) -> bool:
    """Whether text without a delimiter is prose, rather than a table of one column."""
    text = text[:_LOOKED_AT]
    return _is_prose(_lines(text), text) or is_spaced(text)


def is_spaced(text: str) -> bool:
    """Whether blanks or line ends follow the commas, as in prose; false without a comma."""
    bare = "\n".join(without_quoted(text).splitlines()[:_LINES])
    commas = bare.count(",") - len(_THOUSANDS.findall(bare))
    return commas > 0 and len(_SPACED_COMMA.findall(bare)) >= _SPACED_SHARE * commas


def _lines(text: str) -> list[str]:
    lines = [line for line in text.splitlines()[:_LINES] if line.strip()] or [""]
    if len(lines) > 1 and len(text) > _LOOKED_AT // 2:
        lines = lines[:-1]  # it may be cut
    return lines


def _is_prose(lines: list[str], text: str) -> bool:
    words = sum(len(line.split()) for line in lines) / len(lines)
    return words >= _PROSE_WORDS or "\n\n" in text.strip()


def _may_begin(first: list[str], delimiter: str) -> bool:
    """Whether a first row may hold names or values: no indent, no sentence, no line of code."""
    if delimiter in "\t|" and not first[0].strip():
        return False
    if any(kind_of(cell) not in {"text", "empty"} for cell in first):
        return True
    last = first[-1].rstrip()
    if last.endswith(_SENTENCE_END):
        return False
    return all(len(cell.split()) <= _NAME_WORDS for cell in first)


def _has_names_above(rows: list[list[str]], alike: float, *, named_text: bool) -> bool:
    """Whether the first row names what is below: words above numbers, or words of code."""
    names, below = [cell.strip() for cell in rows[0]], rows[1:]
    if alike < _EVEN_SHARE or not below or any(kind_of(name) != "text" for name in names):
        return False
    for column in range(len(names)):
        kinds = [kind_of(row[column]) for row in below if column < len(row)]
        filled = [kind for kind in kinds if kind != "empty"]
        if filled and sum(kind != "text" for kind in filled) >= _TYPED_SHARE * len(filled):
            return True
    return not named_text and all(_CODE_NAME.fullmatch(name) for name in names)
