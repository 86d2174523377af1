"""Verbs on privacy budgets: show, set, divide, and raise with the approval of two people."""

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from strongroom.engines.privacy.dp.accounting import Rule
from strongroom.errors import RefusedError, ValidationError
from strongroom.gate.access.types import Entity, PrincipalKind
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Limits, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.data.budget_document import Budget, Raise, Terms
from strongroom.services.data.budget_ledger import Account, unit_in_words
from strongroom.services.data.budget_pricing import Spend, finite
from strongroom.services.data.budget_types import (
    AllotBudget,
    AllotmentShown,
    AskRaise,
    BudgetShown,
    RaiseShown,
    SetBudget,
    SettleRaise,
    ShowBudget,
    SpendShown,
)
from strongroom.services.data.catalog import Catalog

_PATH = "/workspaces/{workspace}/data/{name}/budget"
_CHANGES = Limits(per_minute=30)
NOTHING = 1e-6
"""An epsilon below any that a query takes."""
HOLDS_FOR: Mapping[Rule, str] = {
    "pld": "epsilons fixed beforehand; where they are chosen by earlier answers, more may be told "
    "than is counted, by a polylogarithmic factor at most",
    "adaptive": "epsilons chosen by earlier answers, too",
}
"""What a composition is proven for."""


def budget_entity(
    _room: object,
    _session: Session,
    request: ShowBudget | SetBudget | AllotBudget | SettleRaise,
) -> Entity:
    """The dataset whose budget it is, whether or not it is there."""
    return Entity("Dataset", f"{request.workspace}/{request.name}", request.workspace)


class BudgetOperations:
    """The part of the room of datasets that is about privacy budgets."""

    _catalog: Catalog
    _now: Callable[[], datetime]

    @operation(
        "data.budget",
        action="readBudget",
        resource=budget_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", _PATH),
        command=Command("data budget", positional=("name",)),
    )
    def budget(self, call: Call, request: ShowBudget) -> BudgetShown:
        """Show the privacy budget of a dataset: what is spent, by whom and for what, what remains.

        Every spend is read and verified again. Spends compose: what is spent is less than the
        sum of the single ones.
        """
        with call.reading() as session:
            account = self._account(session, request, request.version, anew=True)
            units = len(self._catalog.budgets.units(session, request.workspace, request.name))
        call.note(spends=len(account.spends))
        return shown(account, self._now(), limit=request.limit, other_units=units - 1)

    @operation(
        "data.set_budget",
        action="setBudget",
        resource=budget_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", _PATH),
        command=Command("data set-budget", positional=("name", "epsilon")),
        limits=_CHANGES,
    )
    def set_budget(self, call: Call, request: SetBudget) -> BudgetShown:
        """Give a dataset its privacy budget, or make it smaller.

        It is one for all versions of the dataset, whose people are the same, and protects the
        people of its subject column, or single rows where it has none. A budget below what is
        spent already stops all spending. A larger one is asked for with `data ask-raise`, and so
        is one for another unit of a dataset that has a budget: it begins with nothing.

        With `pld`, spends are composed exactly, which is proven for epsilons that are fixed
        beforehand: who chooses the next one by the last answer may learn more, by a
        polylogarithmic factor at most. With `adaptive` the budget holds for them, too. Back to
        `pld` is a raise.
        """
        with call.transaction() as session:
            unit = self._unit(session, request.workspace, request.name, 0)
            now, by = self._now(), call.principal.id
            budgets = self._catalog.budgets
            account = budgets.find(session, request.workspace, request.name, unit, now)
            terms = _wanted(request, account)
            before = "none" if account is None else _terms(account.budget.terms)
            if account is None:
                account = self._first(call, session, request, unit, terms)
            else:
                changed = account.budget.with_terms(terms, by=by, now=now)
                account = budgets.change(session, account, changed, now)
            call.note(before=before, after=_terms(account.budget.terms), unit=unit or "row")
        return shown(account, now)

    def _first(
        self, call: Call, session: Session, request: SetBudget, unit: str, terms: Terms
    ) -> Account:
        """The first budget for a unit.

        Where the dataset has one for another unit, the people are the same, and a column of
        another name must not be a way to begin anew: then this one begins with nothing and a
        raise.
        """
        budgets, now, by = self._catalog.budgets, self._now(), call.principal.id
        where = (request.workspace, request.name)
        if not budgets.units(session, *where):
            return budgets.create(session, *where, unit, terms, by=by, now=now)
        _require_person(call)
        nothing = Terms(NOTHING, terms.delta, composition=terms.composition)
        account = budgets.create(session, *where, unit, nothing, by=by, now=now)
        asked = account.budget.asking(
            terms, by=by, reason="the first budget for another unit of the dataset", now=now
        )
        return budgets.change(session, account, asked, now)

    @operation(
        "data.allot_budget",
        action="setBudget",
        resource=budget_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", f"{_PATH}/allotments"),
        command=Command("data allot-budget", positional=("name",)),
        limits=_CHANGES,
    )
    def allot_budget(self, call: Call, request: AllotBudget) -> BudgetShown:
        """Divide a budget among purposes; without any, each purpose may spend all of it.

        What was spent for a purpose before counts. Where there are allotments, nothing can be
        spent for any other purpose.
        """
        allotments = _allotments(request.allotments)
        with call.transaction() as session:
            account = self._account(session, request)
            now = self._now()
            changed = account.budget.with_allotments(allotments, by=call.principal.id, now=now)
            call.note(before=_parts(account.budget.allotments), after=_parts(allotments))
            account = self._catalog.budgets.change(session, account, changed, now)
        return shown(account, now)

    # ---- raises ----

    @operation(
        "data.ask_raise",
        action="askRaise",
        resource=budget_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", f"{_PATH}/raises"),
        command=Command("data ask-raise", positional=("name", "epsilon")),
        limits=_CHANGES,
    )
    def ask_raise(self, call: Call, request: AskRaise) -> RaiseShown:
        """Ask for more: epsilon, delta, an earlier refill, `pld`; two others must approve."""
        _require_person(call)
        with call.transaction() as session:
            account = self._account(session, request)
            terms = _wanted(request, account)
            now = self._now()
            changed = account.budget.asking(
                terms, by=call.principal.id, reason=request.reason.strip(), now=now
            )
            asked = changed.raises[-1]
            call.note(
                number=asked.number, before=_terms(account.budget.terms), after=_terms(terms),
                reason=asked.reason,
            )  # fmt: skip
            self._catalog.budgets.change(session, account, changed, now)
        return _raise(asked)

    @operation(
        "data.approve_raise",
        action="approveRaise",
        resource=budget_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", f"{_PATH}/raises/{{number}}/approve"),
        command=Command("data approve-raise", positional=("name", "number")),
        limits=_CHANGES,
    )
    def approve_raise(self, call: Call, request: SettleRaise) -> RaiseShown:
        """Approve a larger budget; it is in force when two people have, neither of whom asked.

        An earlier approval counts as long as who gave it may approve.
        """
        _require_person(call)
        with call.transaction() as session:
            account = self._account(session, request)
            now = self._now()
            changed = account.budget.approving(
                request.number, by=call.principal.id, now=now, may=call.may_too
            )
            asked = _numbered(changed, request.number)
            call.note(
                number=asked.number, state=asked.state, approvals=len(asked.approvals),
                before=_terms(account.budget.terms), after=_terms(changed.terms),
            )  # fmt: skip
            self._catalog.budgets.change(session, account, changed, now)
        return _raise(asked)

    @operation(
        "data.decline_raise",
        action="approveRaise",
        resource=budget_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", f"{_PATH}/raises/{{number}}/decline"),
        command=Command("data decline-raise", positional=("name", "number")),
        limits=_CHANGES,
    )
    def decline_raise(self, call: Call, request: SettleRaise) -> RaiseShown:
        """Decline a larger budget for good."""
        with call.transaction() as session:
            account = self._account(session, request)
            changed = account.budget.declining(request.number, by=call.principal.id)
            asked = _numbered(changed, request.number)
            call.note(number=asked.number, state=asked.state)
            self._catalog.budgets.change(session, account, changed, self._now())
        return _raise(asked)

    # ---- finding ----

    def _unit(self, session: Session, workspace: str, name: str, version: int) -> str:
        return self._catalog.find(session, workspace, name, version).record.subject_column

    def _account(
        self,
        session: Session,
        request: ShowBudget | SetBudget | AllotBudget | SettleRaise,
        version: int = 0,
        *,
        anew: bool = False,
    ) -> Account:
        unit = self._unit(session, request.workspace, request.name, version)
        return self._catalog.budgets.of(
            session, request.workspace, request.name, unit, self._now(), anew=anew
        )


def shown(account: Account, now: datetime, *, limit: int = 0, other_units: int = 0) -> BudgetShown:
    """A budget as it is given out, with the newest spends."""
    budget, spent = account.budget, account.spent
    first = len(account.spends) - limit
    numbered = list(enumerate(account.spends, 1))[max(first, 0) :]
    return BudgetShown(
        name=account.name,
        unit=budget.unit,
        protects=unit_in_words(budget.unit),
        epsilon=budget.terms.epsilon,
        delta=budget.terms.delta,
        composition=budget.terms.composition,
        holds_for=HOLDS_FOR[budget.terms.composition],
        spent=finite(spent),
        remaining=max(0.0, budget.terms.epsilon - spent),
        refill_days=budget.terms.refill_days,
        period_began_at=budget.period_start(now),
        next_period_at=budget.next_period(now),
        lifetime_epsilon=finite(account.lifetime),
        allotments=_allotted(account),
        raises=[_raise(each) for each in reversed(budget.raises)],
        spends=[_spend(number, spend) for number, spend in reversed(numbered)] if limit else [],
        spend_count=len(account.spends),
        other_units=other_units,
        set_by=budget.set_by,
        set_at=budget.set_at,
    )


def _allotted(account: Account) -> list[AllotmentShown]:
    found = []
    for purpose, most in sorted(account.budget.allotments.items()):
        spent = account.spent_for(purpose)
        found.append(
            AllotmentShown(
                purpose=purpose, epsilon=most, spent=finite(spent), remaining=max(0.0, most - spent)
            )
        )
    return found


def _spend(number: int, spend: Spend) -> SpendShown:
    return SpendShown(
        number=number, at=spend.at, by=spend.by, kind=spend.kind, purpose=spend.purpose,
        epsilon=spend.epsilon, spent=spend.spent, what=spend.what,
    )  # fmt: skip


def _raise(asked: Raise) -> RaiseShown:
    return RaiseShown(
        number=asked.number, state=asked.state, epsilon=asked.terms.epsilon,
        delta=asked.terms.delta, refill_days=asked.terms.refill_days,
        composition=asked.terms.composition, asked_by=asked.asked_by, asked_at=asked.asked_at,
        reason=asked.reason,
        approved_by=[each.by for each in asked.approvals], declined_by=asked.declined_by,
    )  # fmt: skip


def _numbered(budget: Budget, number: int) -> Raise:
    return next(each for each in budget.raises if each.number == number)


def _allotments(given: list[str]) -> dict[str, float]:
    """From `PURPOSE=EPSILON`. Raises: ValidationError."""
    found: dict[str, float] = {}
    for one in given:
        purpose, _, figure = one.partition("=")
        try:
            epsilon = float(figure)
        except ValueError:
            raise ValidationError(f"`{figure}` is no epsilon") from None
        if found.setdefault(purpose.strip(), epsilon) != epsilon:
            raise ValidationError(f"`{purpose.strip()}` is allotted twice")
    return found


def _require_person(call: Call) -> None:
    """Whoever made a program could ask through it for what they then approve."""
    if call.principal.kind is not PrincipalKind.PERSON:
        raise RefusedError("only people ask for a raise and approve one")


def _wanted(request: SetBudget, account: Account | None) -> Terms:
    """The terms of a request; the composition stays what it is where none is named."""
    composition = request.composition
    if composition is None:
        composition = "pld" if account is None else account.budget.terms.composition
    return Terms(request.epsilon, request.delta, request.refill_days, composition).checked()


def _terms(terms: Terms) -> str:
    """For the record."""
    refill = f", refilled every {terms.refill_days} days" if terms.refill_days else ""
    counted = ", counted adaptively" if terms.composition == "adaptive" else ""
    return f"epsilon {terms.epsilon:g} at delta {terms.delta:g}{refill}{counted}"


def _parts(allotments: Mapping[str, float]) -> str:
    """For the record; of many, the first."""
    parts = [f"{purpose}={most:g}" for purpose, most in sorted(allotments.items())]
    return ", ".join(parts[:20]) or "none"
