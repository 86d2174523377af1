"""The journal of sealed changes: old values, cut-off and forged lines, and concurrent readers."""

import pytest
from sqlalchemy import delete, insert, select, text, update

from strongroom.errors import StorageFullError, TamperedError
from strongroom.vault.database import Database
from strongroom.vault.seals import Head, SealChangeRow, Seals, tell, untold

KEY = bytes(range(32))


@pytest.fixture
def seals(database: Database) -> Seals:
    """A journal with three lines about two subjects."""
    journal = Seals(KEY)
    for subject, value in (("ann", "a1"), ("bob", "b1"), ("ann", "a2")):
        with database.write() as session:
            journal.record(session, "standing", subject, value)
    return journal


def rows(database: Database) -> list[dict[str, object]]:
    with database.read() as session:
        return [dict(row) for row in session.execute(select(SealChangeRow.__table__)).mappings()]


def test_only_the_latest_value_is_current(database: Database, seals: Seals) -> None:
    for journal in (seals, Seals(KEY)):
        with database.read() as session:
            journal.require(session, "standing", "ann", "a2")
            journal.require(session, "standing", "bob", "b1")
            assert journal.latest(session, "standing", "ann") == "a2"
            assert journal.latest(session, "key", "ann") is None
            for kind, subject, value in (
                ("standing", "ann", "a1"),
                ("standing", "eve", "a2"),
                ("key", "ann", "a2"),
            ):
                with pytest.raises(TamperedError, match="older"):
                    journal.require(session, kind, subject, value)


def test_what_is_recorded_counts_at_once_in_its_own_transaction_and_not_after_a_rollback(
    database: Database, seals: Seals
) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:  # noqa: PT012 # one transaction
        seals.record(session, "standing", "ann", "a3")
        seals.require(session, "standing", "ann", "a3")
        with pytest.raises(TamperedError):
            seals.require(session, "standing", "ann", "a2")
        raise ZeroDivisionError
    with database.read() as session:
        seals.require(session, "standing", "ann", "a2")
    assert seals.head.length == 3


def test_a_savepoint_that_is_rolled_back_takes_its_line_along(
    database: Database, seals: Seals
) -> None:
    with database.write() as session:
        nested = session.begin_nested()
        seals.record(session, "standing", "ann", "gone")
        nested.rollback()
        seals.record(session, "standing", "bob", "b2", told="words")
        told = untold(session)
        assert [(c.position, c.subject, c.value, words) for c, words in told] == [
            (4, "bob", "b2", "words")
        ]
        tell(session, [change for change, _ in told], 77)
        assert untold(session) == []
    with database.read() as session:
        seals.require(session, "standing", "ann", "a2")
        assert [(c.value, c.entry) for c in seals.history(session, "standing", "bob")] == [
            ("b1", None),
            ("b2", 77),
        ]


@pytest.mark.parametrize("column", ["position", "kind", "subject", "value", "mac"])
@pytest.mark.parametrize("line", [1, 2, 3])
def test_a_changed_line_is_found_at_the_next_start(
    database: Database, seals: Seals, column: str, line: int
) -> None:
    wrong: dict[str, object] = {"position": 9, "mac": bytes(32)}
    with database.write() as session:
        session.execute(
            update(SealChangeRow)
            .where(SealChangeRow.position == line)
            .values({column: wrong.get(column, "other")})
        )
    with database.read() as session, pytest.raises(TamperedError, match="journal"):
        Seals(KEY).load(session)


def test_text_in_place_of_bytes_is_a_changed_line(database: Database, seals: Seals) -> None:
    with database.write() as session:
        session.execute(text("UPDATE seal_changes SET mac = 'text' WHERE position = 2"))
    with database.read() as session, pytest.raises(TamperedError, match="journal"):
        Seals(KEY).load(session)


@pytest.mark.parametrize("line", [1, 2])
def test_a_line_that_is_left_out_is_found(database: Database, seals: Seals, line: int) -> None:
    with database.write() as session:
        session.execute(delete(SealChangeRow).where(SealChangeRow.position == line))
    with database.read() as session, pytest.raises(TamperedError, match="journal"):
        Seals(KEY).load(session)


def test_cut_off_lines_are_found_by_who_knew_them(database: Database, seals: Seals) -> None:
    head = seals.head
    with database.write() as session:
        session.execute(delete(SealChangeRow).where(SealChangeRow.position == 3))
    # By the process that runs, also before it records something further.
    with database.read() as session, pytest.raises(TamperedError, match="cut off"):
        seals.require(session, "standing", "ann", "a1")
    with pytest.raises(TamperedError, match="cut off"), database.write() as session:
        seals.record(session, "standing", "ann", "a1")
    # By a process that was told how long it was: the anchor does.
    with database.read() as session:
        other = Seals(KEY)
        assert other.load(session).length == 2
        with pytest.raises(TamperedError, match="has 2 lines, it had 3"):
            other.load(session, at=head.length)


def test_the_head_at_a_length_is_the_one_that_was(database: Database, seals: Seals) -> None:
    before = seals.head
    with database.write() as session:
        seals.record(session, "standing", "bob", "b2")
    with database.read() as session:
        assert Seals(KEY).load(session, at=3) == before
        assert Seals(KEY).load(session, at=0) == Head()
        assert Seals(KEY).load(session) == seals.head
    assert seals.head.length == 4


def test_nobody_without_the_key_adds_a_line(database: Database, seals: Seals) -> None:
    with database.write() as session:
        Seals(bytes(32))  # another root
        session.execute(
            insert(SealChangeRow).values(
                position=4, kind="standing", subject="ann", value="a1", mac=bytes(32)
            )
        )
    with database.read() as session, pytest.raises(TamperedError, match="journal"):
        seals.require(session, "standing", "ann", "a1")


def test_a_snapshot_from_before_a_change_is_no_alarm_and_one_from_after_is(
    database: Database, seals: Seals
) -> None:
    with database.read() as older:
        older.scalar(select(SealChangeRow.position).limit(1))  # the snapshot begins
        with database.write() as session:
            seals.record(session, "standing", "ann", "a3")
        seals.require(older, "standing", "ann", "a2")
        # An older value than the snapshot's own is one, though.
        with pytest.raises(TamperedError):
            seals.require(older, "standing", "ann", "a1")
    with database.read() as session:
        seals.require(session, "standing", "ann", "a3")
        with pytest.raises(TamperedError):
            seals.require(session, "standing", "ann", "a2")


def test_what_another_process_recorded_is_taken_over(database: Database, seals: Seals) -> None:
    other = Seals(KEY)
    with database.write() as session:
        other.record(session, "standing", "ann", "a3")
    with database.read() as session:
        seals.require(session, "standing", "ann", "a3")
        with pytest.raises(TamperedError):
            seals.require(session, "standing", "ann", "a2")
    with database.write() as session:
        seals.record(session, "standing", "ann", "a4")
    assert [row["position"] for row in rows(database)] == [1, 2, 3, 4, 5]


def test_a_guard_stops_the_commit_and_a_watch_is_told_after_it(
    database: Database, seals: Seals
) -> None:
    told: list[int] = []
    seals.watch = lambda head: told.append(head.length)
    with database.write() as session:
        seals.record(session, "standing", "ann", "a3")
        assert told == []
    assert told == [4]

    def full() -> None:
        raise StorageFullError("the disk is full")

    seals.guard = full
    with pytest.raises(StorageFullError), database.write() as session:
        seals.record(session, "standing", "ann", "a4")
    with database.read() as session:
        seals.require(session, "standing", "ann", "a3")
    with database.write() as session:
        session.execute(update(SealChangeRow).values(entry=1))  # nothing sealed: no guard
    assert told == [4]
