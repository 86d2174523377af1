"""Budgets for their tests: set through the gate, spent as an operation spends."""

from datetime import UTC, datetime

from tests.services.data.dataroom import DataRoom

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.gate.access.types import Principal
from strongroom.services.data.budget_ledger import Account, Budgets
from strongroom.services.data.budget_pricing import NewSpend, Priced
from strongroom.services.data.budget_types import BudgetShown, SetBudget, ShowBudget

CSV = b"patient,ward,stay\n" + b"".join(
    b"p%d,%s,%d\n" % (n % 300, b"north" if n % 3 else b"south", n % 20) for n in range(600)
)


def set_budget(room: DataRoom, by: Principal, epsilon: float, **fields: object) -> BudgetShown:
    """Set a budget of `patients`."""
    request = {"workspace": "clinic", "name": "patients", "epsilon": epsilon, **fields}
    shown = room.call(by, "data.set_budget", SetBudget.model_validate(request))
    assert isinstance(shown, BudgetShown)
    return shown


def budget_of(room: DataRoom, by: Principal, **fields: object) -> BudgetShown:
    """The budget as shown."""
    request = {"workspace": "clinic", "name": "patients", **fields}
    shown = room.call(by, "data.budget", ShowBudget.model_validate(request))
    assert isinstance(shown, BudgetShown)
    return shown


def budgets(room: DataRoom) -> Budgets:
    """The ledger that the room works with."""
    return room.room._catalog.budgets


def account(room: DataRoom, *, of: Budgets | None = None, unit: str = "patient") -> Account:
    """The account as a reader sees it."""
    with room.house.database.read() as session:
        now = datetime.fromtimestamp(room.house.clock(), UTC)
        return (of or budgets(room)).of(session, "clinic", "patients", unit, now)


def spend(
    room: DataRoom,
    cost: Cost | float,
    *,
    purpose: str = "research",
    of: Budgets | None = None,
    asked: float | None = None,
) -> Priced:
    """Spend in a transaction of its own; a number is a pure epsilon."""
    ledger = of or budgets(room)
    bought = Cost.pure(cost) if isinstance(cost, float) else cost
    new = NewSpend(bought, purpose, "usr_1", "query", "sha256:00", asked)
    now = datetime.fromtimestamp(room.house.clock(), UTC)
    with room.house.database.write() as session:
        found = ledger.of(session, "clinic", "patients", "patient", now)
        return ledger.spend(session, found, new, now)[1]
