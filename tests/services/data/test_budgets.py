"""Privacy budgets: who sets and raises them, what fits, what is refused, and what is found out."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError as InputError
from sqlalchemy import text
from tests.services.data.budgetroom import (
    CSV,
    account,
    budget_of,
    budgets,
    set_budget,
    spend,
)
from tests.services.data.dataroom import DataRoom

from strongroom.engines.privacy.dp.accounting import Cost, epsilon
from strongroom.errors import (
    BudgetError,
    ConflictError,
    KeyUnavailableError,
    NotFoundError,
    RefusedError,
    StateError,
    TamperedError,
    ValidationError,
)
from strongroom.gate.access.types import Principal, PrincipalKind
from strongroom.services.data.budget_document import Budget, Terms, checked_purpose
from strongroom.services.data.budget_ledger import Budgets
from strongroom.services.data.budget_pricing import NewSpend, Tally, price, refused, rounded_down
from strongroom.services.data.budget_types import (
    AllotBudget,
    AskRaise,
    BudgetShown,
    RaiseShown,
    SetBudget,
    SettleRaise,
    ShowBudget,
)
from strongroom.services.data.types import RemoveDataset

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1).total_seconds()


@pytest.fixture
def patients(room: DataRoom) -> DataRoom:
    """With the dataset `patients`, whose subject column is `patient`."""
    room.room._clock = room.house.clock  # so that days pass
    room.add(CSV, subject_column="patient")
    return room


@pytest.fixture
def officer(room: DataRoom) -> Principal:
    """Who sets budgets."""
    return room.house.person("pia", "Privacy Officer")


def allot(room: DataRoom, by: Principal, *allotments: str) -> BudgetShown:
    """Divide the budget."""
    request = AllotBudget(workspace="clinic", name="patients", allotments=list(allotments))
    shown = room.call(by, "data.allot_budget", request)
    assert isinstance(shown, BudgetShown)
    return shown


def ask(room: DataRoom, by: Principal, epsilon: float, **fields: object) -> RaiseShown:
    """Ask for a raise."""
    request = {
        "workspace": "clinic", "name": "patients", "epsilon": epsilon,
        "reason": "the study goes on", **fields,
    }  # fmt: skip
    shown = room.call(by, "data.ask_raise", AskRaise.model_validate(request))
    assert isinstance(shown, RaiseShown)
    return shown


def settle(room: DataRoom, by: Principal, number: int, verb: str = "approve") -> RaiseShown:
    """Approve or decline."""
    request = SettleRaise(workspace="clinic", name="patients", number=number)
    shown = room.call(by, f"data.{verb}_raise", request)
    assert isinstance(shown, RaiseShown)
    return shown


# ---- setting ----


def test_a_first_budget_is_shown_with_nothing_spent(patients: DataRoom, officer: Principal) -> None:
    shown = set_budget(patients, officer, 2.0, delta=1e-7)
    assert (shown.epsilon, shown.delta, shown.spent, shown.remaining) == (2.0, 1e-7, 0.0, 2.0)
    assert (shown.unit, shown.protects) == ("patient", "the people of column `patient`")
    assert (shown.set_by, shown.next_period_at, shown.spends) == (officer.id, None, [])
    assert budget_of(patients, officer) == shown
    event = next(e for e in patients.house.events() if e.operation == "data.set_budget")
    assert event.details["before"] == "none"
    assert event.details["after"] == "epsilon 2 at delta 1e-07"


def test_without_a_subject_column_a_row_is_the_unit(room: DataRoom, officer: Principal) -> None:
    room.add(CSV)
    shown = set_budget(room, officer, 1.0)
    assert (shown.unit, shown.protects) == ("", "single rows")
    # The people of a column have a budget of their own, which must be set.
    room.add(CSV + b"p999,north,3\n", subject_column="patient")
    with pytest.raises(StateError, match="no privacy budget for the people of column `patient`"):
        budget_of(room, officer)
    shown = set_budget(room, officer, 1.0)
    # The people are the same: it begins with nothing, or a new column would be a new budget.
    assert (shown.unit, shown.epsilon, shown.raises[0].epsilon) == ("patient", 1e-6, 1.0)
    with pytest.raises(BudgetError):
        spend(room, 0.1)
    with pytest.raises(RefusedError, match="who asks"):
        settle(room, officer, 1)
    settle(room, room.owner, 1)
    settle(room, room.house.person("otto", "Owner"), 1)
    assert budget_of(room, officer).epsilon == 1.0
    assert budget_of(room, officer).other_units == 1
    assert budget_of(room, officer, version=1).unit == ""


def test_a_clock_that_is_set_back_forgets_no_spend(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 1.0, refill_days=30)
    patients.house.clock.now -= 5 * DAY
    spend(patients, 0.8)
    for ledger in (budgets(patients), Budgets(patients.house.keyring)):
        with pytest.raises(BudgetError):
            spend(patients, 0.8, of=ledger)


def test_all_versions_have_one_budget(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0)
    spend(patients, 0.5)
    patients.add(CSV + b"p999,north,3\n", subject_column="patient")
    assert budget_of(patients, officer).spent == pytest.approx(0.5, abs=1e-3)
    assert budget_of(patients, officer, version=1) == budget_of(patients, officer)


def test_terms_out_of_range_are_refused(patients: DataRoom, officer: Principal) -> None:
    for fields in (
        {"epsilon": 0.0}, {"epsilon": -1.0}, {"epsilon": 51.0}, {"epsilon": 1.0, "delta": 0.0},
        {"epsilon": 1.0, "delta": 1.0}, {"epsilon": 1.0, "delta": -1e-9},
        {"epsilon": 1.0, "delta": 0.5}, {"epsilon": 1.0, "refill_days": -1},
        {"epsilon": 1.0, "refill_days": 99_999},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            set_budget(patients, officer, **fields)
    with pytest.raises(StateError, match="no privacy budget"):
        budget_of(patients, officer)


@pytest.mark.parametrize("figure", [math.inf, math.nan])
def test_figures_that_are_none_do_not_come_in(figure: float) -> None:
    for fields in ({"epsilon": figure}, {"epsilon": 1.0, "delta": figure}):
        with pytest.raises(InputError):
            SetBudget.model_validate({"workspace": "clinic", "name": "patients", **fields})


def test_smaller_terms_take_one_person_and_larger_do_not(
    patients: DataRoom, officer: Principal
) -> None:
    set_budget(patients, officer, 2.0, delta=1e-6, refill_days=30)
    for larger in (
        {"epsilon": 2.1, "delta": 1e-6, "refill_days": 30},
        {"epsilon": 2.0, "delta": 2e-6, "refill_days": 30},
        {"epsilon": 1.0, "delta": 1e-6, "refill_days": 29},
    ):
        with pytest.raises(RefusedError, match="approval of two people"):
            set_budget(patients, officer, **larger)
    shown = set_budget(patients, officer, 1.0, delta=1e-7)
    assert (shown.epsilon, shown.delta, shown.refill_days) == (1.0, 1e-7, 0)
    with pytest.raises(RefusedError, match="approval of two people"):
        set_budget(patients, officer, 1.0, delta=1e-7, refill_days=365)


def test_a_budget_below_what_is_spent_stops_all_spending(
    patients: DataRoom, officer: Principal
) -> None:
    set_budget(patients, officer, 2.0)
    spend(patients, 1.5)
    shown = set_budget(patients, officer, 1.0)
    assert shown.remaining == 0.0
    assert shown.spent == pytest.approx(1.5, abs=1e-3)
    with pytest.raises(BudgetError) as caught:
        spend(patients, 0.01)
    assert "nothing of the kind fits any more" in caught.value.next_step


# ---- spending ----


def test_spends_compose_and_the_last_that_does_not_fit_is_refused(
    patients: DataRoom, officer: Principal
) -> None:
    set_budget(patients, officer, 1.0)
    admitted: list[Cost] = []
    while True:
        cost = Cost.laplace(20.0) if len(admitted) % 2 else Cost.gaussian(60.0)
        try:
            priced = spend(patients, cost)
        except BudgetError:
            break
        admitted.append(cost)
        assert priced.after == pytest.approx(epsilon(admitted, 1e-6), rel=1e-6)
        assert priced.after <= 1.0
        assert priced.remaining == pytest.approx(1.0 - priced.after)
    assert epsilon([*admitted, cost], 1e-6) > 1.0
    assert len(admitted) > 20  # by addition it would be 20 of the Laplace answers alone
    shown = budget_of(patients, officer)
    assert shown.spend_count == len(admitted)
    assert shown.spent == pytest.approx(epsilon(admitted, 1e-6), rel=1e-6)


def test_a_refusal_says_what_would_fit_and_that_fits() -> None:
    budget = Budget("patient", Terms(1.0, 1e-6), NOW, "usr_1", NOW)
    earlier = Tally(NOW).plus("research", Cost.pure(0.5))
    for cost, asked in (
        (Cost.pure(0.9), 0.9), (Cost.laplace(1 / 0.9), 0.9), (Cost.gaussian(1.0), None),
        (Cost.zcdp(0.5), 4.0), (Cost.geometric(10, 9), 0.9), (Cost.approximate(0.9, 1e-9), 0.9),
        (Cost.subsampled_gaussian(1.0, 0.05, 400), None),
    ):  # fmt: skip
        new = NewSpend(cost, "research", "usr_1", "query", "sha256:00", asked)
        priced, _ = price(budget, earlier, new)
        error = refused(priced, new)
        assert error.message.endswith("would be spent, and the budget is epsilon 1")
        named = float(error.next_step.split("at most ")[1].split(",")[0])
        whole = epsilon(cost, 1e-6) if asked is None else asked
        assert 0 < named < whole
        fitting, _ = price(budget, earlier, replace(new, cost=cost.scaled(named / whole)))
        assert 0.97 < fitting.after <= 1.0


def test_where_purposes_have_parts_what_is_said_to_fit_fits_into_the_part() -> None:
    budget = Budget("patient", Terms(4.0, 1e-6), NOW, "usr_1", NOW, {"research": 1.0, "other": 3.0})
    earlier = Tally(NOW).plus("research", Cost.pure(0.5)).plus("other", Cost.pure(1.0))
    steps = []
    for asked in (9.0, 0.9):  # more than the whole, and more than the part
        new = NewSpend(Cost.pure(asked), "research", "usr_1", "query", "sha256:00", asked)
        priced, _ = price(budget, earlier, new)
        steps.append(refused(priced, new).next_step)
        named = float(steps[-1].split("at most ")[1].split(",")[0])
        assert named == pytest.approx(0.5, rel=0.02)
        fitting, _ = price(budget, earlier, replace(new, cost=Cost.pure(named)))
        assert fitting.refusal is None
    assert "allot-budget" in steps[-1]  # a raise would leave the part as it is
    assert "ask-raise" not in steps[-1]


def test_a_delta_of_its_own_that_the_budget_does_not_have_is_refused(
    patients: DataRoom, officer: Principal
) -> None:
    set_budget(patients, officer, 1.0, delta=1e-6)
    with pytest.raises(BudgetError, match="no epsilon at the budget's delta of 1e-06"):
        spend(patients, Cost.approximate(0.1, 1e-5))


def test_a_cost_of_nothing_is_no_spend(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 1.0)
    with pytest.raises(ValidationError, match="nothing is spent"):
        spend(patients, Cost())


def test_what_still_fits_is_never_rounded_up() -> None:
    for number in (0.99999, 0.12345, 1e-4, 5.0, 3.999999999):
        assert 0.99 * number < rounded_down(number) <= number
    assert rounded_down(0.0) == rounded_down(math.inf) == 0.0


# ---- purposes ----


def test_each_purpose_spends_its_allotment_and_no_more(
    patients: DataRoom, officer: Principal
) -> None:
    set_budget(patients, officer, 1.0)
    spend(patients, 0.1, purpose="teaching")
    shown = allot(patients, officer, "research=0.6", "teaching=0.2")
    assert {one.purpose: round(one.spent or 0, 3) for one in shown.allotments} == {
        "research": 0.0, "teaching": 0.1,
    }  # fmt: skip
    with pytest.raises(BudgetError, match=r"for `teaching`, and epsilon 0\.2 is allotted"):
        spend(patients, 0.15, purpose="teaching")
    assert spend(patients, 0.5).remaining == pytest.approx(0.1, abs=2e-3)
    with pytest.raises(ValidationError, match="nothing of the budget is allotted to `curiosity`"):
        spend(patients, 0.01, purpose="curiosity")
    assert allot(patients, officer).allotments == []
    spend(patients, 0.01, purpose="curiosity")


def test_allotments_that_are_none_are_refused(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 1.0)
    for allotments in [
        ["a=0.6", "b=0.5"],
        ["a=0"],
        ["a=-1"],
        ["a=1e99"],
        ["a=1e"],
        ["a=0.1", "a=0.2"],
        [" =0.1"],
    ]:
        with pytest.raises(ValidationError):
            allot(patients, officer, *allotments)
    assert budget_of(patients, officer).allotments == []


@pytest.mark.parametrize("purpose", ["", "  ", "x" * 101, "two\nlines"])
def test_a_purpose_must_be_one(purpose: str) -> None:
    with pytest.raises(ValidationError, match="a purpose has"):
        checked_purpose(purpose)


# ---- raises ----


def test_a_raise_needs_two_people_and_neither_asked_for_it(
    patients: DataRoom, officer: Principal
) -> None:
    scientist = patients.house.person("dana", "Data Scientist")
    set_budget(patients, officer, 1.0)
    assert ask(patients, scientist, 3.0).state == "open"
    with pytest.raises(RefusedError, match="`approveRaise` is not permitted"):
        settle(patients, scientist, 1)
    assert settle(patients, officer, 1).state == "open"
    with pytest.raises(RefusedError, match="you have approved it already"):
        settle(patients, officer, 1)
    assert budget_of(patients, officer).epsilon == 1.0
    settled = settle(patients, patients.owner, 1)
    assert (settled.state, settled.approved_by) == ("in force", [officer.id, patients.owner.id])
    assert budget_of(patients, officer).epsilon == 3.0
    with pytest.raises(StateError, match="is in force already"):
        settle(patients, patients.owner, 1)
    events = [e for e in patients.house.events() if e.operation == "data.approve_raise"]
    assert [str(e.outcome) for e in events].count("refused") == 2


def test_an_approval_counts_as_long_as_who_gave_it_may_approve(
    patients: DataRoom, officer: Principal
) -> None:
    second = patients.house.person("quinn", "Privacy Officer")
    scientist = patients.house.person("dana", "Data Scientist")
    set_budget(patients, officer, 1.0)
    ask(patients, scientist, 3.0)
    settle(patients, second, 1)
    patients.house.revoke(second, "Privacy Officer")
    settled = settle(patients, officer, 1)
    assert (settled.state, settled.approved_by) == ("open", [officer.id])
    assert budget_of(patients, officer).epsilon == 1.0
    assert settle(patients, patients.owner, 1).state == "in force"


def test_who_asks_does_not_approve(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 1.0)
    ask(patients, officer, 3.0)
    with pytest.raises(RefusedError, match="who asks for a raise does not approve it"):
        settle(patients, officer, 1)
    settle(patients, patients.owner, 1)
    assert budget_of(patients, officer).epsilon == 1.0
    settle(patients, patients.house.person("omar", "Owner"), 1)
    assert budget_of(patients, officer).epsilon == 3.0


def test_a_program_asks_for_no_raise_and_approves_none(
    patients: DataRoom, officer: Principal
) -> None:
    """Else whoever made it could approve what they asked for through it."""
    service = patients.house.account("bot", "Privacy Officer", kind=PrincipalKind.SERVICE)
    set_budget(patients, service, 1.0)
    with pytest.raises(RefusedError, match="only people"):
        ask(patients, service, 3.0)
    ask(patients, officer, 3.0)
    with pytest.raises(RefusedError, match="only people"):
        settle(patients, service, 1)
    patients.add(CSV + b"p999,north,3\n", subject_column="ward")
    with pytest.raises(RefusedError, match="only people"):
        set_budget(patients, service, 1.0)  # of another unit: a raise


def test_a_raise_is_approved_from_the_terms_that_it_was_asked_from(
    patients: DataRoom, officer: Principal
) -> None:
    scientist = patients.house.person("dana", "Data Scientist")
    set_budget(patients, officer, 2.0)
    ask(patients, scientist, 3.0)
    settle(patients, officer, 1)
    set_budget(patients, officer, 0.5)
    with pytest.raises(ConflictError, match="was changed since"):
        settle(patients, patients.owner, 1)
    assert settle(patients, officer, 1, "decline").state == "declined"
    with pytest.raises(StateError, match="is declined already"):
        settle(patients, patients.owner, 1)
    with pytest.raises(NotFoundError):
        settle(patients, patients.owner, 2)


def test_what_is_no_raise_or_one_too_many_is_refused(
    patients: DataRoom, officer: Principal
) -> None:
    set_budget(patients, officer, 2.0)
    for terms in ({"epsilon": 2.0}, {"epsilon": 1.0}, {"epsilon": 0.0}, {"epsilon": 51.0}):
        with pytest.raises(ValidationError):
            ask(patients, officer, **terms)
    for _ in range(10):
        ask(patients, officer, 3.0)
    with pytest.raises(StateError, match="wait already"):
        ask(patients, officer, 3.0)


# ---- refills ----


def test_a_refill_begins_anew_and_forgets_nothing(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 1.0, refill_days=30)
    spend(patients, 0.8)
    with pytest.raises(BudgetError):
        spend(patients, 0.8)
    patients.house.clock.now += 31 * DAY
    shown = budget_of(patients, officer)
    assert (shown.spent, shown.remaining) == (0.0, 1.0)
    assert shown.lifetime_epsilon == pytest.approx(0.8, abs=1e-3)
    spend(patients, 0.8)
    shown = budget_of(patients, officer)
    assert shown.spent == pytest.approx(0.8, abs=1e-3)
    assert shown.lifetime_epsilon == pytest.approx(1.6, abs=3e-3)
    assert shown.next_period_at is not None
    assert (shown.next_period_at - shown.period_began_at).days == 30


def test_a_longer_time_between_refills_keeps_what_is_spent(
    patients: DataRoom, officer: Principal
) -> None:
    set_budget(patients, officer, 1.0, refill_days=30)
    patients.house.clock.now += 40 * DAY
    spend(patients, 0.8)
    patients.house.clock.now += 10 * DAY
    # Counted from the very first day, a period of 45 days would have begun five days ago.
    assert set_budget(patients, officer, 1.0, refill_days=45).spent == pytest.approx(0.8, abs=1e-3)
    assert set_budget(patients, officer, 1.0).spent == pytest.approx(0.8, abs=1e-3)
    patients.house.clock.now += 1000 * DAY
    with pytest.raises(BudgetError):
        spend(patients, 0.8)


# ---- who may ----


def test_who_may_only_look_neither_sets_nor_asks(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 1.0)
    for role in ("Reader", "Auditor"):
        person = patients.house.person(role.lower(), role)
        assert budget_of(patients, person).epsilon == 1.0
        with pytest.raises(RefusedError):
            set_budget(patients, person, 0.5)
        with pytest.raises(RefusedError):
            ask(patients, person, 2.0)
        with pytest.raises(RefusedError):
            settle(patients, person, 1)
        with pytest.raises(RefusedError):
            allot(patients, person, "a=1")
    scientist = patients.house.person("dana", "Data Scientist")
    with pytest.raises(RefusedError):
        set_budget(patients, scientist, 0.5)
    with pytest.raises(RefusedError):
        budget_of(patients, patients.house.person("olaf", "Compute Operator"))


# ---- datasets that go ----


def test_a_budget_outlives_its_dataset(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 1.0)
    spend(patients, 0.7)
    patients.call(patients.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients"))
    with pytest.raises(NotFoundError):
        budget_of(patients, officer)
    patients.add(CSV, subject_column="patient")
    assert budget_of(patients, officer).spent == pytest.approx(0.7, abs=1e-3)
    with pytest.raises(RefusedError, match="approval of two people"):
        set_budget(patients, officer, 5.0)


# ---- what is found out ----


def tampered(room: DataRoom, *statements: str) -> None:
    """Change rows behind the server's back."""
    with room.house.database.write() as session:
        for statement in statements:
            session.execute(text(statement))


TAMPERING = (
    "DELETE FROM privacy_spends WHERE number = 3",
    "DELETE FROM privacy_spends WHERE number = 2",
    "DELETE FROM privacy_spends",
    "UPDATE privacy_spends SET spend = x'00' WHERE number = 1",
    "UPDATE privacy_spends SET head = x'00' WHERE number = 3",
    "UPDATE privacy_spends SET head = 'text' WHERE number = 3",
    "UPDATE privacy_spends SET spend = 'text' WHERE number = 3",
    "UPDATE privacy_spends SET number = 4 WHERE number = 3",
    "UPDATE privacy_spends SET spend = (SELECT spend FROM privacy_spends LIMIT 1) WHERE number = 2",
    "UPDATE privacy_budgets SET document = x'00'",
    "UPDATE privacy_budgets SET document = 'text'",
    "UPDATE privacy_budgets SET workspace = 'other'",
    "UPDATE privacy_budgets SET name = 'others'",
)


def test_a_changed_row_stops_spending(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0)
    for _ in range(3):
        spend(patients, 0.3)
    fresh = Budgets(patients.house.keyring)  # as another process, or after a restart
    account(patients, of=fresh)
    before = epsilon([Cost.pure(0.3)] * 3, 1e-6)
    assert account(patients, of=fresh).spent == pytest.approx(before, rel=1e-6)
    tampered(
        patients,
        "CREATE TABLE kept_budgets AS SELECT * FROM privacy_budgets",
        "CREATE TABLE kept_spends AS SELECT * FROM privacy_spends",
    )
    for statement in TAMPERING:
        tampered(patients, statement)
        with pytest.raises(TamperedError):
            budget_of(patients, officer)
        with pytest.raises(TamperedError):
            spend(patients, 0.1, of=Budgets(patients.house.keyring))
        tampered(
            patients,
            "DELETE FROM privacy_spends",
            "DELETE FROM privacy_budgets",
            "INSERT INTO privacy_budgets SELECT * FROM kept_budgets",
            "INSERT INTO privacy_spends SELECT * FROM kept_spends",
        )
    assert budget_of(patients, officer).spend_count == 3


def test_a_ledger_that_is_taken_away_is_missed(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0)
    spend(patients, 0.3)
    tampered(patients, "DELETE FROM privacy_spends", "DELETE FROM privacy_budgets")
    with pytest.raises(TamperedError, match="was taken away"):
        set_budget(patients, officer, 2.0)
    with pytest.raises(TamperedError, match="was taken away"):
        spend(patients, 0.1)


def test_rows_of_an_older_day_are_refused(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0)
    spend(patients, 0.3)
    tampered(
        patients,
        "CREATE TABLE kept AS SELECT * FROM privacy_budgets",
        "CREATE TABLE kept_spends AS SELECT * FROM privacy_spends",
    )
    spend(patients, 1.5)
    tampered(patients, "DELETE FROM privacy_spends WHERE number = 2")
    with pytest.raises(TamperedError):
        spend(patients, 1.5)
    with pytest.raises(TamperedError):
        budget_of(patients, officer)


def test_a_smaller_budget_is_not_undone_by_its_older_row(
    patients: DataRoom, officer: Principal
) -> None:
    set_budget(patients, officer, 2.0)
    tampered(patients, "CREATE TABLE kept AS SELECT * FROM privacy_budgets")
    set_budget(patients, officer, 0.5)
    tampered(patients, "UPDATE privacy_budgets SET document = (SELECT document FROM kept)")
    with pytest.raises(TamperedError):
        spend(patients, 1.0)


def test_nothing_of_a_budget_is_readable_at_rest(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0)
    allot(patients, officer, "chemotherapy=1")
    spend(patients, 0.3, purpose="chemotherapy")
    with patients.house.database.read() as session:
        for table in ("privacy_budgets", "privacy_spends"):
            for row in session.execute(text(f"SELECT * FROM {table}")):  # noqa: S608 # our own names
                assert not any("chemotherapy" in str(cell) for cell in row)


# ---- keys ----


def test_without_the_key_nothing_is_spent(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0)
    with patients.house.database.write() as session:
        patients.house.keyring.disable(session, "clinic")
    with pytest.raises(KeyUnavailableError):
        spend(patients, 0.1)


def test_a_rotation_keeps_the_ledger(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0)
    spend(patients, 0.3)
    with patients.house.database.write() as session:
        patients.house.keyring.rotate(session, "clinic")
        assert budgets(patients).rewrap(session, "clinic") == 1
    spend(patients, 0.3)
    assert budget_of(patients, officer).spend_count == 2


# ---- many at once ----


def test_what_was_decided_and_rolled_back_was_never_spent(
    patients: DataRoom, officer: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_budget(patients, officer, 1.0)
    record = patients.house.keyring.seals.record

    def failing(*arguments: object, **named: object) -> None:
        record(*arguments, **named)  # type: ignore[arg-type] # passed on
        raise OSError("the disk")

    monkeypatch.setattr(patients.house.keyring.seals, "record", failing)
    with pytest.raises(OSError, match="disk"):
        spend(patients, 0.9)
    monkeypatch.undo()
    assert account(patients).spends == ()
    assert spend(patients, 0.9).before == 0.0
    assert spend(patients, 0.05).after == pytest.approx(0.95, abs=2e-3)


def test_processes_see_each_others_spends(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 1.0)
    one, two = Budgets(patients.house.keyring), Budgets(patients.house.keyring)
    spend(patients, 0.3, of=one)
    spend(patients, 0.3, of=two)
    spend(patients, 0.3, of=one)
    for ledger in (one, two):
        with pytest.raises(BudgetError):
            spend(patients, 0.3, of=ledger)


def test_spends_are_shown_newest_first_and_so_many(patients: DataRoom, officer: Principal) -> None:
    set_budget(patients, officer, 2.0)
    for each in (0.1, 0.2, 0.3):
        spend(patients, each)
    shown = budget_of(patients, officer, limit=2)
    assert [one.number for one in shown.spends] == [3, 2]
    assert shown.spend_count == 3
    assert shown.spends[0].epsilon == pytest.approx(0.3, abs=1e-3)
    assert shown.spends[0].spent == pytest.approx(shown.spent)
    assert budget_of(patients, officer, limit=0).spends == []


_CALLS: list[Callable[[DataRoom, Principal], object]] = [
    lambda room, by: room.call(by, "data.budget", ShowBudget(workspace="clinic", name="none")),
    lambda room, by: set_budget(room, by, 1.0, name="none"),
]


@pytest.mark.parametrize("call", _CALLS)
def test_a_dataset_that_is_not_there_has_no_budget(
    patients: DataRoom, officer: Principal, call: Callable[[DataRoom, Principal], object]
) -> None:
    with pytest.raises(NotFoundError):
        call(patients, officer)
