"""The log against plain SQLite inserts of the same rows, and its verifier against bare hashing.

Marks: at least 20,000 durable, provable events/s; 99 % acknowledged within 25 ms; 10 M entries
verified offline in 30 s (333,000/s); proofs in milliseconds at 100 M entries. Candidates take
turns, since absolute speed wanders on a shared machine; ratios hold.
"""

import io
import sqlite3
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.engines.ledger.checkpoint import LogKey
from strongroom.engines.ledger.proofs import inclusion
from strongroom.engines.ledger.tiles import TILE_BYTES, node_reader
from strongroom.engines.ledger.verification import verify_export
from strongroom.gate.audit.export import export
from strongroom.gate.audit.log import BATCH_ENTRIES, AuditLog
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.vault.database import Database

ROUNDS = 5
BATCHED = 30_000
SINGLE = 200
IN_FLIGHT = 2 * BATCH_ENTRIES
OFFERED_PER_SECOND = 20_000
OFFERED_SECONDS = 3
LARGE_TREE = 100_000_000

PRIVATE = Ed25519PrivateKey.generate()
KEY = LogKey("strongroom/benchmark", PRIVATE.public_key().public_bytes_raw())


def _event(number: int) -> Event:
    """A prediction, as the endpoint room records it."""
    return Event(
        time=time.time(),
        workspace="clinic",
        actor_kind="service",
        actor=f"svc_{number % 50}",
        credential="key_0123456789abcdef",
        operation="endpoint.invoke",
        action="invokeEndpoint",
        resource_type="Endpoint",
        resource="clinic/biopsies",
        audit_class=AuditClass.AI_OPERATION,
        request_id=f"{number:016x}",
        outcome=Outcome.ALLOWED,
        policies=("data_scientist.endpoints",),
        details={
            "input": sha256(number.to_bytes(8, "big")).hexdigest(),
            "output": sha256(number.to_bytes(9, "big")).hexdigest(),
            "rows": 1,
        },
    )


# Made beforehand: what is measured is the log, not whoever has something to record.
EVENTS = [_event(number) for number in range(OFFERED_PER_SECOND * OFFERED_SECONDS)]


def _plain(folder: Path) -> sqlite3.Connection:
    """A table for the same bytes, as durable as the log and without any of its proofs."""
    connection = sqlite3.connect(folder / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE entries (id INTEGER PRIMARY KEY, time REAL, workspace TEXT, entry BLOB)"
    )
    return connection


def _insert(connection: sqlite3.Connection, count: int, batch: int) -> None:
    for start in range(0, count, batch):
        rows = [
            (time.time(), "clinic", EVENTS[number].encode(bytes(16)))
            for number in range(start, min(start + batch, count))
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO entries (time, workspace, entry) VALUES (?, ?, ?)", rows
        )
        connection.execute("COMMIT")


def _record_singly(log: AuditLog) -> None:
    for number in range(SINGLE):
        log.record(EVENTS[number])


def _record_many(log: AuditLog) -> None:
    """As many callers do together: each waits for its own record, many are in flight."""
    flying: deque[Future[object]] = deque()
    for number in range(BATCHED):
        flying.append(log.submit(EVENTS[number]))  # type: ignore[arg-type] # only awaited
        if len(flying) >= IN_FLIGHT:
            flying.popleft().result()
    while flying:
        flying.popleft().result()


def _compare(candidates: dict[str, tuple[int, Callable[[], None]]]) -> dict[str, float]:
    """Median events per second of each candidate over rounds in which they alternate."""
    seen: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, (count, run) in candidates.items():
            started = time.perf_counter()
            run()
            seen[name].append(count / (time.perf_counter() - started))
    return {name: statistics.median(speeds) for name, speeds in seen.items()}


def _acknowledgements(log: AuditLog) -> list[float]:
    """Milliseconds from each event's due time to its acknowledgement, at a steady offered rate."""
    taken: list[float] = []
    futures = []
    began = time.perf_counter()
    for number in range(OFFERED_PER_SECOND * OFFERED_SECONDS):
        due = began + number / OFFERED_PER_SECOND
        # Sleep in steps of a millisecond: what came due meanwhile is offered at once, and its
        # waiting counts.
        if (early := due - time.perf_counter()) > 0.001:
            time.sleep(early)
        future = log.submit(EVENTS[number])
        future.add_done_callback(
            lambda _, due=due: taken.append((time.perf_counter() - due) * 1000)  # type: ignore[misc] # default binds the loop's value
        )
        futures.append(future)
    for future in futures:
        future.result()
    return sorted(taken)


def _hashing_limit(count: int, entry: bytes) -> float:
    """Entries per second when nothing is done but the tree's two hashes for each."""
    node = bytes(65)
    started = time.perf_counter()
    for _ in range(count):
        sha256(b"\x00" + entry).digest()
        sha256(node).digest()
    return count / (time.perf_counter() - started)


def _verification(log: AuditLog) -> None:
    file = io.BytesIO(b"".join(export(log)))
    size = verify_export(file, [KEY]).checkpoint.size
    entry = _event(0).encode(bytes(16))
    speeds, limits = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        verify_export(file, [KEY])
        speeds.append(size / (time.perf_counter() - started))
        limits.append(_hashing_limit(100_000, entry))
    speed, limit = statistics.median(speeds), statistics.median(limits)
    print(f"\noffline verification of {size:,} entries of {len(entry)} bytes, one core")
    print(f"  verified      {speed:10,.0f} entries/s, 10 M in {1e7 / speed:.0f} s")
    print(f"  bare hashing  {limit:10,.0f} entries/s; the verifier reaches {speed / limit:.0%}")


def _proofs(log: AuditLog) -> None:
    size = log.integrate().size
    times = []
    for number in range(200):
        started = time.perf_counter()
        log.receipt(number * 7919 % size)
        times.append((time.perf_counter() - started) * 1000)
    tile = bytes(TILE_BYTES)
    large = []
    for number in range(50):
        started = time.perf_counter()
        nodes = node_reader(LARGE_TREE, lambda level, index: tile)  # noqa: ARG005 # any tile costs the same
        inclusion(number * 1_999_993 % LARGE_TREE, LARGE_TREE, nodes)
        large.append((time.perf_counter() - started) * 1000)
    print("\nproofs, median")
    print(f"  receipt from the database, {size:,} entries   {statistics.median(times):6.2f} ms")
    print(f"  proof's hashing in a tree of {LARGE_TREE:,}     {statistics.median(large):6.2f} ms")


def main() -> None:
    """Print speeds, ratios and acknowledgement times."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".benchmark-") as name:
        folder = Path(name)
        database = Database.create_for_tests(folder / "log.db")
        plain = _plain(folder)
        log = AuditLog(database, payload_key=bytes(32), key=KEY, sign=PRIVATE.sign)
        with log:
            speeds = _compare(
                {
                    "plain, one commit each": (SINGLE, lambda: _insert(plain, SINGLE, 1)),
                    "log, one caller": (SINGLE, lambda: _record_singly(log)),
                    "plain, batches": (BATCHED, lambda: _insert(plain, BATCHED, BATCH_ENTRIES)),
                    "log, many callers": (BATCHED, lambda: _record_many(log)),
                }
            )
            print("durable events/s; the log's are sealed, in the tree and signed")
            for each, speed in speeds.items():
                print(f"  {each:24}{speed:10,.0f}")
            for ours, theirs in (
                ("log, one caller", "plain, one commit each"),
                ("log, many callers", "plain, batches"),
            ):
                print(f"  {ours} / {theirs}: {speeds[ours] / speeds[theirs]:.2f}")
            taken = _acknowledgements(log)
            print(f"\nacknowledgement at {OFFERED_PER_SECOND:,} events/s offered")
            for share in (0.5, 0.99):
                print(f"  {share:4.0%}{taken[int(share * len(taken))]:8.1f} ms")
            _verification(log)
            _proofs(log)
        plain.close()
        database.close()


if __name__ == "__main__":
    main()
