"""`strongroom discover` and `mask`: what a table holds, and a copy without it; offline."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, cast

from strongroom.engines.privacy.discover.findings import TableFindings
from strongroom.engines.privacy.discover.tables import discover_batches
from strongroom.engines.privacy.mask.default_policy import default_policy
from strongroom.engines.privacy.mask.plan import mask_batches, plan_masks
from strongroom.errors import CallerError, UsageError
from strongroom.faces.cli import output
from strongroom.faces.cli.options import secret
from strongroom.services.data.binary_parsing import parse_parquet
from strongroom.services.data.incoming import IncomingFile, resolve_format
from strongroom.services.data.outgoing import encode
from strongroom.services.data.parsing import ParsedTable, ParseLimits
from strongroom.services.data.text_parsing import parse_csv
from strongroom.services.data.types import AddedFormat, TableFormat
from strongroom.settings import Settings

CHUNK_BYTES = 2**20
MIN_KEY_BYTES = 32
_SAMPLE_SEED = 1
"""Discovery looks at the same sample each time: two runs say the same."""


def run_discover(path: Path, *, as_json: bool) -> None:
    """Show what each column holds."""
    findings = _findings(path)
    output.words(
        f"{findings.guarantee.rows_sampled} of {findings.guarantee.rows_seen} rows looked at"
    )
    output.data(_shown(findings), as_json=as_json)


def run_mask(path: Path, to: Path | None, *, key_file: str | None, as_json: bool) -> None:
    """Write the table masked by the default policy; reads it twice, in bounded memory."""
    if key_file is None:
        key = secrets.token_bytes(MIN_KEY_BYTES)
        output.words("pseudonyms are under a random key: another run gives others")
    else:
        key = secret("key", key_file).encode()
        if len(key) < MIN_KEY_BYTES:
            raise UsageError(f"the key has fewer than {MIN_KEY_BYTES} characters")
    form = TableFormat.PARQUET if to is not None and to.suffix == ".parquet" else TableFormat.CSV
    findings = _findings(path)
    with _table(path) as table:
        plan = plan_masks(table.schema, findings, default_policy())
        pieces = encode(mask_batches(table.batches, plan, key), plan.schema, form)
        if to is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            _write(to, pieces)
    for masked in plan.masks:
        output.words(f"  {output.clean(masked.column)}: {masked.rule.method} ({masked.reason})")
    if as_json and to is not None:
        columns = {masked.column: str(masked.rule.method) for masked in plan.masks}
        output.data({"output": str(to), "columns": columns}, as_json=True)


def _write(to: Path, pieces: Iterator[bytes]) -> None:
    draft = to.with_name(f".{to.name}.part")
    try:
        with draft.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        draft.rename(to)
    except OSError as error:
        raise CallerError(f"cannot write `{to}`: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def _findings(path: Path) -> TableFindings:
    with _table(path) as table:
        return discover_batches(table.batches, table.schema, seed=_SAMPLE_SEED)


@contextmanager
def _table(path: Path) -> Iterator[ParsedTable]:
    defaults = Settings()
    limits = ParseLimits(defaults.max_field_bytes, defaults.max_columns)
    try:
        with path.open("rb") as opened:
            file = IncomingFile(_chunks(opened), max_read=2**31 - 1)
            form = resolve_format(AddedFormat.AUTO, "", file)
            if form is TableFormat.CSV:
                yield parse_csv(file, limits, [])
            elif form is TableFormat.PARQUET:
                opened.seek(0)
                yield parse_parquet(cast("BufferedIOBase", opened), file, limits)
            else:
                raise UsageError("only CSV and Parquet files are taken here")
    except OSError as error:
        raise CallerError(f"cannot read `{path}`: {error.strerror}") from error


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _shown(findings: TableFindings) -> list[dict[str, object]]:
    return [
        {
            "column": finding.column,
            "type": finding.type,
            "role": finding.role.value,
            "confidence": round(finding.confidence, 2),
            "shape": finding.profile.shape.value,
            "why": "; ".join(evidence.detail for evidence in finding.evidence),
        }
        for finding in findings.columns
    ]
