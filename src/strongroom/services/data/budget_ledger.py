"""The ledger of privacy budgets: what a dataset's people have at stake, and what was spent of it.

A spend is a row of its own that is never changed. Budget and spends are sealed under a key of the
budget; each spend's digest takes in the one before, and the journal of sealed changes knows the
digest of budget and spends together. So a row that is edited, taken away or put back from an older
day in the database gives nobody anything to spend: it stops all spending.

A spend is committed, with the record of its call, before a mechanism may look at the data: a crash
or an error afterwards leaves it spent. Writers take turns (`vault/database.py`), so what a
decision counted is all there is when its own spend is committed.
"""

import hmac
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.crypto.floe import open_stream, seal_stream
from strongroom.engines.crypto.wrapping import bind
from strongroom.engines.privacy.dp.accounting import Composition, Cost
from strongroom.errors import ConflictError, RefusedError, StateError, TamperedError
from strongroom.services.data.budget_document import Budget, Terms
from strongroom.services.data.budget_pricing import (
    NewSpend,
    Priced,
    Spend,
    Tally,
    price,
    refused,
    tallied,
)
from strongroom.services.data.tables import PrivacyBudgetRow, PrivacySpendRow
from strongroom.vault.keys import Keyring

KIND = "privacy budget"
"""Of the changes of a budget, in the journal of sealed changes."""
MAX_SPENDS = 100_000
"""Of one budget."""

_PURPOSE = "privacy budget"
_EMPTY = bytes(32)
_NEVER = datetime.min.replace(tzinfo=UTC)
_KEPT = 64
"""Budgets whose spends this process remembers."""


@dataclass(frozen=True)
class Account:
    """A budget with all its spends, as one session sees them.

    Attributes:
        tally: of the period of now.
    """

    id: str
    workspace: str
    name: str
    budget: Budget
    spends: tuple[Spend, ...]
    tally: Tally
    head: bytes = field(default=_EMPTY, repr=False)
    key: bytes = field(default=b"", repr=False)

    @property
    def spent(self) -> float:
        """Epsilon of the period so far, at the budget's delta."""
        return self._epsilon(self.tally.whole)

    @property
    def lifetime(self) -> float:
        """Epsilon of all periods together: what the answers tell, whatever was refilled."""
        costs = (Cost.from_json(spend.cost) for spend in self.spends)
        return self._epsilon(Composition.of_all(costs))

    def spent_for(self, purpose: str) -> float:
        """Epsilon of the period so far, of what was spent for a purpose."""
        of_purpose = self.tally.purposes.get(purpose)
        return 0.0 if of_purpose is None else self._epsilon(of_purpose)

    def _epsilon(self, costs: Composition) -> float:
        terms = self.budget.terms
        return costs.epsilon(terms.delta, terms.composition)


class Budgets:
    """Rows of budgets and spends; one to a process, safe for its threads."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[bytes, tuple[Spend, ...], Tally]] = OrderedDict()
        self._ahead: tuple[bytes, Tally] = (_EMPTY, Tally(_NEVER))
        """Of the spend that was decided last: if it was committed, its row has this digest."""

    # ---- looking ----

    def find(
        self, session: Session, workspace: str, name: str, unit: str, now: datetime,
        *, anew: bool = False,
    ) -> Account | None:  # fmt: skip
        """The budget of a dataset and unit, if there is one.

        Args:
            anew: read every spend again, also those that this process remembers.

        Raises:
            TamperedError: a row is not the one that was written last.
            KeyUnavailableError: the key of the workspace is disabled or destroyed.
        """
        identity = _identity(workspace, name, unit)
        row = session.get(PrivacyBudgetRow, identity)
        if row is None:
            if self._keyring.seals.latest(session, KIND, identity) is not None:
                raise TamperedError("the privacy budget of the dataset was taken away")
            return None
        key = self._keyring.object_key(
            session, workspace, identity, row.key, row.key_version, purpose=_PURPOSE
        )
        head, spends, tally = self._read(session, identity, key, anew=anew)
        document = _bytes_of(row.document)
        value = _value(identity, document, len(spends), head)
        self._keyring.seals.require(session, KIND, identity, value)
        content = b"".join(open_stream(key, _document_context(identity), [document]))
        budget = Budget.from_bytes(content)
        if (row.workspace, row.name, budget.unit) != (workspace, name, unit):
            raise TamperedError("a privacy budget is another dataset's")
        start = budget.period_start(now)
        if tally.start != start:
            tally = tallied(spends, start)
        with self._lock:
            self._known[identity] = (head, spends, tally)
            self._known.move_to_end(identity)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return Account(identity, workspace, name, budget, spends, tally, head, key)

    def of(
        self, session: Session, workspace: str, name: str, unit: str, now: datetime,
        *, anew: bool = False,
    ) -> Account:  # fmt: skip
        """As `find`. Raises: StateError, where there is no budget."""
        found = self.find(session, workspace, name, unit, now, anew=anew)
        if found is None:
            raise StateError(
                f"the dataset `{name}` has no privacy budget for {unit_in_words(unit)}",
                next_step="a privacy officer sets one with `strongroom data set-budget`",
            )
        return found

    def exists(self, session: Session, workspace: str, name: str, unit: str) -> bool:
        """Whether the dataset has a budget for the unit; nothing is verified."""
        return session.get(PrivacyBudgetRow, _identity(workspace, name, unit)) is not None

    def units(self, session: Session, workspace: str, name: str) -> list[str]:
        """Ids of all budgets of a dataset, whatever their unit."""
        return list(
            session.scalars(
                select(PrivacyBudgetRow.id)
                .where(PrivacyBudgetRow.workspace == workspace, PrivacyBudgetRow.name == name)
                .order_by(PrivacyBudgetRow.id)
            )
        )

    def _read(
        self, session: Session, identity: str, key: bytes, *, anew: bool
    ) -> tuple[bytes, tuple[Spend, ...], Tally]:
        """The spends as this session sees them; those that are remembered are not read again."""
        with self._lock:
            known = None if anew else self._known.get(identity)
        if known is not None and not self._continues(session, identity, known):
            # A snapshot from before the last of them, or rows that were put back.
            known = None
        head, spends, tally = known or (_EMPTY, (), Tally(_NEVER))
        rows = session.scalars(
            select(PrivacySpendRow)
            .where(PrivacySpendRow.budget == identity, PrivacySpendRow.number > len(spends))
            .order_by(PrivacySpendRow.number)
            .limit(MAX_SPENDS + 1)
        ).all()
        added = []
        for number, row in enumerate(rows, len(spends) + 1):
            if row.number != number:
                raise TamperedError("a spend of a privacy budget is missing")
            head = _next_head(identity, number, head, _bytes_of(row.spend))
            if not hmac.compare_digest(head, _bytes_of(row.head)):
                raise TamperedError("a spend of a privacy budget was changed")
            added.append(_opened(key, identity, number, row.spend))
        ahead, foreseen = self._ahead
        if added and hmac.compare_digest(head, ahead):
            return head, (*spends, *added), foreseen
        for spend in added if known is not None else ():
            if spend.at >= tally.start:
                tally = tally.plus(spend.purpose, Cost.from_json(spend.cost))
        return head, (*spends, *added), tally

    def _continues(
        self, session: Session, identity: str, known: tuple[bytes, tuple[Spend, ...], Tally]
    ) -> bool:
        if not known[1]:
            return True
        last = session.get(PrivacySpendRow, (identity, len(known[1])))
        return last is not None and hmac.compare_digest(_bytes_of(last.head), known[0])

    # ---- changing ----

    def create(
        self, session: Session, workspace: str, name: str, unit: str, terms: Terms,
        *, by: str, now: datetime,
    ) -> Account:  # fmt: skip
        """Give a dataset its first budget.

        Raises:
            ConflictError: it has one.
            ValidationError: the terms are out of range.
        """
        if self.find(session, workspace, name, unit, now) is not None:
            raise ConflictError("the dataset has a privacy budget already")
        budget = Budget(unit, terms.checked(), now, by, now)
        identity = _identity(workspace, name, unit)
        key = self._keyring.new_object_key(session, workspace, identity, purpose=_PURPOSE)
        account = Account(identity, workspace, name, budget, (), Tally(now), _EMPTY, key.key)
        sealed = _sealed(key.key, _document_context(identity), budget.to_bytes())
        session.add(
            PrivacyBudgetRow(
                id=identity, workspace=workspace, name=name, document=sealed,
                key=key.wrapped, key_version=key.kek_version,
            )
        )  # fmt: skip
        session.flush()
        self._record(session, account, sealed)
        return account

    def change(self, session: Session, account: Account, budget: Budget, now: datetime) -> Account:
        """Put what a budget says in the place of what it said; the spends stay."""
        sealed = _sealed(account.key, _document_context(account.id), budget.to_bytes())
        row = session.get_one(PrivacyBudgetRow, account.id)
        row.document = sealed
        session.flush()
        self._record(session, account, sealed)
        start = budget.period_start(now)
        tally = account.tally
        if tally.start != start:
            tally = tallied(account.spends, start)
        return replace(account, budget=budget, tally=tally)

    def _record(self, session: Session, account: Account, document: bytes) -> None:
        value = _value(account.id, document, len(account.spends), account.head)
        self._keyring.seals.record(session, KIND, account.id, value)

    # ---- spending ----

    def price(self, account: Account, new: NewSpend) -> Priced:
        """What a spend would cost now, and whether it fits; nothing is spent.

        Raises:
            ValidationError: there is no such purpose, or nothing to spend.
        """
        return price(account.budget, account.tally, new)[0]

    def spend(
        self, session: Session, account: Account, new: NewSpend, now: datetime
    ) -> tuple[Account, Priced]:
        """Spend, from the commit of the session on; then, and not before, data may be looked at.

        Args:
            session: a write session, in which `account` was found.

        Raises:
            BudgetError: it does not fit; says which would.
            ValidationError: there is no such purpose, or nothing to spend.
        """
        priced, tally = price(account.budget, account.tally, new)
        if priced.refusal is not None:
            raise refused(priced, new)
        number = len(account.spends) + 1
        if number > MAX_SPENDS:
            raise RefusedError(f"a budget has at most {MAX_SPENDS:,} spends")
        # A clock that was set back takes no spend out of the period that it was counted in.
        at = max(now, tally.start)
        spend = Spend(
            new.cost.to_json(), priced.epsilon, priced.after, new.purpose, new.by, at, new.kind,
            new.what,
        )  # fmt: skip
        context = _spend_context(account.id, number)
        sealed = _sealed(account.key, context, msgspec.json.encode(spend))
        head = _next_head(account.id, number, account.head, sealed)
        session.add(PrivacySpendRow(budget=account.id, number=number, spend=sealed, head=head))
        session.flush()
        self._ahead = (head, tally)
        after = replace(account, spends=(*account.spends, spend), tally=tally, head=head)
        document = session.get_one(PrivacyBudgetRow, account.id).document
        self._record(session, after, document)
        return after, priced

    def rewrap(self, session: Session, workspace: str) -> int:
        """Bring the keys of budgets to the workspace's newest key; how many changed."""
        rows = {
            row.id: row
            for row in session.scalars(
                select(PrivacyBudgetRow).where(PrivacyBudgetRow.workspace == workspace)
            )
        }
        held = [(row.id, row.key, row.key_version) for row in rows.values()]
        changed = self._keyring.rewrap(session, workspace, held, purpose=_PURPOSE)
        for identity, wrapped, version in changed:
            rows[identity].key, rows[identity].key_version = wrapped, version
        session.flush()
        return len(changed)


def unit_in_words(unit: str) -> str:
    """What a budget protects."""
    return f"the people of column `{unit}`" if unit else "single rows"


def _identity(workspace: str, name: str, unit: str) -> str:
    """The id of a budget: by it the journal knows of a row that is not there any more."""
    digest = sha256(bind("strongroom privacy budget id", 1, workspace, name, unit))
    return f"bud_{digest.hexdigest()[:28]}"


def _value(identity: str, document: bytes, spends: int, head: bytes) -> str:
    """What the journal knows: the budget and all its spends."""
    digest = sha256(document).hexdigest()
    return sha256(
        bind("strongroom privacy budget", 1, identity, digest, spends, head.hex())
    ).hexdigest()


def _bytes_of(column: object) -> bytes:
    """A column of bytes. Raises: TamperedError, for SQLite keeps what is written, text as well."""
    if not isinstance(column, bytes):
        raise TamperedError("a row of a privacy budget is not of this form")
    return column


def _next_head(identity: str, number: int, head: bytes, sealed: bytes) -> bytes:
    digest = sha256(sealed).hexdigest()
    return sha256(
        bind("strongroom privacy spend", 1, identity, number, head.hex(), digest)
    ).digest()


def _document_context(identity: str) -> bytes:
    return bind("strongroom privacy budget document", 1, identity)


def _spend_context(identity: str, number: int) -> bytes:
    return bind("strongroom privacy spend body", 1, identity, number)


def _sealed(key: bytes, context: bytes, content: bytes) -> bytes:
    return b"".join(seal_stream(key, context, [content]))


def _opened(key: bytes, identity: str, number: int, sealed: bytes) -> Spend:
    content = b"".join(open_stream(key, _spend_context(identity, number), [sealed]))
    try:
        return msgspec.json.decode(content, type=Spend)
    except msgspec.DecodeError:
        raise TamperedError("a spend of a privacy budget is not of this form") from None
