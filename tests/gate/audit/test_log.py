"""The log on a real database: order, durability, proofs, and what tampering it catches."""

import asyncio
import io
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.hashing import leaf_hash
from strongroom.engines.ledger.proofs import verify_consistency
from strongroom.engines.ledger.receipt import Receipt
from strongroom.engines.ledger.tiles import tiles_of
from strongroom.engines.ledger.verification import verify_export
from strongroom.errors import (
    BusyError,
    NotFoundError,
    StorageFullError,
    TamperedError,
    ValidationError,
)
from strongroom.gate.audit.export import export
from strongroom.gate.audit.integration import run_driver
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.reading import Filters
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.vault.database import Database

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = LogKey("example.com/log", PRIVATE.public_key().public_bytes_raw())
PAYLOAD_KEY = bytes(range(32, 64))


def event(number: int, **fields: object) -> Event:
    given: dict[str, object] = {
        "time": 1_700_000_000.0 + number,
        "workspace": "clinic",
        "actor_kind": "person",
        "actor": f"p{number % 3}",
        "operation": "data.read",
        "action": "readDataset",
        "resource_type": "Dataset",
        "resource": f"d{number % 5}",
        "audit_class": AuditClass.DATASTORE_ACTIVITY,
        "request_id": f"{number:016x}",
        "outcome": Outcome.ALLOWED,
        "details": {"number": number},
    }
    return Event(**{**given, **fields})  # type: ignore[arg-type] # fields are checked by the tests


def make(database: Database, **arguments: object) -> AuditLog:
    return AuditLog(
        database,
        payload_key=PAYLOAD_KEY,
        key=KEY,
        sign=PRIVATE.sign,
        **arguments,  # type: ignore[arg-type] # clock and step, as each test needs
    )


@pytest.fixture
def log(database: Database) -> Iterator[AuditLog]:
    with make(database) as started:
        yield started


def exported(log: AuditLog) -> io.BytesIO:
    return io.BytesIO(b"".join(export(log)))


def run_sql(database: Database, statement: str) -> None:
    with database.write() as session:
        session.execute(text(statement))


def wait_for_size(log: AuditLog, size: int) -> None:
    deadline = time.monotonic() + 60
    while Checkpoint.open(log.public_checkpoint(), [KEY]).size < size:
        assert time.monotonic() < deadline, "the tree does not catch up"
        time.sleep(0.002)


# ---- writing ----


def test_a_change_and_its_record_are_one(log: AuditLog, database: Database) -> None:
    with database.write() as session:
        first = log.append(session, event(0))
        second = log.append(session, event(1))

    def fail_halfway() -> None:
        with database.write() as session:
            log.append(session, event(2))
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    with database.write() as session:
        third = log.append(session, event(3))
    assert [first.index, second.index, third.index] == [0, 1, 2]
    assert [log.receipt(index).index for index in range(3)] == [0, 1, 2]
    with database.read() as session:
        assert log.entry(session, 2).event == event(3)
        with pytest.raises(NotFoundError, match="`3`"):
            log.entry(session, 3)


def test_the_tree_follows_by_itself(log: AuditLog, database: Database) -> None:
    log.record(event(0))
    for number in range(1, 6):
        with database.write() as session:
            log.append(session, event(number))
    wait_for_size(log, 6)


def test_records_are_durable_and_in_the_tree_when_acknowledged(
    log: AuditLog, database: Database
) -> None:
    refs = [log.record(event(number)) for number in range(3)]
    assert [ref.index for ref in refs] == [0, 1, 2]
    assert Checkpoint.open(log.public_checkpoint(), [KEY]).size == 3
    with database.read() as session:
        for ref in refs:
            assert leaf_hash(log.entry(session, ref.index).entry) == ref.leaf_hash


def test_many_records_share_commits(log: AuditLog) -> None:
    futures = [log.submit(event(number)) for number in range(3000)]
    assert [future.result().index for future in futures] == list(range(3000))
    assert log.verify_live().checkpoint.size == 3000


def test_what_is_handed_over_together_is_written_together(database: Database) -> None:
    commits: list[str] = []

    def step(name: str) -> None:
        if name == "commit":
            commits.append(name)

    with make(database, step=step) as log:
        before = len(commits)
        refs = log.submit_all([event(number) for number in range(1_500)]).result()
        assert [ref.index for ref in refs] == list(range(1_500))
        assert len(commits) == before + 1
        with database.read() as session:
            for ref in (refs[0], refs[1_023], refs[1_024], refs[-1]):
                assert leaf_hash(log.entry(session, ref.index).entry) == ref.leaf_hash
        assert log.submit_all([]).result() == []
        assert log.verify_live().checkpoint.size == 1_500


def test_whoever_waits_no_more_does_not_stop_the_writer(database: Database) -> None:
    with make(database) as log:
        with database.write():  # the writer waits for this turn to end
            given_up, together = log.submit(event(0)), log.submit_all([event(1)])
            assert given_up.cancel()
            assert not together.cancel()
        assert log.record(event(2)).index == 2
        assert together.result()[0].index == 1
        assert log.verify_live().checkpoint.size == 3


def test_errors_of_the_driver_are_those_of_the_database(log: AuditLog, database: Database) -> None:
    log.record(event(0))
    with database.write() as session:
        connection = session.connection()
        for statement, parameters, kind in (
            ("SELECT 1 FROM nowhere", (), OperationalError),
            ("INSERT INTO log_tiles (level) VALUES (?)", ("a secret",), IntegrityError),
        ):
            with pytest.raises(kind) as caught:
                run_driver(connection, statement, parameters)
            assert "a secret" not in str(caught.value)
        assert run_driver(connection, "SELECT max(leaf_index) FROM log_entries") == 0
        assert run_driver(connection, "SELECT 1 WHERE ? = 2", (1,)) is None


def test_asynchronous_callers(log: AuditLog) -> None:
    async def many() -> list[int]:
        refs = await asyncio.gather(*(log.arecord(event(number)) for number in range(50)))
        return [ref.index for ref in refs]

    assert sorted(asyncio.run(many())) == list(range(50))


def test_threads_append_and_record_at_once(log: AuditLog, database: Database) -> None:
    failures: list[BaseException] = []

    def work(way: Callable[[int], object]) -> None:
        try:
            for number in range(60):
                way(number)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    def append(number: int) -> None:
        with database.write() as session:
            log.append(session, event(number))

    def record(number: int) -> None:
        log.record(event(number))

    threads = [threading.Thread(target=work, args=(way,)) for way in (append, append, record)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert log.integrate().size == 180
    assert log.verify_live().checkpoint.size == 180


def _append_in_process(path: str, count: int) -> None:
    database = Database.open(f"sqlite:///{path}")
    with make(database) as log:
        for number in range(count):
            with database.write() as session:
                log.append(session, event(number))
            log.record(event(number))
    database.close()


def test_processes_share_one_log(log: AuditLog, database: Database, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_append_in_process, args=(str(tmp_path / "test.db"), 40))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    for number in range(40):
        log.record(event(number))
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert log.integrate().size == 200
    assert log.verify_live().checkpoint.size == 200


def test_without_its_thread_it_still_records(database: Database) -> None:
    log = make(database)
    assert log.record(event(0)).index == 0
    assert log.verify_live().checkpoint.size == 1


def test_a_closed_log_takes_nothing(database: Database) -> None:
    log = make(database).start()
    waiting = [log.submit(event(number)) for number in range(100)]
    log.close()
    assert waiting[-1].result(timeout=0).index == 99
    with pytest.raises(BusyError, match="closed"):
        log.submit(event(100))


def test_too_many_waiting_are_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.gate.audit.log.MAX_WAITING", 10)
    taken: list[int] = []

    def submit_many(log: AuditLog) -> None:
        for number in range(2000):
            log.submit(event(number))
            taken.append(number)

    # The writer waits for our turn to end, so all of these queue up.
    with make(database) as log, database.write(), pytest.raises(BusyError, match="wait"):
        submit_many(log)
    assert 10 <= len(taken) < 2000
    assert make(database).integrate().size == len(taken)


def test_a_failed_commit_reaches_whoever_waits(database: Database) -> None:
    full = threading.Event()

    def step(name: str) -> None:
        if name == "commit" and full.is_set():
            raise StorageFullError("no space")

    with make(database, step=step) as log:
        log.record(event(0))
        full.set()
        with pytest.raises(StorageFullError):
            log.record(event(1))
        fault = log.fault
        assert isinstance(fault, StorageFullError)
        full.clear()
        assert log.record(event(2)).index == 1
        assert log.fault is None
        assert log.verify_live().checkpoint.size == 2


def test_a_full_disk_loses_nothing_acknowledged(database: Database) -> None:
    log = make(database)
    log.record(event(0))
    with database.write() as session:
        pages = session.scalar(text("PRAGMA page_count")) or 0
        # SQLite itself refuses to grow: the same code path as a file system without space.
        session.execute(text(f"PRAGMA max_page_count = {pages + 20}"))
    acknowledged = [0]

    def fill_up() -> None:
        many = (event(number, reason="x" * 500) for number in range(1, 1000))
        acknowledged.extend(log.record(each).index for each in many)

    with pytest.raises(StorageFullError):
        fill_up()
    assert 5 < len(acknowledged) < 500
    with pytest.raises(StorageFullError), database.write() as session:
        log.append(session, event(1, reason="x" * 500))
    assert log.verify_live().checkpoint.size == len(acknowledged)
    with database.write() as session:
        session.execute(text("PRAGMA max_page_count = 1000000"))
    assert log.record(event(1)).index == len(acknowledged)
    assert log.verify_live().checkpoint.size == len(acknowledged) + 1


# ---- reading ----


def test_receipts_convince_others(log: AuditLog) -> None:
    for number in range(600):
        log.submit(event(number))
    log.record(event(600))
    for index in (0, 255, 256, 599, 600):
        receipt = Receipt.parse(log.receipt(index).text())
        assert receipt.verify([KEY]).size == 601
        assert receipt.index == index
    with pytest.raises(NotFoundError):
        log.receipt(601)


def test_consistency_with_every_older_log(log: AuditLog) -> None:
    roots = {}
    for number in range(40):
        log.record(event(number))
        checkpoint = Checkpoint.open(log.public_checkpoint(), [KEY])
        roots[checkpoint.size] = checkpoint.root
    for size, old_root in roots.items():
        proof = log.consistency(size)
        newest = Checkpoint.open(proof.checkpoint_note, [KEY])
        verify_consistency(size, newest.size, old_root, newest.root, proof.hashes)
    for wrong in (-1, 41):
        with pytest.raises(ValidationError):
            log.consistency(wrong)


def test_search(log: AuditLog, database: Database) -> None:
    for number in range(30):
        log.record(
            event(
                number,
                workspace="clinic" if number % 2 else "lab",
                outcome=Outcome.REFUSED if number % 10 == 0 else Outcome.ALLOWED,
            )
        )

    def found(limit: int = 500, **filters: object) -> list[int]:
        with database.read() as session:
            return [
                each.index
                for each in log.search(session, Filters(**filters), limit)  # type: ignore[arg-type] # as each case needs
            ]

    assert found() == list(range(29, -1, -1))
    assert found(limit=2) == [29, 28]
    assert found(limit=2, before=28) == [27, 26]
    assert found(workspaces=("lab",), limit=3) == [28, 26, 24]
    assert found(workspaces=()) == []
    assert found(actor="p1") == list(range(28, 0, -3))
    assert found(resource=("Dataset", "d4")) == [29, 24, 19, 14, 9, 4]
    assert found(resource=("Model", "d4")) == []
    assert found(action="readDataset", outcome=Outcome.REFUSED) == [20, 10, 0]
    assert found(since=1_700_000_005, until=1_700_000_008) == [7, 6, 5]
    for limit in (0, 501):
        with pytest.raises(ValidationError, match="limit"):
            found(limit=limit)


def test_public_tiles_rebuild_the_root(log: AuditLog) -> None:
    futures = [log.submit(event(number)) for number in range(700)]
    futures[-1].result()
    checkpoint = Checkpoint.open(log.public_checkpoint(), [KEY])
    tiles = {name: log.public_tile(name.path) for name in tiles_of(checkpoint.size)}
    assert sum(len(tile) for name, tile in tiles.items() if name.level == 0) == 700 * 32
    assert log.public_tile("tile/0/000.p/7") == log.public_tile("tile/0/000")[: 7 * 32]


@pytest.mark.parametrize(
    "path",
    ["tile/0/003", "tile/0/002.p/189", "tile/3/000", "tile/entries/000", "checkpoint", "tile/0/0"],
)
def test_nothing_else_is_public(log: AuditLog, path: str) -> None:
    futures = [log.submit(event(number)) for number in range(700)]
    futures[-1].result()
    with pytest.raises(NotFoundError):
        log.public_tile(path)


def test_an_empty_log(log: AuditLog) -> None:
    with pytest.raises(NotFoundError):
        log.public_checkpoint()
    with pytest.raises(NotFoundError):
        log.receipt(0)
    with pytest.raises(NotFoundError):
        exported(log)
    assert log.verify_live().checkpoint.size == 0


def test_nothing_readable_at_rest(log: AuditLog, database: Database, tmp_path: Path) -> None:
    log.record(event(0, actor="someone", resource="something", details={"digest": "cafe" * 16}))
    log.close()
    database.close()
    data = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for word in (b"someone", b"something", b"cafecafe", b"data.read", PAYLOAD_KEY):
        assert word not in data


# ---- exports ----


def test_an_export_verifies_offline(log: AuditLog, tmp_path: Path) -> None:
    early = log.record(event(0)).index
    known = log.public_checkpoint()
    futures = [log.submit(event(number)) for number in range(700)]
    futures[-1].result()
    file = exported(log)
    verified = verify_export(file, [KEY], known=[known])
    assert verified.checkpoint.size == 701
    assert early + 1 in verified.older_sizes
    assert exported(log).getvalue() == file.getvalue()


def test_an_export_for_one_workspace_shows_no_other(log: AuditLog) -> None:
    for number in range(40):
        log.record(event(number, workspace="lab" if number % 4 else "clinic"))
    file = io.BytesIO(b"".join(export(log, frozenset({"clinic"}))))
    assert verify_export(file, [KEY]).withheld == 30
    assert b'"workspace":"clinic"' in file.getvalue()
    assert b'"workspace":"lab"' not in file.getvalue()


def test_the_last_checkpoint_of_each_hour_is_kept(database: Database) -> None:
    now = [1_000_000.0]
    with make(database, clock=lambda: now[0]) as log:
        for number in range(12):
            now[0] += 1000
            log.record(event(number))
        # 1,000,000 is 2,800 s into its hour.
        assert verify_export(exported(log), [KEY]).older_sizes == (4, 7, 11)


# ---- tampering ----


@pytest.fixture
def tampered(database: Database) -> Callable[[str], AuditLog]:
    """A log of 600 entries after a statement run behind its back, not started again."""

    def tamper(statement: str) -> AuditLog:
        with make(database) as log:
            futures = [log.submit(event(number)) for number in range(600)]
            futures[-1].result()
        run_sql(database, statement)
        return make(database)

    return tamper


ZERO_FIRST_HASH = "UPDATE log_tiles SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB)"
COPY_FROM_299 = (
    "UPDATE log_entries SET ({0}) = (SELECT {0} FROM log_entries WHERE leaf_index = 299) "
    "WHERE leaf_index = 300"
)
FLIP_SEALED = (
    "UPDATE log_entries SET sealed = CAST(substr(sealed, 1, {at}) || "
    "CASE substr(sealed, {at} + 1, 1) WHEN x'00' THEN x'01' ELSE x'00' END || "
    "substr(sealed, {at} + 2) AS BLOB) WHERE leaf_index = 300"
)


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        (FLIP_SEALED.format(at=0), "entry 300 of the log was changed"),
        (FLIP_SEALED.format(at=200), "entry 300 of the log was changed"),
        (
            "UPDATE log_entries SET leaf_hash = zeroblob(32) WHERE leaf_index = 300",
            "entry 300 of the log was changed",
        ),
        (
            COPY_FROM_299.format("sealed"),
            "entry 300 of the log was changed",
        ),
        (
            COPY_FROM_299.format(
                "time, workspace, action, outcome, actor_tag, resource_tag, leaf_hash, sealed"
            ),
            "not as logged: entry 300$",
        ),
        *(
            (
                "UPDATE log_entries SET " + change + " WHERE leaf_index = 300",  # noqa: S608 - the changes above
                "entry 300 of the log was changed",
            )
            for change in (
                "workspace = 'other'",
                "action = 'other'",
                "outcome = 'refused'",
                "time = time + 1",
                "actor_tag = zeroblob(8)",
                "resource_tag = zeroblob(8)",
            )
        ),
        ("DELETE FROM log_entries WHERE leaf_index = 300", "the database has 599"),
        ("DELETE FROM log_entries WHERE leaf_index >= 590", "the database has 590"),
        (
            ZERO_FIRST_HASH + ' WHERE level = 0 AND "index" = 1',
            "hash tile `tile/0/001` was changed",
        ),
        (
            ZERO_FIRST_HASH + " WHERE level = 1",
            "hash tile `tile/1/000.p/2` was changed",
        ),
        ('DELETE FROM log_tiles WHERE level = 0 AND "index" = 0', "2 hash tiles|hash tiles, not"),
        (
            "INSERT INTO log_tiles VALUES (7, 7, x'00')",
            "hash tiles, not",
        ),
        (
            "UPDATE log_checkpoints SET note = CAST(replace(note, '600', '599') AS BLOB)",
            "signature|not signed|changed",
        ),
    ],
)
def test_every_change_in_the_database_is_caught(
    tampered: Callable[[str], AuditLog], statement: str, match: str
) -> None:
    log = tampered(statement)
    with pytest.raises(TamperedError, match=match):
        log.verify_live()


def test_an_entry_moved_to_another_workspace_is_not_shown(
    tampered: Callable[[str], AuditLog], database: Database
) -> None:
    log = tampered("UPDATE log_entries SET workspace = 'mine' WHERE leaf_index = 300")
    with pytest.raises(TamperedError, match="entry 300"), database.read() as session:
        log.search(session, Filters(workspaces=("mine",)))
    with pytest.raises(TamperedError, match="entry 300"):
        list(export(log, frozenset({"mine"})))


def test_a_changed_entry_gives_no_receipt(tampered: Callable[[str], AuditLog]) -> None:
    log = tampered(FLIP_SEALED.format(at=50))
    with pytest.raises(TamperedError, match="entry 300"):
        log.receipt(300)
    log.receipt(299)
    with pytest.raises(TamperedError, match="entry 300"):
        exported(log)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM log_entries WHERE leaf_index = 599",
        FLIP_SEALED.format(at=50).replace("= 300", "= 599"),
        ZERO_FIRST_HASH + ' WHERE level = 0 AND "index" = 2',
        "DELETE FROM log_tiles WHERE level = 1",
        "UPDATE log_checkpoints SET note = CAST(replace(note, '600', '599') AS BLOB)",
        "UPDATE log_checkpoints SET size = 599",
    ],
)
def test_starting_notices_damage_at_the_end(
    tampered: Callable[[str], AuditLog], statement: str
) -> None:
    log = tampered(statement)
    with pytest.raises(TamperedError):
        log.start()


def test_cutting_off_the_end_is_noticed_by_who_knew_it(database: Database) -> None:
    with make(database) as log:
        for number in range(10):
            log.record(event(number))
        known = log.public_checkpoint()
        for number in range(10, 20):
            log.record(event(number))
        newest = log.public_checkpoint()
        # Put back the log as it was, signature and all.
        run_sql(database, "DELETE FROM log_entries WHERE leaf_index >= 10")
        with pytest.raises(TamperedError, match="10 entries in the database, 20 signed"):
            log.record(event(21))
        with database.write() as session:
            session.execute(
                text("UPDATE log_checkpoints SET size = 10, note = :note"), {"note": known}
            )
            session.execute(text("UPDATE log_tiles SET hashes = substr(hashes, 1, 320)"))
        with pytest.raises(TamperedError):
            log.record(event(21))
        fresh = make(database)
        assert fresh.verify_live().checkpoint.size == 10
        with pytest.raises(TamperedError, match="cut off"):
            fresh.verify_live(known=[newest])


def test_another_payload_key_opens_nothing(database: Database) -> None:
    with make(database) as log:
        log.record(event(0))
    other = AuditLog(database, payload_key=bytes(32), key=KEY, sign=PRIVATE.sign)
    with pytest.raises(TamperedError):
        other.receipt(0)
    with pytest.raises(ValueError, match="32 bytes"):
        AuditLog(database, payload_key=b"short", key=KEY, sign=PRIVATE.sign)
