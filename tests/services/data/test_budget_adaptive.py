"""Budgets that hold for whoever chooses each epsilon by earlier answers; and what refills count."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.services.data.budgetroom import CSV, account, budget_of, set_budget, spend
from tests.services.data.dataroom import DataRoom
from tests.vault.test_migrations import own_database

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.adaptive import SHARE
from strongroom.engines.privacy.dp.mechanisms import rho_of
from strongroom.errors import BudgetError, DpBudgetError, RefusedError
from strongroom.gate.access.types import Principal
from strongroom.services.data.budget_document import Budget, Terms
from strongroom.services.data.budget_ledger import Budgets
from strongroom.services.data.budget_pricing import NewSpend
from strongroom.services.data.budget_types import AskRaise, RaiseShown, SettleRaise
from strongroom.services.data.query_types import QueryAnswer, QueryDataset
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring
from strongroom.vault.roots import LocalRoot

DELTA = 1e-6
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def patients(room: DataRoom) -> DataRoom:
    """With the dataset `patients`, whose subject column is `patient`."""
    room.room._clock = room.house.clock
    room.add(CSV, subject_column="patient")
    return room


@pytest.fixture
def officer(room: DataRoom) -> Principal:
    """Who sets budgets."""
    return room.house.person("pia", "Privacy Officer")


def ask(room: DataRoom, sql: str, epsilon: float, **fields: object) -> QueryAnswer:
    """A question of the owner."""
    request = {
        "workspace": "clinic", "name": "patients", "sql": sql, "epsilon": epsilon,
        "purpose": "research", **fields,
    }  # fmt: skip
    answer = room.call(room.owner, "data.query", QueryDataset.model_validate(request))
    assert isinstance(answer, QueryAnswer)
    return answer


def ask_raise(room: DataRoom, by: Principal, epsilon: float, **fields: object) -> RaiseShown:
    """Ask for a raise."""
    request = {
        "workspace": "clinic", "name": "patients", "epsilon": epsilon,
        "reason": "the study goes on", **fields,
    }  # fmt: skip
    shown = room.call(by, "data.ask_raise", AskRaise.model_validate(request))
    assert isinstance(shown, RaiseShown)
    return shown


def approve(room: DataRoom, by: Principal, number: int) -> None:
    """Say yes to a raise."""
    request = SettleRaise(workspace="clinic", name="patients", number=number)
    room.call(by, "data.approve_raise", request)


# ---- which composition is in force ----


def test_what_each_composition_holds_for_is_said(patients: DataRoom, officer: Principal) -> None:
    shown = set_budget(patients, officer, 2.0)
    assert shown.composition == "pld"
    assert "chosen by earlier answers, more may be told" in shown.holds_for
    assert "polylogarithmic" in shown.holds_for
    shown = set_budget(patients, officer, 2.0, composition="adaptive")
    assert (shown.composition, shown.holds_for) == (
        "adaptive", "epsilons chosen by earlier answers, too"
    )  # fmt: skip
    event = [e for e in patients.house.events() if e.operation == "data.set_budget"][-1]
    assert event.details["after"] == "epsilon 2 at delta 1e-06, counted adaptively"
    # Where none is named, it stays.
    assert set_budget(patients, officer, 1.5).composition == "adaptive"


def test_back_from_adaptive_takes_two_people(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0, composition="adaptive")
    with pytest.raises(RefusedError, match="approval of two people"):
        set_budget(patients, officer, 1.0, composition="pld")
    asked = ask_raise(patients, officer, 2.0, composition="pld")
    assert asked.composition == "pld"
    with pytest.raises(RefusedError, match="who asks"):
        approve(patients, officer, asked.number)
    approve(patients, patients.owner, asked.number)
    assert budget_of(patients, officer).composition == "adaptive"
    approve(patients, patients.house.person("otto", "Owner"), asked.number)
    assert budget_of(patients, officer).composition == "pld"


def test_a_raise_keeps_the_composition(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0, composition="adaptive")
    assert ask_raise(patients, officer, 3.0).composition == "adaptive"


def test_a_budget_from_before_there_were_two_compositions_is_read() -> None:
    now = "2026-01-01T00:00:00Z"
    old = {
        "unit": "", "terms": {"epsilon": 1.0, "delta": 1e-6, "refill_days": 30}, "began_at": now,
        "set_by": "usr_1", "set_at": now, "allotments": {}, "raises": [], "v": 1,
    }  # fmt: skip
    budget = Budget.from_bytes(json.dumps(old).encode())
    assert budget.terms.composition == "pld"
    assert budget.period_start(NOW + 31 * DAY) == NOW + 30 * DAY
    assert budget.next_period(NOW) == NOW + 30 * DAY


# ---- what is counted ----


def test_rhos_are_added_up_to_what_the_budget_allows(
    patients: DataRoom, officer: Principal
) -> None:
    set_budget(patients, officer, 1.0, composition="adaptive")
    most = rho_of(1.0, (1 - SHARE) * DELTA)
    each = most / 4.001
    for _ in range(2):
        spend(patients, Cost.zcdp(each))
    spend(patients, math.sqrt(2 * each))  # a pure epsilon counts half its square
    last = spend(patients, Cost.gaussian(1 / math.sqrt(2 * each)))
    assert last.after == pytest.approx(1.0, abs=1e-3)
    assert last.after <= 1.0
    with pytest.raises(BudgetError, match="would be spent"):
        spend(patients, Cost.zcdp(each))
    shown = budget_of(patients, officer)
    assert shown.spent == last.after == shown.spends[0].spent == shown.lifetime_epsilon
    assert shown.spends[0].epsilon == pytest.approx(shown.spends[-1].epsilon)


def test_what_has_no_rho_is_refused_and_why(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0, composition="adaptive")
    with pytest.raises(BudgetError, match="noise on samples has no rho"):
        spend(patients, Cost.subsampled_gaussian(5.0, 0.01, 10))
    spend(patients, Cost.approximate(0.1, SHARE * DELTA * 0.6))
    with pytest.raises(BudgetError, match="1e-07 of the budget's delta is for them"):
        spend(patients, Cost.approximate(0.1, SHARE * DELTA * 0.6))
    spend(patients, Cost.approximate(0.1, SHARE * DELTA * 0.4))


def test_what_had_no_rho_before_stops_all(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0, refill_days=30)
    spend(patients, Cost.subsampled_gaussian(5.0, 0.01, 10))
    shown = set_budget(patients, officer, 2.0, refill_days=30, composition="adaptive")
    assert (shown.spent, shown.remaining) == (None, 0.0)
    with pytest.raises(BudgetError, match="earlier spends of the period have no rho"):
        spend(patients, 0.1)
    patients.house.clock.now += 31 * DAY.total_seconds()
    assert spend(patients, 0.1).before == 0.0


def test_allotments_are_counted_the_same_way(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0, composition="adaptive")
    with patients.house.database.write() as session:
        found = account(patients)
        parts = found.budget.with_allotments({"research": 1.0}, by="usr_1", now=NOW)
        patients.room._catalog.budgets.change(session, found, parts, NOW)
    rho = rho_of(1.0, (1 - SHARE) * DELTA)
    spend(patients, Cost.zcdp(rho * 0.9))
    with pytest.raises(BudgetError, match="allotted"):
        spend(patients, Cost.zcdp(rho * 0.2))
    shown = budget_of(patients, officer)
    assert shown.allotments[0].spent == shown.spent


# ---- questions ----


def test_questions_draw_gaussian_noise_and_cost_what_was_asked(
    patients: DataRoom, officer: Principal
) -> None:
    set_budget(patients, officer, 2.0, composition="adaptive")
    foreseen = ask(patients, "SELECT COUNT(*) FROM data", 0.5, dry_run=True)
    answer = ask(patients, "SELECT COUNT(*) FROM data", 0.5)
    assert foreseen.noise == answer.noise == "gaussian"
    assert answer.delta == pytest.approx((1 - SHARE) * DELTA)
    assert answer.epsilon_alone == pytest.approx(0.5, abs=1e-3)
    assert answer.budget_spent == answer.epsilon_alone == foreseen.budget_spent
    assert account(patients).tally.whole.given == 0.0


def test_groups_that_only_the_data_knows_take_a_delta_of_their_own(
    patients: DataRoom, officer: Principal
) -> None:
    set_budget(patients, officer, 5.0, composition="adaptive")
    sql = "SELECT ward, COUNT(*) AS n FROM data GROUP BY ward"
    with pytest.raises(DpBudgetError, match="needs a delta"):
        ask(patients, sql, 1.0)
    answer = ask(patients, sql, 1.0, delta=1e-8, groups=2)
    assert answer.epsilon_alone == pytest.approx(1.0, abs=2e-3)
    assert 0 < account(patients).tally.whole.given <= 1e-8
    with pytest.raises(BudgetError, match="of the budget's delta is for them"):
        ask(patients, sql, 1.0, delta=1e-6, groups=2)


def test_who_chooses_by_answers_stays_within(patients: DataRoom, officer: Principal) -> None:
    """Halves or doubles the next epsilon by what the last answer said, until nothing is left."""
    set_budget(patients, officer, 1.0, composition="adaptive")
    epsilon, rhos, refused = 0.3, [], 0.0
    while epsilon > 0.05:
        try:
            answer = ask(patients, "SELECT COUNT(*) AS n FROM data WHERE stay < 5", epsilon)
        except BudgetError:
            refused = epsilon
            epsilon /= 2
            continue
        is_high = answer.groups[0].values["n"].value > 150
        rhos.append(account(patients).tally.whole.concentrated)
        epsilon = min(max(epsilon * (2 if is_high else 0.6), 0.25), 0.5)
    assert len(rhos) >= 2
    assert rhos == sorted(rhos)
    limit = rho_of(1.0, (1 - SHARE) * DELTA)
    assert rhos[-1] <= limit * (1 + 2e-5)
    # Nothing was refused that would have fitted: a pure epsilon costs at most its square by two.
    assert refused
    assert rhos[-1] + refused**2 / 2 > limit
    spent = budget_of(patients, officer).spent
    assert spent is not None
    assert 0.95 < spent <= 1.0


# ---- on both databases ----


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty one."""
    if request.param == "sqlite":
        opened = Database.open(f"sqlite:///{tmp_path}/adaptive.db")
        opened.migrate()
        yield opened
        opened.close()
    else:
        with own_database(request.getfixturevalue("postgres_server_url")) as url:
            opened = Database.open(url)
            opened.migrate()
            yield opened
            opened.close()


def test_another_process_counts_the_same(database: Database) -> None:
    keys = Keyring(LocalRoot(bytes(32)))
    where = ("clinic", "patients", "id")
    terms = Terms(1.0, DELTA, composition="adaptive")
    with database.write() as session:
        keys.create_workspace_key(session, "clinic")
        Budgets(keys).create(session, *where, terms, by="usr_1", now=NOW)
    new = NewSpend(Cost.zcdp(0.004), "research", "usr_1", "query", "sha256:00")
    ledgers = [Budgets(keys), Budgets(keys)]
    spent: list[float] = []

    def spend_once() -> None:
        with database.write() as session:
            ledger = ledgers[len(spent) % 2]
            found = ledger.of(session, *where, NOW)
            spent.append(ledger.spend(session, found, new, NOW)[1].after)

    for _ in range(int(rho_of(1.0, (1 - SHARE) * DELTA) / 0.004)):
        spend_once()
    with pytest.raises(BudgetError):
        spend_once()
    with database.read() as session:
        assert Budgets(keys).of(session, *where, NOW).spent == spent[-1] <= 1.0


# ---- refills ----


def test_a_sooner_refill_brings_none_at_once(patients: DataRoom, officer: Principal) -> None:
    """Days that went by before it was approved do not count: what was spent stays spent."""
    set_budget(patients, officer, 1.0)
    patients.house.clock.now += 100 * DAY.total_seconds()
    spend(patients, 0.9)
    asked = ask_raise(patients, officer, 1.0, refill_days=30)
    approve(patients, patients.owner, asked.number)
    approve(patients, patients.house.person("otto", "Owner"), asked.number)
    shown = budget_of(patients, officer)
    assert shown.spent == pytest.approx(0.9, abs=1e-3)
    now = datetime.fromtimestamp(patients.house.clock(), UTC)
    assert shown.next_period_at == now + 30 * DAY
    with pytest.raises(BudgetError):
        spend(patients, 0.5)
    patients.house.clock.now += 29 * DAY.total_seconds()
    with pytest.raises(BudgetError):
        spend(patients, 0.5)
    patients.house.clock.now += 2 * DAY.total_seconds()
    assert spend(patients, 0.5).before == 0.0
    assert budget_of(patients, officer).period_began_at == now + 30 * DAY


def test_shorter_and_longer_periods_go_on_from_the_one_that_runs() -> None:
    budget = Budget("", Terms(1.0, DELTA, 100), NOW, "usr_1", NOW)
    later = NOW + 150 * DAY
    shorter = budget._under(Terms(1.0, DELTA, 20), "usr_1", later)
    assert shorter.period_start(later) == NOW + 100 * DAY
    assert shorter.next_period(later) == later + 20 * DAY
    assert shorter.period_start(later + 45 * DAY) == later + 40 * DAY
    same = shorter._under(Terms(0.5, DELTA, 20), "usr_1", later + 10 * DAY)
    assert same.next_period(later + 10 * DAY) == later + 20 * DAY
    longer = shorter._under(Terms(1.0, DELTA, 60), "usr_1", later + 45 * DAY)
    assert longer.period_start(later + 45 * DAY) == later + 40 * DAY
    assert longer.next_period(later + 45 * DAY) == later + 100 * DAY
    never = shorter._under(Terms(1.0, DELTA), "usr_1", later + 45 * DAY)
    assert never.period_start(later + 900 * DAY) == later + 40 * DAY
