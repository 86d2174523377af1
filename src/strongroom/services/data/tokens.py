"""The token vault: which token stands for which value, sealed, one drawer to a mask key.

A drawer belongs to one mask key: to one purpose and uploader in a workspace, or in a dataset.
Values are found by a keyed hash and kept sealed, both under keys derived from that mask key. When
the workspace's key is destroyed, nothing turns a token back.

What is forgotten leaves its token behind, without the value and found by nothing: so the token is
never drawn for another value, and an old masked copy can never point to a stranger.
"""

import hmac
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from strongroom.engines.crypto.deriving import derive
from strongroom.engines.crypto.wrapping import bind, unwrap, wrap
from strongroom.engines.privacy.mask.hiding import lookup_message, normal
from strongroom.engines.privacy.mask.tokens import draw_token
from strongroom.errors import InternalError, TamperedError, TooLargeError
from strongroom.services.data.tables import MaskKeyRow, MaskTokenRow
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring

MAX_TOKENS = 50_000_000
"""Of one drawer: as many as a large dataset has rows."""
_KEY_PURPOSE = "workspace mask"
_QUERIED = 400
"""Values in one query: SQLite takes some thousands of parameters."""
_DRAWN_AT_ONCE = 5_000
"""New tokens in one transaction, for other writers wait meanwhile."""
_ATTEMPTS = 20
_SCANNED = 5_000
"""Rows held at once where all of a drawer are looked at."""
_MARK = b"v"
"""Before each sealed value, for nothing cannot be sealed."""
_FORGOTTEN = b"f"
"""What is sealed in place of a value that was forgotten."""


def workspace_key(session: Session, keyring: Keyring, workspace: str) -> bytes:
    """The key from which those of purposes derive, across the datasets of a workspace.

    Raises:
        InternalError: `ensure_workspace_key` was never called for it.
        TamperedError, KeyUnavailableError: as for every object key.
    """
    row = session.get(MaskKeyRow, workspace)
    if row is None:
        raise InternalError("the workspace has no mask key")
    return keyring.object_key(
        session, workspace, workspace, row.mask_key, row.mask_key_version, purpose=_KEY_PURPOSE
    )


def ensure_workspace_key(session: Session, keyring: Keyring, workspace: str) -> None:
    """Make the workspace's mask key, unless it is there."""
    if session.get(MaskKeyRow, workspace) is None:
        key = keyring.new_object_key(session, workspace, workspace, purpose=_KEY_PURPOSE)
        session.add(
            MaskKeyRow(workspace=workspace, mask_key=key.wrapped, mask_key_version=key.kek_version)
        )
        session.flush()


def rewrap_workspace_key(session: Session, keyring: Keyring, workspace: str) -> int:
    """Bring that key under the workspace's newest key; how many changed."""
    row = session.get(MaskKeyRow, workspace)
    held = [] if row is None else [(workspace, row.mask_key, row.mask_key_version)]
    changed = keyring.rewrap(session, workspace, held, purpose=_KEY_PURPOSE)
    for _, wrapped, version in changed:
        assert row is not None  # noqa: S101 # for mypy: nothing else was given
        row.mask_key, row.mask_key_version = wrapped, version
    session.flush()
    return len(changed)


@dataclass(frozen=True, slots=True, repr=False)
class Turned:
    """A token turned back; `value` is None where it was forgotten."""

    value: str | None

    @property
    def is_forgotten(self) -> bool:
        """True where nothing tells the value any more."""
        return self.value is None


@dataclass(frozen=True, slots=True)
class _Sealed:
    """The parts of a row that are bound to each other."""

    lookup: bytes
    token: str
    value: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Drawer:
    """The tokens of one mask key. Its text form shows no key.

    Attributes:
        dataset: id of the dataset with which its tokens go, empty if they outlive it.
        name: by which its rows are found; tells nothing.
    """

    workspace: str
    dataset: str
    name: str
    lookup_key: bytes
    value_key: bytes

    @classmethod
    def of(cls, workspace: str, dataset: str, mask_key: bytes) -> "Drawer":
        """The drawer of a mask key, 32 bytes."""
        return cls(
            workspace,
            dataset,
            derive(mask_key, b"strongroom/1/token drawer", length=16).hex(),
            derive(mask_key, b"strongroom/1/token lookup"),
            derive(mask_key, b"strongroom/1/token values"),
        )

    def __repr__(self) -> str:
        return f"Drawer({self.name})"

    def lookup(self, domain: str, value: str) -> bytes:
        """By what a value is found; equal for equal values, and nothing without the key."""
        return hmac.digest(self.lookup_key, lookup_message(value, domain), sha256)

    # ---- turning back ----

    def reveal(self, session: Session, tokens: Sequence[str]) -> list["Turned | None"]:
        """What each token stands for, None for what is no token of this drawer.

        Raises:
            TamperedError: a row was changed.
        """
        found = {row.token: self._opened(row) for row in self._rows_of(session, tokens)}
        return [found.get(token) for token in tokens]

    def _rows_of(self, session: Session, tokens: Collection[str]) -> list[MaskTokenRow]:
        """The rows of tokens."""
        found: list[MaskTokenRow] = []
        wanted = sorted({token for token in tokens if token.isprintable()})
        for at in range(0, len(wanted), _QUERIED):
            found += session.scalars(
                select(MaskTokenRow).where(
                    MaskTokenRow.drawer == self.name,
                    MaskTokenRow.token.in_(wanted[at : at + _QUERIED]),
                )
            )
        return found

    def _opened(self, row: "MaskTokenRow | _Sealed") -> "Turned":
        """The value of a row. Raises: TamperedError where a part of the row is not its own."""
        try:
            opened = unwrap(self.value_key, row.value, self._context(row.lookup, row.token))
        except (AttributeError, TypeError):
            # SQLite keeps what is written: text where bytes should be.
            raise TamperedError("a token is not of this form") from None
        if opened == _FORGOTTEN:
            return Turned(None)
        return Turned(opened.removeprefix(_MARK).decode())

    # ---- forgetting ----

    def with_values(self, session: Session, values: Collection[str]) -> dict[bytes, str]:
        """By lookup, which of `values` each token stands for, in whatever domain it was drawn.

        Every row is opened and compared: policies change, and with them the domains by which a
        value could be found: 48,000 to 65,000 rows a CPU-second in SQLite, on a busy core.

        Raises:
            TamperedError: a row was changed.
        """
        wanted = {normal(value) for value in values}
        columns = select(MaskTokenRow.lookup, MaskTokenRow.token, MaskTokenRow.value)
        rows = session.execute(
            columns.where(MaskTokenRow.drawer == self.name).execution_options(yield_per=_SCANNED)
        )
        found: dict[bytes, str] = {}
        for lookup, token, sealed in rows:
            value = self._opened(_Sealed(lookup, token, sealed)).value
            if value is not None and normal(value) in wanted:
                found[lookup] = normal(value)
        return found

    def with_tokens(self, session: Session, tokens: Collection[str]) -> dict[bytes, str]:
        """By lookup, which of `tokens` are there and not forgotten yet. Raises: TamperedError."""
        rows = self._rows_of(session, tokens)
        return {row.lookup: row.token for row in rows if not self._opened(row).is_forgotten}

    def forget(self, session: Session, lookups: Collection[bytes]) -> int:
        """Let nothing turn tokens back again, and no value find them; how many there were."""
        gone = 0
        for lookup in sorted(lookups):
            here = (MaskTokenRow.drawer == self.name, MaskTokenRow.lookup == lookup)
            token = session.scalar(select(MaskTokenRow.token).where(*here))
            if token is None:
                continue
            # The hash of the value goes, too: with the key, guesses could be tested on it.
            hidden = secrets.token_bytes(len(lookup))
            sealed = wrap(self.value_key, _FORGOTTEN, self._context(hidden, token))
            session.execute(update(MaskTokenRow).where(*here).values(lookup=hidden, value=sealed))
            gone += 1
        return gone

    # ---- drawing ----

    def kept(self, session: Session, lookups: Sequence[bytes]) -> dict[bytes, str]:
        """The tokens that are there already, by lookup.

        Raises:
            TamperedError: a row was changed, so that a token would stand for another's value.
        """
        found: dict[bytes, str] = {}
        for at in range(0, len(lookups), _QUERIED):
            rows = session.execute(
                select(MaskTokenRow.lookup, MaskTokenRow.token, MaskTokenRow.value).where(
                    MaskTokenRow.drawer == self.name,
                    MaskTokenRow.lookup.in_(lookups[at : at + _QUERIED]),
                )
            )
            for row in rows:
                # INVARIANT: the sealed value is bound to lookup and token; a token is shown only
                # with both as they were drawn.
                self._opened(_Sealed(row.lookup, row.token, row.value))
                found[row.lookup] = row.token
        return found

    def size(self, session: Session) -> int:
        """How many tokens there are."""
        counted = select(func.count()).select_from(MaskTokenRow)
        return session.scalar(counted.where(MaskTokenRow.drawer == self.name)) or 0

    def draw(
        self, session: Session, values: dict[bytes, str], form: str, now: datetime
    ) -> dict[bytes, str]:
        """Draw a token for each value, by lookup, none of which has one; the tokens.

        Raises:
            TooLargeError: a value is too long, or nearly all tokens of its form are taken.
        """
        waiting, given = dict(values), dict[bytes, str]()
        for _ in range(_ATTEMPTS):
            drawn = {lookup: draw_token(value, form) for lookup, value in waiting.items()}
            taken = self._taken(session, list(drawn.values()))
            fresh: dict[str, bytes] = {}
            for lookup, token in drawn.items():
                if token not in taken and token not in fresh:
                    fresh[token] = lookup
            for token, lookup in fresh.items():
                sealed = wrap(
                    self.value_key, _MARK + waiting[lookup].encode(), self._context(lookup, token)
                )
                session.add(
                    MaskTokenRow(
                        drawer=self.name, lookup=lookup, token=token, value=sealed,
                        workspace=self.workspace, dataset=self.dataset, drawn_at=now,
                    )
                )  # fmt: skip
                del waiting[lookup]
                given[lookup] = token
            session.flush()
            session.expunge_all()
            if not waiting:
                return given
        raise TooLargeError(
            "nearly all tokens of that form are taken", next_step="use the form `opaque`"
        )

    def _taken(self, session: Session, tokens: Sequence[str]) -> set[str]:
        taken: set[str] = set()
        for at in range(0, len(tokens), _QUERIED):
            taken.update(
                session.scalars(
                    select(MaskTokenRow.token).where(
                        MaskTokenRow.drawer == self.name,
                        MaskTokenRow.token.in_(tokens[at : at + _QUERIED]),
                    )
                )
            )
        return taken

    def _context(self, lookup: bytes, token: str) -> bytes:
        return bind("strongroom token", 1, self.name, lookup.hex(), token)


class DrawerVault:
    """A drawer as the masking engine asks it; each new token is durable before it is shown.

    New tokens are written in transactions of their own, while rows are read: the record of the
    read is there by then, and a token that nobody saw tells and changes nothing.
    """

    def __init__(self, drawer: Drawer, database: Database, keyring: Keyring, now: datetime) -> None:
        self._drawer = drawer
        self._database = database
        self._keyring = keyring
        self._now = now
        self._size: int | None = None

    def tokens_for(self, domain: str, values: Sequence[str], form: str) -> list[str]:
        """See `engines.privacy.mask.tokens.TokenVault`.

        Raises:
            KeyUnavailableError: the workspace's key was disabled or destroyed meanwhile.
            TooLargeError: too many, or too long.
        """
        lookups = [self._drawer.lookup(domain, value) for value in values]
        with self._database.read() as session:
            self._keyring.require_enabled(session, self._drawer.workspace)
            found = self._drawer.kept(session, sorted(set(lookups)))
        missing = {
            lookup: value
            for lookup, value in zip(lookups, values, strict=True)
            if lookup not in found
        }
        ordered = sorted(missing)
        for at in range(0, len(ordered), _DRAWN_AT_ONCE):
            some = ordered[at : at + _DRAWN_AT_ONCE]
            # A crash before the commit leaves none of these, after it all; none was shown yet.
            with self._database.write() as session:
                self._keyring.require_enabled(session, self._drawer.workspace)
                # Another read may have drawn some in the meantime.
                already = self._drawer.kept(session, some)
                new = {lookup: missing[lookup] for lookup in some if lookup not in already}
                self._make_room(session, len(new))
                found.update(already)
                found.update(self._drawer.draw(session, new, form, self._now))
        return [found[lookup] for lookup in lookups]

    def _make_room(self, session: Session, new: int) -> None:
        """Count `new` tokens more; those of other readers meanwhile are not noticed."""
        if self._size is None:
            self._size = self._drawer.size(session)
        self._size += new
        if self._size > MAX_TOKENS:
            raise TooLargeError(f"one purpose holds at most {MAX_TOKENS} tokens")


def forget_others(
    session: Session, dataset: str, drawers: Collection[str], only: Collection[str] | None
) -> int:
    """Delete the tokens of a dataset that lie in none of `drawers`; how many there were.

    They are of versions that were removed: nobody can say any more for whom they stand. With
    `only`, just those of these tokens.
    """
    gone = delete(MaskTokenRow).where(
        MaskTokenRow.dataset == dataset, MaskTokenRow.drawer.not_in(drawers)
    )
    if only is not None:
        gone = gone.where(MaskTokenRow.token.in_([token for token in only if token.isprintable()]))
    return len(session.scalars(gone.returning(MaskTokenRow.drawer)).all())


def digest_of_tokens(tokens: Sequence[str]) -> str:
    """What a record says of tokens: a digest of them, sorted."""
    return f"sha256:{sha256(chr(10).join(sorted(tokens)).encode()).hexdigest()}"
