"""Releases: made in the sandbox, approved by two, read by those they name, checked together."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError as Misfit
from sqlalchemy import select, text
from tests.services.data.budgetroom import budget_of, set_budget
from tests.services.data.releaseroom import ReleaseRoom, patients, recipe, releaseroom
from tests.vault.test_migrations import own_database

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.errors import (
    BudgetError,
    BusyError,
    KeyUnavailableError,
    NotFoundError,
    RefusedError,
    StateError,
    TamperedError,
    TruncatedError,
    ValidationError,
)
from strongroom.gate.access.types import Principal
from strongroom.services.data.operations import DataOperations
from strongroom.services.data.release_record import LONGEST_CALL
from strongroom.services.data.release_tables import DatasetReleaseRow
from strongroom.services.data.release_types import (
    ListReleases,
    ReleaseKind,
    ReleaseQuery,
    ReleaseShown,
    ReleaseState,
    WithdrawRelease,
)
from strongroom.services.data.types import RemoveDataset
from strongroom.vault.blobs import BlobRow
from strongroom.vault.encrypted_tables import write_table


@pytest.fixture
def room(tmp_path: Path) -> Iterator[ReleaseRoom]:
    """A room with sixty patients."""
    with releaseroom(tmp_path) as built:
        built.data.add(patients(), subject_column="id")
        yield built


def withdraw(room: ReleaseRoom, number: int) -> None:
    request = WithdrawRelease(workspace="clinic", name="patients", number=number, reason="enough")
    room.call(room.officer, "data.withdraw_release", request)


def test_a_release_from_asking_to_expiry(room: ReleaseRoom) -> None:
    made = room.make(recipe(), expires_days=30)
    assert (made.state, made.number, made.rows, made.suppressed) == ("waiting", 1, 60, 0)
    with pytest.raises(StateError, match="waiting, not approved"):
        room.read(1)
    with pytest.raises(StateError, match="waiting, not approved"):
        room.call(room.reader, "data.release_proof", room.reference(1))
    with pytest.raises(RefusedError, match="does not approve"):
        room.call(room.owner, "data.approve_release", room.reference(1))
    approved = room.call(room.officer, "data.approve_release", room.reference(1))
    assert (approved.state, approved.approved_by) == ("approved", room.officer.id)
    with pytest.raises(StateError):
        room.call(room.officer, "data.approve_release", room.reference(1))
    assert room.show(1).shown.first_read_at is None
    table = room.read(1)
    assert table.column_names == ["age", "zip", "illness"]
    groups = Counter(zip(table["age"].to_pylist(), table["zip"].to_pylist(), strict=True))
    assert min(groups.values()) >= 3
    assert table.num_rows == 60
    detail = room.show(1)
    assert detail.shown.first_read_at is not None
    assert detail.proof is not None
    assert detail.composition is not None
    assert detail.proof.smallest == min(groups.values())
    assert detail.proof.measured["illness: distinct values"] >= 2
    assert (detail.composition.people, detail.composition.cells) == (60, len(groups))
    assert detail.recipe == recipe()
    told = room.call(room.reader, "data.release_proof", room.reference(1))  # has no role
    assert (told.state, told.composition) == ("approved", detail.composition)
    assert told.proof.columns == {"age": "quasi", "zip": "quasi", "illness": "sensitive"}
    assert told.proof.measured == detail.proof.measured
    room.pass_days(31)
    assert room.call(room.reader, "data.release_proof", room.reference(1)).state == "expired"
    for other in (room.owner, room.officer):
        with pytest.raises(RefusedError):
            room.call(other, "data.release_proof", room.reference(1))
    with pytest.raises(StateError, match="expired"):
        room.read(1)
    with pytest.raises(StateError):
        room.call(room.officer, "data.approve_release", room.reference(1))
    assert room.show(1).shown.state == "expired"
    events = [e for e in room.data.house.events() if e.operation.startswith("data.release")]
    assert [(e.operation, e.outcome) for e in events[:2]] == [
        ("data.release", "allowed"), ("data.release.make", "allowed"),
    ]  # fmt: skip
    assert events[0].details["readers"] == room.reader.id
    assert events[1].details["smallest"] == detail.composition.smallest


def test_only_those_it_names_read_it(room: ReleaseRoom) -> None:
    house = room.data.house
    ready = room.ready(recipe(), recipients=["role:Data Scientist", room.reader.name])
    assert ready.recipients == [room.reader.id, "role:DataScientist"]
    scientist = house.person("dora", "Data Scientist")
    assert room.read(1, scientist).num_rows == room.read(1, room.reader).num_rows == 60
    elsewhere = house.account("dirk", "Data Scientist", workspace="other")
    others = [house.person(f"other-{at}", role) for at, role in enumerate(
        ("Contributor", "Reader", "ML Engineer", "Auditor", "Compute Operator"))]  # fmt: skip
    for person in [*others, elsewhere, room.owner, room.officer, house.person("nobody")]:
        with pytest.raises(RefusedError):
            room.read(1, person)
    with pytest.raises(RefusedError):
        room.read(2, room.reader)
    house.revoke(scientist, "Data Scientist")
    with pytest.raises(RefusedError):
        room.read(1, scientist)


def test_who_may_not_make_or_decide(room: ReleaseRoom) -> None:
    for role in ("Contributor", "Data Scientist", "ML Engineer", "Reader", "Auditor", ""):
        person = room.data.house.person(f"pat-{role}", *([role] if role else []))
        with pytest.raises(RefusedError):
            room.ask(recipe(), person)
        with pytest.raises(RefusedError):
            room.call(person, "data.approve_release", room.reference(1))
        with pytest.raises(RefusedError):
            room.call(person, "data.withdraw_release",
                      WithdrawRelease(workspace="clinic", name="patients", number=1))  # fmt: skip


REFUSED: tuple[tuple[str, dict[str, object], type[Exception], str], ...] = (
    ("", {}, TruncatedError, "no body"),
    ("x = [", {}, ValidationError, "TOML"),
    (recipe().replace('"drop"', '"keep"'), {}, ValidationError, "leave with the rows"),
    (recipe() + '[columns.name]\nrole = "drop"\n', {}, ValidationError, "no column `name`"),
    (recipe().replace('"quasi"', '"keep"'), {}, ValidationError, "no quasi-identifier"),
    (recipe().replace("[demands]", "[demands]\nk_map = 5"), {}, ValidationError, "k-map"),
    (recipe(), {"recipients": ["nobody-here"]}, NotFoundError, "no account"),
    (recipe(), {"recipients": ["role:Boss"]}, ValidationError, "unknown role"),
    (recipe(), {"version": 2}, NotFoundError, "no version"),
    (recipe(), {"name": "others"}, NotFoundError, "no dataset"),
    (recipe(), {"recipients": []}, Misfit, "at least 1"),
    (recipe(), {"expires_days": 0}, Misfit, "greater than"),
    (recipe(), {"expires_days": 100_000}, Misfit, "less than"),
    (recipe(), {"purpose": ""}, Misfit, "at least 3"),
)


def test_what_is_no_release(room: ReleaseRoom) -> None:
    for body, fields, error, words in REFUSED:
        with pytest.raises(error, match=words):
            room.ask(body, None, **fields)
    asked = ListReleases(workspace="clinic", name="patients")
    listed = room.call(room.owner, "data.releases", asked)
    assert listed.releases == []


def test_what_the_table_cannot_fulfil_is_refused_in_words_for_its_maker(room: ReleaseRoom) -> None:
    order = '[columns.zip]\nrole = "quasi"\nhierarchy = "ordered"\norder = ["80000"]\n'
    body = recipe().split("[columns.zip]")[0] + order + '[columns.illness]\nrole = "sensitive"\n'
    refused = room.make(body)
    assert refused.state == "refused"
    assert "misses" in refused.refusal
    auditor = room.data.house.person("al", "Auditor")
    assert room.show(1, auditor).shown.refusal == "refused"
    assert room.show(1, auditor).recipe == ""
    status = room.jobs.status(refused.job)
    told = f"{status} {[event.details for event in room.data.house.events()]}"
    assert "8010" not in told
    with pytest.raises(StateError, match="refused"):
        room.call(room.officer, "data.approve_release", room.reference(1))
    with pytest.raises(StateError, match="already"):
        withdraw(room, 1)
    with pytest.raises(RefusedError):  # nothing there that anybody could be named for
        room.read(2)


def test_two_releases_whose_groups_cross_are_refused_with_numbers(room: ReleaseRoom) -> None:
    room.ready(recipe(zip="drop", steps="6, 12"))
    first = room.read(1)
    assert first.column_names == ["age", "illness"]
    same = room.make(recipe(zip="drop", steps="6, 12"))
    assert same.state == "waiting", same.refusal
    withdraw(room, 2)
    crossing = room.make(recipe(zip="drop", steps="10, 20"))
    assert crossing.state == "refused"
    assert "together with release 1, release 1 promises" in crossing.refusal
    assert "coarser" in crossing.next_step
    found = room.show(3).composition
    assert found is not None
    assert found.against == [1]
    assert found.smallest < 3
    assert {one.release for one in found.breaches} == {0, 1}
    # Read once, it counts although it is withdrawn.
    withdraw(room, 1)
    with pytest.raises(StateError, match="withdrawn"):
        room.read(1)
    assert room.make(recipe(zip="drop", steps="10, 20")).state == "refused"


def test_a_release_that_nobody_read_stops_counting_once_nobody_can(room: ReleaseRoom) -> None:
    room.ready(recipe(zip="drop", steps="6, 12"), expires_days=1)
    assert room.make(recipe(zip="drop")).state == "refused"
    withdraw(room, 1)
    assert room.make(recipe(zip="drop"), expires_days=1).state == "waiting"
    room.pass_days(2)
    assert room.make(recipe(zip="drop", steps="6, 12")).state == "waiting"
    # What expired unread was closed for good: a clock that is put back opens nothing.
    room.pass_days(-2)
    assert room.show(3).shown.state == "expired"


def test_the_difference_of_two_versions_is_refused(room: ReleaseRoom) -> None:
    room.ready(recipe(zip="drop"))
    room.read(1)
    room.data.add(patients(61), subject_column="id")
    alone = room.make(recipe(zip="drop"))
    assert alone.state == "refused"
    found = room.show(2).composition
    assert found is not None
    assert (found.smallest, found.people) == (1, 61)
    room.data.add(patients(60), subject_column="id")  # the first version again
    assert room.make(recipe(zip="drop"), version=1).state == "waiting"


def test_rows_of_one_person_are_no_group(room: ReleaseRoom) -> None:
    rows = "".join(f"p{n // 6},{20 + n // 6},80000,{('flu', 'gout')[n % 2]}\n" for n in range(60))
    room.data.add(f"id,age,zip,illness\n{rows}".encode(), subject_column="id")
    refused = room.make(recipe(k=5, steps="2, 10", zip="drop"))
    assert refused.state == "refused"
    assert "counted by people and not by rows" in refused.refusal


def test_without_a_subject_column_rows_are_known_again_by_what_is_in_them(
    room: ReleaseRoom,
) -> None:
    room.data.call(room.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients"))
    room.data.add(patients())
    room.ready(recipe(zip="drop"))
    room.read(1)
    room.data.add(patients(61))
    assert room.make(recipe(zip="drop")).state == "refused"
    again = patients(60).splitlines(keepends=True)
    room.data.add(b"".join([again[0], *reversed(again[1:])]))
    assert room.make(recipe(zip="drop")).state == "waiting"


def test_rows_changed_in_the_database_stop_everything(room: ReleaseRoom) -> None:
    room.ready(recipe(zip="drop"))
    room.read(1)
    database = room.data.house.database
    with database.read() as session:
        kept = bytes(session.scalars(select(DatasetReleaseRow)).one().record)
    withdraw(room, 1)
    with database.write() as session:  # an old row with its old seal
        session.execute(text("UPDATE dataset_releases SET record = :old"), {"old": kept})
    with pytest.raises(TamperedError):
        room.show(1)
    with pytest.raises(RefusedError):
        room.read(1)
    with database.write() as session:  # or none: a former release is hidden from the check
        session.execute(text("DELETE FROM dataset_releases"))
    with pytest.raises(TamperedError):
        room.ask(recipe(zip="drop"))


def test_keys_rotate_and_close_and_the_dataset_takes_its_releases_along(
    room: ReleaseRoom, tmp_path: Path
) -> None:
    room.ready(recipe())
    keyring, database = room.data.house.keyring, room.data.house.database
    with database.write() as session:
        keyring.rotate(session, "clinic")
        room.data.room.rewrap(session, "clinic")
        room.data.blobs.rewrap(session, "clinic")
    assert room.read(1).num_rows == 60
    with database.write() as session:
        keyring.disable(session, "clinic")
    with pytest.raises(RefusedError):
        room.read(1)
    with pytest.raises(KeyUnavailableError):
        room.show(1)
    with database.write() as session:
        keyring.enable(session, "clinic")
    for file in tmp_path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"gout" not in content, file
            assert b"steps" not in content, file
    room.data.call(room.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients"))
    with pytest.raises(NotFoundError):
        room.show(1)
    with pytest.raises(RefusedError):
        room.read(1)
    with database.read() as session:  # of what was read the trace stays, and nothing else
        assert [row.kind for row in session.scalars(select(BlobRow))] == ["release-trace"]


def test_what_was_read_counts_when_the_dataset_is_removed_and_added_again(
    room: ReleaseRoom,
) -> None:
    room.ready(recipe(zip="drop", steps="6, 12"))
    room.read(1)
    room.ready(recipe(zip="drop", steps="6, 12"))
    pending = room.make(recipe(zip="drop", steps="6, 12"))
    assert pending.state == "waiting"
    remove = RemoveDataset(workspace="clinic", name="patients")
    room.data.call(room.owner, "data.rm", remove)
    room.data.add(patients(), subject_column="id")
    assert [room.show(n).shown.state for n in (1, 2, 3)] == ["withdrawn"] * 3
    with pytest.raises(StateError, match="withdrawn"):
        room.read(2)
    with pytest.raises(StateError, match="withdrawn"):
        room.call(room.officer, "data.approve_release", room.reference(3))
    crossing = room.make(recipe(zip="drop"))
    assert (crossing.number, crossing.state) == (4, "refused")
    found = room.show(4).composition
    assert found is not None
    assert found.against == [1]  # nobody had read the others
    assert room.make(recipe(zip="drop", steps="6, 12")).state == "waiting"
    room.data.call(room.owner, "data.rm", remove)
    with room.data.house.database.write() as session:  # hidden while there is no dataset
        session.execute(text("DELETE FROM dataset_releases"))
    room.data.add(patients(), subject_column="id")
    with pytest.raises(TamperedError):
        room.ask(recipe(zip="drop"))


def test_people_are_known_again_whatever_type_their_column_has(room: ReleaseRoom) -> None:
    room.data.call(room.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients"))
    numbers = patients().replace(b"\np", b"\n")
    room.data.add(numbers, subject_column="id")
    room.ready(recipe(zip="drop"))
    room.read(1)
    room.data.add(numbers + b"x60,0,80000,flu\n", subject_column="id")  # now a column of texts
    alone = room.make(recipe(zip="drop"))
    assert alone.state == "refused"
    found = room.show(2).composition
    assert found is not None
    assert (found.smallest, found.people) == (1, 61)


def test_versions_whose_people_are_known_by_other_columns_are_refused(room: ReleaseRoom) -> None:
    room.ready(recipe(zip="drop"))
    room.read(1)
    room.data.add(patients(61))
    by_rows = room.make(recipe(zip="drop"))
    assert by_rows.state == "refused"
    assert "known by other columns" in by_rows.refusal
    renamed = patients(61).replace(b"id,age", b"key,age")
    room.data.add(renamed, subject_column="key")
    text = recipe(zip="drop").replace("columns.id", "columns.key")
    assert "known by other columns" in room.make(text).refusal
    room.data.add(patients(), subject_column="id")
    assert room.make(recipe(zip="drop"), version=1).state == "waiting"


def test_without_a_subject_column_another_layout_is_refused(room: ReleaseRoom) -> None:
    room.data.call(room.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients"))
    room.data.add(patients())
    room.ready(recipe(zip="drop"))
    room.read(1)
    wider = patients(61).replace(b"\n", b",1\n").replace(b"illness,1", b"illness,extra", 1)
    room.data.add(wider)
    text = recipe(zip="drop") + '[columns.extra]\nrole = "drop"\n'
    assert "known by other columns" in room.make(text).refusal


def test_a_release_that_is_withdrawn_while_it_is_made_is_not_made(room: ReleaseRoom) -> None:
    room.jobs.stop()
    asked = room.ask(recipe())
    with pytest.raises(StateError, match="making"):
        room.call(room.officer, "data.approve_release", room.reference(1))
    withdraw(room, 1)
    room.jobs.start()
    assert room.jobs.wait(asked.job, 60).result == {"release": 1, "state": "withdrawn"}
    assert room.show(1).shown.state is ReleaseState.WITHDRAWN


def test_releases_made_at_the_same_time_are_checked_against_each_other(room: ReleaseRoom) -> None:
    asked = [room.ask(recipe(zip="drop", steps=steps)) for steps in ("6, 12", "10, 20")]
    for one in asked:
        room.jobs.wait(one.job, 120)
    assert sorted(room.show(n).shown.state for n in (1, 2)) == ["refused", "waiting"]


def test_a_differentially_private_release_has_a_cost_and_stands_outside_the_check(
    room: ReleaseRoom,
) -> None:
    """How a room that draws from the budget keeps what it made."""
    room.ready(recipe(zip="drop", steps="6, 12"))
    table = pa.table({"age": ["0-29", "30-59"], "people": [31, 28]})
    house, blobs = room.data.house, room.data.blobs
    releases = room.room._catalog.releases  # as another room has its own
    with (
        write_table(blobs, "clinic", table.to_batches(), table.schema, kind="release") as staged,
        house.database.write() as session,
    ):
        former = room.room.find(session, room.reference(1))
        kept = replace(
            former.record, kind=ReleaseKind.DP, state=ReleaseState.WAITING, recipe="", proof=None,
            composition=None, blob=blobs.commit(session, staged).id, trace_blob="", cost='{"v": 1}',
            approved_by=None, approved_at=None,
        )  # fmt: skip
        assert releases.new(session, former.dataset, kept).number == 2
    room.call(room.officer, "data.approve_release", room.reference(2))
    assert room.read(2).to_pydict() == table.to_pydict()
    shown = room.show(2)
    assert (shown.shown.kind, shown.cost, shown.proof) == (ReleaseKind.DP, '{"v": 1}', None)
    withdraw(room, 1)
    assert room.make(recipe(zip="drop")).state == "waiting"
    found = room.show(3).composition
    assert found is not None
    assert found.against == []


def ask_query(room: ReleaseRoom, by: Principal, sql: str, **fields: object) -> ReleaseShown:
    request = ReleaseQuery.model_validate(
        {"workspace": "clinic", "name": "patients", "sql": sql, "epsilon": 0.5, "purpose": "study",
         "recipients": [room.reader.name], **fields}
    )  # fmt: skip
    made = room.data.call(by, "data.release_query", request)
    assert isinstance(made, ReleaseShown)
    return made


def test_an_answer_with_noise_is_released_and_paid_for(room: ReleaseRoom) -> None:
    sql = "SELECT illness, COUNT(*) AS people FROM data GROUP BY illness"
    keys = ["illness=flu,gout"]
    with pytest.raises(StateError, match="no privacy budget"):
        ask_query(room, room.owner, sql, keys=keys)
    set_budget(room.data, room.owner, 2.0)
    made = ask_query(room, room.owner, sql, keys=keys)
    assert (made.number, made.kind, made.state, made.rows) == (1, ReleaseKind.DP, "waiting", 2)
    with pytest.raises(RefusedError, match="does not approve"):
        room.call(room.owner, "data.approve_release", room.reference(1))
    with pytest.raises(StateError, match="waiting"):
        room.read(1)
    room.call(room.officer, "data.approve_release", room.reference(1))
    table = room.read(1)
    assert table.column_names == ["illness", "people", "people low", "people high"]
    assert table["illness"].to_pylist() == ["flu", "gout"]
    for value, low, high in zip(*(table[at].to_pylist() for at in (1, 2, 3)), strict=True):
        assert low <= value <= high
        assert abs(value - 30) < 100
    told = room.call(room.reader, "data.release_proof", room.reference(1))
    assert Cost.from_json(told.cost) == Cost.from_json(room.show(1).cost)
    assert told.answer is not None
    assert (told.answer.epsilon, told.answer.delta, told.answer.interval) == (0.5, 0.0, 0.95)
    assert told.answer.noise in {"laplace", "gaussian"}
    assert told.answer.neighbours == "tables that differ by all rows of one `id`"
    assert "rows outside the keys and bins do not count" in told.answer.notes
    assert room.show(1).answer == told.answer
    budget = budget_of(room.data, room.owner)
    assert budget.spent == pytest.approx(0.5, abs=1e-3)
    (spend,) = budget.spends
    assert spend.kind == "release"
    assert spend.what.startswith("hmac-sha256:")  # of a question that may name somebody
    # It composes in the budget, and not in cells.
    assert room.make(recipe(zip="drop")).state == "waiting"
    found = room.show(2).composition
    assert found is not None
    assert found.against == []


def test_an_answer_that_may_not_be_released_costs_nothing(room: ReleaseRoom) -> None:
    set_budget(room.data, room.owner, 1.0)
    count = "SELECT COUNT(*) FROM data"
    for role in ("Contributor", "Data Scientist", "Reader", "Auditor"):
        with pytest.raises(RefusedError):
            ask_query(room, room.data.house.person(f"q-{role}", role), count)
    with pytest.raises(BudgetError):
        ask_query(room, room.owner, count, epsilon=5)
    for fields, error in (
        ({"recipients": ["nobody-here"]}, NotFoundError),
        ({"dry_run": True}, ValidationError),
        ({"sql": 'SELECT COUNT(*) AS a, COUNT(age) AS "a low" FROM data'}, ValidationError),
    ):
        with pytest.raises(error):
            ask_query(room, room.owner, **{"sql": count, **fields})  # type: ignore[arg-type] # fields of the request
    assert budget_of(room.data, room.owner).spent == 0
    listed = room.call(
        room.owner, "data.releases", ListReleases(workspace="clinic", name="patients")
    )
    assert listed.releases == []


def test_an_answer_that_fails_is_spent_and_no_release(
    room: ReleaseRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_budget(room.data, room.owner, 1.0)

    for error in (BusyError("the rows could not be read in time"), OSError("p7,27")):

        def broken(*_: object, error: Exception = error) -> pa.Table:
            raise error

        monkeypatch.setattr(DataOperations, "_rows", broken)
        with pytest.raises(type(error)):
            ask_query(room, room.owner, "SELECT COUNT(*) FROM data", epsilon=0.25)
    assert budget_of(room.data, room.owner).spent == pytest.approx(0.5, abs=1e-3)
    told = [room.show(number).shown for number in (1, 2)]
    assert [one.state for one in told] == ["refused", "refused"]
    assert [one.refusal for one in told] == [
        "the rows could not be read in time", "a fault of the server"
    ]  # fmt: skip
    with pytest.raises(StateError, match="refused"):
        room.call(room.officer, "data.approve_release", room.reference(1))
    asked = [e for e in room.data.house.events() if e.operation == "data.release_query"]
    assert [e.outcome for e in asked] == ["allowed", "failed"] * 2
    assert [e.details.get("after") is None for e in asked] == [True, False] * 2


def test_an_answer_that_comes_too_late_is_no_release(
    room: ReleaseRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for lost by then, and a second person may have acted upon that."""
    set_budget(room.data, room.owner, 1.0)
    rows = DataOperations._rows

    def slow(*arguments: Any) -> pa.Table:  # noqa: ANN401 # passed on
        room.pass_days(LONGEST_CALL / timedelta(days=1))
        return rows(*arguments)

    monkeypatch.setattr(DataOperations, "_rows", slow)
    monkeypatch.setattr(room.data.room, "_now", room.room._now)  # one clock for both
    made = ask_query(room, room.owner, "SELECT COUNT(*) FROM data", epsilon=0.25)
    assert (made.state, made.refusal) == ("refused", "the server ended while it was made")
    assert room.show(1).shown.state == "refused"
    with pytest.raises(StateError, match="refused"):
        room.call(room.officer, "data.approve_release", room.reference(1))


def test_postgresql_keeps_and_checks_releases_alike(
    tmp_path: Path, postgres_server_url: str
) -> None:
    with own_database(postgres_server_url) as url, releaseroom(tmp_path, url=url) as room:
        room.data.add(patients(), subject_column="id")
        room.ready(recipe(zip="drop", steps="6, 12"))
        assert room.read(1).num_rows == 60
        assert room.make(recipe(zip="drop")).state == "refused"
        room.data.call(room.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients"))
        room.data.add(patients(), subject_column="id")
        assert room.make(recipe(zip="drop")).state == "refused"
        assert room.make(recipe(zip="drop", steps="6, 12")).number == 4
        with room.data.house.database.write() as session:
            session.execute(text("DELETE FROM dataset_releases WHERE number = 4"))
        with pytest.raises(TamperedError):
            room.ask(recipe(zip="drop"))
