"""Questions answered with noise, paid from the budget, to those who see no row."""

import json
from typing import Any

import pytest
from pydantic import ValidationError as InputError
from tests.services.data.budgetroom import CSV, account, budget_of, set_budget
from tests.services.data.dataroom import DataRoom

from strongroom.errors import (
    BudgetError,
    BusyError,
    DpBudgetError,
    DpColumnError,
    DpSqlError,
    DpUnboundedError,
    KeyUnavailableError,
    NotFoundError,
    RefusedError,
    StateError,
    TooLargeError,
    ValidationError,
)
from strongroom.gate.access.types import Principal
from strongroom.services.data import query_operations
from strongroom.services.data.query_types import QueryAnswer, QueryDataset
from strongroom.vault import encrypted_tables

WARDS = ["ward=north,south"]
STAYS = ["stay=0:30"]


@pytest.fixture
def patients(room: DataRoom) -> DataRoom:
    """With the dataset `patients` and a budget of 2."""
    room.add(CSV, subject_column="patient")
    set_budget(room, room.owner, 2.0)
    return room


def ask(
    room: DataRoom, by: Principal, sql: str, epsilon: float = 0.5, **fields: object
) -> QueryAnswer:
    """Ask about `patients`."""
    request = {
        "workspace": "clinic", "name": "patients", "sql": sql, "epsilon": epsilon,
        "purpose": "research", **fields,
    }  # fmt: skip
    answer = room.call(by, "data.query", QueryDataset.model_validate(request))
    assert isinstance(answer, QueryAnswer)
    return answer


def test_an_answer_is_near_says_how_near_and_costs_what_it_says(patients: DataRoom) -> None:
    sql = "SELECT ward, COUNT(*) AS stays, AVG(stay) AS mean FROM patients GROUP BY ward"
    answer = ask(patients, patients.owner, sql, 1.0, keys=WARDS, bounds=STAYS, rows=2)
    assert (answer.spent, answer.version, answer.spend) == (True, 1, 1)
    found = {group.key["ward"]: group.values for group in answer.groups}
    for ward, stays in (("north", 400), ("south", 200)):
        count = found[str(ward)]["stays"]
        assert count.low < count.value < count.high
        assert abs(count.value - stays) < 100  # 100 scales of this noise: once in 10^40
        assert found[str(ward)]["mean"].value == pytest.approx(9.5, abs=8)
    assert answer.epsilon_alone == pytest.approx(1.0, abs=2e-3)
    assert answer.budget_remaining == pytest.approx(1.0, abs=2e-3)
    assert "all rows of one `patient`" in answer.neighbours
    event = next(e for e in patients.house.events() if e.operation == "data.query")
    assert isinstance(answer.log_entry, int)
    assert event.details["purpose"] == "research"
    assert event.details["spend"] == 1
    assert event.details["remaining"] == pytest.approx(answer.budget_remaining)
    assert json.loads(str(event.details["cost"]))["events"]
    assert sql not in str(event.details)  # a condition may name a person
    shown = budget_of(patients, patients.owner)
    assert shown.spends[0].what == event.details["query"]
    assert shown.spent == answer.budget_spent


def test_a_dry_run_tells_the_cost_and_spends_nothing(patients: DataRoom) -> None:
    sql = "SELECT COUNT(*) FROM patients"
    foreseen = ask(patients, patients.owner, sql, dry_run=True)
    assert (foreseen.spent, foreseen.groups, foreseen.spend) == (False, [], None)
    assert foreseen.expected[0].half_width is not None
    assert foreseen.fits
    assert account(patients).spends == ()
    answer = ask(patients, patients.owner, sql)
    assert answer.budget_spent == foreseen.budget_spent
    count = answer.groups[0].values[answer.expected[0].name]
    assert (count.high - count.low) / 2 == pytest.approx(foreseen.expected[0].half_width, abs=1)
    too_much = ask(patients, patients.owner, sql, 2.0, dry_run=True)
    assert not too_much.fits
    assert "would be spent" in str(too_much.refusal)
    assert len(account(patients).spends) == 1


def test_what_does_not_fit_is_refused_with_what_does(patients: DataRoom) -> None:
    sql = "SELECT COUNT(*) FROM data"
    ask(patients, patients.owner, sql, 1.5)
    with pytest.raises(BudgetError) as caught:
        ask(patients, patients.owner, sql, 1.0)
    fitting = float(caught.value.next_step.split("at most ")[1].split(",")[0])
    assert 0.49 < fitting <= 0.51
    assert ask(patients, patients.owner, sql, fitting).budget_remaining < 0.01
    refused = [e for e in patients.house.events() if e.operation == "data.query"]
    assert [str(e.outcome) for e in refused].count("refused") == 1


def test_who_sees_no_clear_row_may_ask(patients: DataRoom) -> None:
    scientist = patients.house.person("dana", "Data Scientist")
    with pytest.raises(RefusedError):
        patients.read(scientist, view="clear")
    answer = ask(patients, scientist, "SELECT COUNT(DISTINCT patient) AS n FROM data")
    assert abs(answer.groups[0].values["n"].value - 300) < 200
    told = answer.model_dump_json()
    assert not any(f'"p{n}"' in told for n in range(300))


@pytest.mark.parametrize("role", ["Reader", "Auditor", "Compute Operator"])
def test_who_may_not_ask_is_refused_and_nothing_is_spent(patients: DataRoom, role: str) -> None:
    person = patients.house.person("nina", role)
    with pytest.raises(RefusedError, match="`queryDataset` is not permitted"):
        ask(patients, person, "SELECT COUNT(*) FROM data")
    assert account(patients).spends == ()


def test_questions_that_cannot_be_answered_cost_nothing(patients: DataRoom) -> None:
    owner = patients.owner
    with pytest.raises(DpSqlError):
        ask(patients, owner, "SELECT patient FROM data")
    with pytest.raises(DpColumnError):
        ask(patients, owner, "SELECT AVG(age) FROM data")
    with pytest.raises(DpUnboundedError):
        ask(patients, owner, "SELECT AVG(stay) FROM data")
    with pytest.raises(DpBudgetError):
        ask(patients, owner, "SELECT ward, COUNT(*) FROM data GROUP BY ward")
    for epsilon in (0.0, -1.0, 1e9):
        with pytest.raises(DpBudgetError):
            ask(patients, owner, "SELECT COUNT(*) FROM data", epsilon)
    for delta in (-1e-9, 1.0, 2.0):
        with pytest.raises(DpBudgetError):
            ask(patients, owner, "SELECT COUNT(*) FROM data", delta=delta)
    for epsilon in (float("nan"), float("inf")):
        with pytest.raises(InputError):
            ask(patients, owner, "SELECT COUNT(*) FROM data", epsilon)
    with pytest.raises(ValidationError, match="is about `others`"):
        ask(patients, owner, "SELECT COUNT(*) FROM others")
    with pytest.raises(ValidationError, match="a purpose has"):
        ask(patients, owner, "SELECT COUNT(*) FROM data", purpose=" ")
    with pytest.raises(NotFoundError):
        ask(patients, owner, "SELECT COUNT(*) FROM data", version=9)
    assert account(patients).spends == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"bounds": ["stay"]}, {"bounds": ["stay=1"]}, {"bounds": ["stay=a:b"]},
        {"bounds": ["stay=0:inf"]}, {"bounds": ["stay=0:9", "stay=0:9"]}, {"bins": ["stay=0,x"]},
        {"bins": ["stay=5,1"]}, {"keys": ["=a,b"]}, {"keys": ["nobody=a"]},
        {"keys": ["ward=a,a"]}, {"groups": 10**9},
    ],
)  # fmt: skip
def test_declarations_that_are_none_are_refused(room: DataRoom, fields: dict[str, Any]) -> None:
    from strongroom.engines.privacy.dp.intake import Kind
    from strongroom.errors import CallerError
    from strongroom.services.data.query_terms import terms_of

    request = QueryDataset.model_validate(
        {
            "workspace": "clinic", "name": "patients", "sql": "SELECT COUNT(*) FROM data",
            "epsilon": 1.0, "purpose": "research", **fields,
        }
    )  # fmt: skip
    with pytest.raises(CallerError):
        terms_of(request, "patient", {"stay": Kind.WHOLE, "ward": Kind.TEXT})


def test_without_a_budget_nothing_is_answered(room: DataRoom) -> None:
    room.add(CSV)
    with pytest.raises(StateError, match="no privacy budget for single rows"):
        ask(room, room.owner, "SELECT COUNT(*) FROM data")
    set_budget(room, room.owner, 1.0)
    answer = ask(room, room.owner, "SELECT COUNT(*) FROM data")
    assert answer.neighbours == "tables that differ by one row"
    assert any("the promise is for each row" in note for note in answer.notes)


def test_an_answer_that_fails_is_spent_and_both_are_on_the_record(
    patients: DataRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_operations, "MAX_TABLE_BYTES", 10)
    with pytest.raises(TooLargeError) as caught:
        ask(patients, patients.owner, "SELECT COUNT(*) FROM data")
    assert caught.value.next_step.endswith("the epsilon counts as spent")
    assert len(account(patients).spends) == 1
    spent, failed = [e for e in patients.house.events() if e.operation == "data.query"]
    assert (spent.outcome, failed.outcome, failed.reason) == (
        "allowed",
        "failed",
        "request.too_large",
    )
    assert spent.details["spend"] == failed.details["spend"] == 1
    assert "after" not in spent.details
    log, entry = patients.house.log, caught.value.entry
    assert entry is not None
    with patients.house.database.read() as session:
        assert log.entry(session, entry).event == failed
        assert log.entry(session, int(failed.details["after"])).event == spent


def test_rows_are_read_after_the_spend_is_on_the_record(
    patients: DataRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    read = encrypted_tables.read_table

    def watching(*arguments: Any) -> object:  # noqa: ANN401 # passed on
        recorded = [e for e in patients.house.events() if e.operation == "data.query"]
        seen.append((len(account(patients).spends), len(recorded)))
        return read(*arguments)

    monkeypatch.setattr(query_operations, "read_table", watching)
    ask(patients, patients.owner, "SELECT COUNT(*) FROM data")
    assert seen == [(1, 1)]
    with pytest.raises(BudgetError):
        ask(patients, patients.owner, "SELECT COUNT(*) FROM data", 5.0)
    ask(patients, patients.owner, "SELECT COUNT(*) FROM data", dry_run=True)
    assert len(seen) == 1


def test_with_a_disabled_key_nothing_is_spent(patients: DataRoom) -> None:
    with patients.house.database.write() as session:
        patients.house.keyring.disable(session, "clinic")
    with pytest.raises(KeyUnavailableError):
        ask(patients, patients.owner, "SELECT COUNT(*) FROM data")
    with patients.house.database.write() as session:
        patients.house.keyring.enable(session, "clinic")
    assert account(patients).spends == ()


def test_more_than_so_many_at_once_wait_and_are_told(
    patients: DataRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_operations, "WAIT_SECONDS", 0.01)
    turns = query_operations.QueryOperations._answering
    for _ in range(query_operations.MAX_AT_ONCE):
        assert turns.acquire(timeout=0)
    try:
        with pytest.raises(BusyError):
            ask(patients, patients.owner, "SELECT COUNT(*) FROM data")
    finally:
        turns.release(query_operations.MAX_AT_ONCE)
    assert account(patients).spends == ()
