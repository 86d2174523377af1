"""What is known of a release; kept as sealed JSON, whose newest form the journal knows."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

import pyarrow as pa
from pydantic import TypeAdapter
from pydantic import ValidationError as Misfit

from strongroom.engines.crypto.floe import open_stream, seal_stream
from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import TamperedError
from strongroom.services.data.release_types import (
    AnswerProof,
    CompositionShown,
    ProofShown,
    QualityShown,
    ReleaseKind,
    ReleaseState,
    SyntheticProof,
)

FORMAT = 1
LONGEST_CALL = timedelta(minutes=15)
"""After it, a release that is being made without a job is made by nobody: its server ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRecord:
    """A release.

    Attributes:
        source_digest: of the source version's content; `source_commitment` is its keyed digest.
        known_by: by what the trace knows people and rows again, see `known_by`.
        recipe: TOML, or JSON of what was asked.
        job: that makes it; empty where the call that asked for it does.
        readers: ids of accounts; `reader_roles`: ids of roles.
        refusal, next_step: why it was refused; may name values of the source.
        blob: of the table; empty before it is made and after it is withdrawn.
        trace_blob: of what it shows of each source row, for later checks.
        cost: of kind `dp` or `synthetic`: the privacy loss as `Cost.to_json` gives it.
        quality: of made-up rows; looks at the real ones and is not private.
    """

    kind: ReleaseKind
    state: ReleaseState
    source_version: int
    source_digest: str
    source_commitment: str
    known_by: str
    purpose: str
    readers: tuple[str, ...]
    reader_roles: tuple[str, ...]
    made_by: str
    made_at: datetime
    expires_at: datetime
    recipe: str = ""
    job: str = ""
    refusal: str = ""
    next_step: str = ""
    approved_by: str | None = None
    approved_at: datetime | None = None
    withdrawn_by: str | None = None
    withdrawn_at: datetime | None = None
    withdrawn_reason: str = ""
    first_read_at: datetime | None = None
    blob: str = ""
    trace_blob: str = ""
    rows: int = 0
    suppressed: int = 0
    proof: ProofShown | None = None
    composition: CompositionShown | None = None
    cost: str = ""
    synthetic: SyntheticProof | None = None
    answer: AnswerProof | None = None
    quality: QualityShown | None = None
    format: int = field(default=FORMAT)

    @property
    def recipe_digest(self) -> str:
        """`sha256:…` of the recipe."""
        return f"sha256:{sha256(self.recipe.encode()).hexdigest()}"

    def state_at(self, now: datetime) -> ReleaseState:
        """The state, with time taken into account."""
        if self.state is ReleaseState.MAKING and not self.job:
            is_lost = now >= self.made_at + LONGEST_CALL
            return ReleaseState.REFUSED if is_lost else self.state
        is_open = self.state in (ReleaseState.WAITING, ReleaseState.APPROVED)
        return ReleaseState.EXPIRED if is_open and now >= self.expires_at else self.state

    def counts_at(self, now: datetime) -> bool:
        """Whether somebody has its rows or may come to have them."""
        if self.first_read_at is not None:
            return True
        return self.state_at(now) in (ReleaseState.WAITING, ReleaseState.APPROVED)


def known_by(subject: str, schema: pa.Schema) -> str:
    """By what a trace knows people again: the subject column, or all columns where there is none.

    Only traces that know them by the same can be compared.
    """
    if subject:
        return f"column {subject}"
    layout = sha256(bind("strongroom release layout", 1, *map(str, schema)))
    return f"columns {layout.hexdigest()}"


_JSON = TypeAdapter(ReleaseRecord)


def seal_release(record: ReleaseRecord, key: bytes, series: str, number: int) -> bytes:
    """`record` under a key of its own, bound to its series and number."""
    return b"".join(seal_stream(key, _context(series, number), [_JSON.dump_json(record)]))


def open_release(sealed: bytes, key: bytes, series: str, number: int) -> ReleaseRecord:
    """What `seal_release` took.

    Raises:
        TamperedError: it was changed, or is another's.
    """
    body = b"".join(open_stream(key, _context(series, number), [sealed]))
    try:
        record = _JSON.validate_json(body)
    except Misfit:
        raise TamperedError("the record of a release is not of this form") from None
    if record.format != FORMAT:
        raise TamperedError("the record of a release is of a later form")
    return record


def _context(series: str, number: int) -> bytes:
    return bind("strongroom dataset release", FORMAT, series, number)
