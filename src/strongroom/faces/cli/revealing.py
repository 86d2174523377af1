"""`strongroom mask --reveal`: tokens in a masked file turned back, with the vault that drew them.

The vault is sealed under the key and purpose: who has not all three turns nothing back.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import re2

from strongroom.engines.privacy.mask.tokens import TOKEN_PREFIX, TokenFile
from strongroom.engines.privacy.nested import leaf_values, leaves, replace_leaves
from strongroom.engines.reading.types import Form, ReadTable
from strongroom.errors import UsageError
from strongroom.faces.cli import masked_files, output
from strongroom.faces.cli.drafts import draft, ending_cleanly, require_apart, require_free
from strongroom.faces.cli.files import STDIN, STDIN_SHOWN, WalkLimits, stdin_file, walk
from strongroom.faces.cli.masking import opened_vault
from strongroom.faces.cli.study import StudyOptions, tables_of

_TOKEN = re2.compile(rf"\b{TOKEN_PREFIX}[a-z2-7]{{24}}\b")


@dataclass(frozen=True, slots=True)
class RevealOptions:
    """What was asked for; `to` is a file, or None for stdout; `beside` are vault and key."""

    study: StudyOptions
    limits: WalkLimits
    to: Path | None
    force: bool
    beside: tuple[Path, ...]


def run_reveal(
    path: str | None,
    options: RevealOptions,
    *,
    key_file: str | None,
    purpose: str,
    vault: Path | None,
) -> int:
    """Write the file with its tokens turned back, for its owner's eyes only.

    Raises:
        UsageError: no file, vault or key, a folder, or a file of several tables.
        TamperedError: the vault was changed, or is of another key or purpose.
    """
    if path is None or (path != STDIN and Path(path).is_dir()):
        raise UsageError("tokens are turned back in one file", next_step="give a file, or `-`")
    tokens = opened_vault(vault, key_file, purpose)
    if options.to is not None:
        require_free(options.to, force=options.force)
        require_apart([options.to], options.beside)
    turning = _Turning(tokens)
    with ending_cleanly():
        if path == STDIN:
            _reveal(stdin_file(options.limits), STDIN_SHOWN, options, turning)
        else:
            for found in walk([Path(path)], options.limits):
                handle: Any = getattr(found, "handle", None)
                if handle is None:
                    raise UsageError(f"`{path}` cannot be read: {getattr(found, 'reason', '')}")
                _reveal(handle, Path(path).name, options, turning)
    output.words(f"tokens turned back: {turning.turned}; not of this vault: {turning.unknown}")
    return 0


def _reveal(file: BinaryIO, name: str, options: RevealOptions, turning: "_Turning") -> None:
    tables = tables_of(file, name, options.study)
    table = next(tables, None)
    if table is None:
        raise UsageError("the file holds no table")
    pieces = _written(table, options.to, turning)
    target = nullcontext(sys.stdout.buffer) if options.to is None else draft(
        options.to, force=options.force
    )  # fmt: skip
    with target as out:
        if options.to is not None:
            os.fchmod(out.fileno(), 0o600)
        for piece in pieces:
            out.write(piece)
        if next(tables, None) is not None:
            raise UsageError(
                "the file holds several tables", next_step="turn back each in a file of its own"
            )
    sys.stdout.buffer.flush()


def _written(table: ReadTable, to: Path | None, turning: "_Turning") -> Iterator[bytes]:
    form = masked_files.out_form(table.form, to)
    batches = (turning.batch(batch) for batch in table.batches)
    if form not in masked_files.TEXTS:
        return masked_files.table_bytes(batches, table.schema, form)
    return _texts(batches, "" if table.form is Form.TEXT else "\n")


def _texts(batches: Iterable[pa.RecordBatch], end: str) -> Iterator[bytes]:
    """A text as it was: paragraphs have their line ends, lines of logs get one."""
    for batch in batches:
        for text in batch.column(0).to_pylist():
            yield f"{text or ''}{end}".encode()


class _Turning:
    """Turns tokens back, and counts."""

    def __init__(self, tokens: TokenFile) -> None:
        self._tokens = tokens
        self.turned = 0
        self.unknown = 0

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch with the tokens in its texts turned back, within columns too."""
        new: dict[Any, Any] = {}
        for leaf in leaves(batch.schema):
            values = leaf_values(batch, leaf).values
            if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
                new[leaf] = pa.array(self._texts(values.to_pylist()), values.type)
        return replace_leaves(batch, new)

    def _texts(self, texts: list[str | None]) -> list[str | None]:
        """Values that are tokens, of any form, or the opaque tokens in texts."""
        known = dict(self._reversed({*texts} - {None, ""}))
        # A token of the form of its value may be a clear value elsewhere: a column is one of
        # tokens where most of its values are.
        is_of_tokens = 2 * sum(value is not None for value in known.values()) > len(known)
        return [self._text(text, known.get(text), is_of_tokens) for text in texts]

    def _reversed(self, texts: set[str | None]) -> Iterator[tuple[str | None, str | None]]:
        held = [text for text in texts if text is not None]
        return zip(held, self._tokens.reverse(held), strict=True)

    def _text(self, text: str | None, value: str | None, is_of_tokens: bool) -> str | None:
        if text is None:
            return None
        if value is not None and (is_of_tokens or _TOKEN.fullmatch(text.strip())):
            self.turned += 1
            return value
        return _TOKEN.sub(self._opaque, text) if TOKEN_PREFIX in text else text

    def _opaque(self, found: Any) -> str:  # noqa: ANN401 # RE2 has no type for a match
        token: str = found.group()
        [value] = self._tokens.reverse([token])
        self.turned += value is not None
        self.unknown += value is None
        return token if value is None else value
