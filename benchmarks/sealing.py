"""Sealing against raw AES-256-GCM, and the blob store against the same store without sealing.

Ratios are of bytes per CPU-second, or per second where the disk takes part, each the median over
rounds in which the candidates alternate: absolute speed wanders on a shared machine, ratios hold.
"""

import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.engines.crypto.floe import (
    SEGMENT_OVERHEAD,
    Parameters,
    SealedReader,
    Sealer,
    open_stream,
    seal_stream,
    sealed_views,
)
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.encrypted_tables import read_table, write_table
from strongroom.vault.keys import Keyring
from strongroom.vault.roots import LocalRoot

ROUNDS = 9
CIPHER_BYTES = 64 << 20
STORE_BYTES = 128 << 20
CHUNK = 1 << 20
KEY = bytes(32)

Candidates = dict[str, Callable[[], None]]


def _measure(candidates: Candidates, size: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median GB per second of `clock` of each candidate; one round first to warm up."""
    seen: dict[str, list[float]] = {name: [] for name in candidates}
    for round_number in range(ROUNDS + 1):
        for name, candidate in candidates.items():
            started = clock()
            candidate()
            speed = size / (clock() - started) / 1e9
            if round_number:
                seen[name].append(speed)
    return {name: statistics.median(speeds) for name, speeds in seen.items()}


def _show(title: str, unit: str, speeds: dict[str, float], limit: str) -> None:
    print(f"\n{title} ({unit})")
    for name, speed in speeds.items():
        print(f"  {name:<44} {speed:6.2f}  {speed / speeds[limit]:5.0%} of {limit}")


def _drain(chunks: Iterator[object]) -> None:
    for _ in chunks:
        pass


def _ciphers(segment: int) -> None:
    """Raw AES-GCM on segments of `segment` bytes against FLOE on the same."""
    parameters = Parameters(segment + SEGMENT_OVERHEAD)
    content = secrets.token_bytes(CIPHER_BYTES)
    pieces = [content[at : at + segment] for at in range(0, CIPHER_BYTES, segment)]
    chunks = [content[at : at + CHUNK] for at in range(0, CIPHER_BYTES, CHUNK)]
    aead = AESGCM(KEY)
    encrypted = [aead.encrypt(bytes(12), piece, b"data") for piece in pieces]
    sealed = b"".join(seal_stream(KEY, b"data", chunks, parameters=parameters))
    received = [sealed[at : at + CHUNK] for at in range(0, len(sealed), CHUNK)]
    view = memoryview(sealed)

    def read_range(at: int, length: int) -> memoryview:
        return view[at : at + length]

    def raw_encrypt() -> None:
        for piece in pieces:
            aead.encrypt(secrets.token_bytes(12), piece, b"data")

    def raw_decrypt() -> None:
        for piece in encrypted:
            aead.decrypt(bytes(12), piece, b"data")

    def open_by_segments() -> None:
        reader = SealedReader(KEY, b"data", read_range, len(sealed), parameters=parameters)
        _drain(reader.chunks())

    label = f"{segment >> 10} KiB"
    seal = _measure(
        {
            "raw AES-256-GCM encrypt": raw_encrypt,
            "FLOE seal, as the blob store does": lambda: _drain(
                sealed_views(Sealer(KEY, b"data", parameters=parameters), chunks)
            ),
            "FLOE seal_stream, to bytes": lambda: _drain(
                seal_stream(KEY, b"data", chunks, parameters=parameters)
            ),
        },
        CIPHER_BYTES,
        time.process_time,
    )
    _show(f"seal, segments of {label}", "GB per CPU-second", seal, "raw AES-256-GCM encrypt")
    opened = _measure(
        {
            "raw AES-256-GCM decrypt": raw_decrypt,
            "FLOE open, as the blob store does": open_by_segments,
            "FLOE open_stream, chunks across segments": lambda: _drain(
                open_stream(KEY, b"data", received, parameters=parameters)
            ),
        },
        CIPHER_BYTES,
        time.process_time,
    )
    _show(f"open, segments of {label}", "GB per CPU-second", opened, "raw AES-256-GCM decrypt")


def _plain_put(path: Path, chunks: list[bytes], pool: ThreadPoolExecutor) -> None:
    """What `BlobStore.put` does, less the sealing: write, hash beside it, sync."""
    hasher = sha256()
    running = None
    with path.open("wb", buffering=0) as file:
        for chunk in chunks:
            if running is not None:
                running.result()
            running = pool.submit(hasher.update, chunk)
            file.write(chunk)
        if running is not None:
            running.result()
        os.fsync(file.fileno())
    descriptor = os.open(path.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _bare_put(path: Path, chunks: list[bytes]) -> None:
    """Write and sync, neither hashed nor sealed."""
    with path.open("wb", buffering=0) as file:
        for chunk in chunks:
            file.write(chunk)
        os.fsync(file.fileno())


def _plain_get(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        while file.read(CHUNK):
            pass


def _stores(folder: Path) -> None:
    """Put and get of one blob against plain files in the same folder."""
    database = Database.create_for_tests(folder / "bench.db")
    keyring = Keyring(LocalRoot(KEY))
    with database.write() as session:
        keyring.create_workspace_key(session, "bench")
    store = BlobStore(folder / "blobs", keyring, database)
    content = secrets.token_bytes(STORE_BYTES)
    chunks = [content[at : at + CHUNK] for at in range(0, STORE_BYTES, CHUNK)]
    plain = folder / "plain"
    pool = ThreadPoolExecutor(1)

    def sealed_put() -> None:
        with store.put("bench", "blob", chunks):
            pass  # leaving uncommitted removes it, so every round begins alike

    def plain_put() -> None:
        _plain_put(plain, chunks, pool)
        plain.unlink()

    def bare_put() -> None:
        _bare_put(plain, chunks)
        plain.unlink()

    peer = obstore.store.LocalStore(folder)

    def peer_put() -> None:
        obstore.put(peer, "peer", content)

    puts = {
        "plain put: write, hash, fsync": plain_put,
        "sealed put": sealed_put,
        "write and fsync only": bare_put,
        "obstore put: neither hashed nor synced": peer_put,
    }
    limit = "plain put: write, hash, fsync"
    _show("put", "GB per second", _measure(puts, STORE_BYTES, time.perf_counter), limit)
    _show("put", "GB per CPU-second", _measure(puts, STORE_BYTES, time.process_time), limit)
    _plain_put(plain, chunks, pool)
    with store.put("bench", "blob", chunks) as staged, database.write() as session:
        store.commit(session, staged)

    def sealed_get() -> None:
        with database.read() as session:
            reader = store.open(session, staged.id)
        with reader:
            _drain(reader.chunks())

    gets: Candidates = {
        "plain get, cached": lambda: _plain_get(plain),
        "sealed get": sealed_get,
        "obstore get, cached": lambda: _drain(obstore.get(peer, "peer").stream(CHUNK)),
    }
    limit = "plain get, cached"
    _show("get", "GB per second", _measure(gets, STORE_BYTES, time.perf_counter), limit)
    _show("get", "GB per CPU-second", _measure(gets, STORE_BYTES, time.process_time), limit)
    _tables(folder, store, database)
    pool.shutdown()
    database.close()


def _tables(folder: Path, store: BlobStore, database: Database) -> None:
    """An encrypted table against the same Parquet file in clear."""
    names = [f"x{number}" for number in range(16)]
    rows = 1 << 17
    batch = pa.RecordBatch.from_pydict(
        {name: pa.array([hash((name, row)) % 997 / 7 for row in range(rows)]) for name in names}
    )
    batches, path = [batch] * 4, folder / "plain.parquet"

    def plain_write() -> None:
        with pq.ParquetWriter(path, batch.schema, compression="zstd") as writer:
            for each in batches:
                writer.write_batch(each)
        with path.open("rb+") as file:
            os.fsync(file.fileno())

    def sealed_write() -> None:
        with write_table(store, "bench", batches, batch.schema):
            pass

    size = sum(each.nbytes for each in batches)
    writes = {"plain Parquet, fsync": plain_write, "encrypted table": sealed_write}
    speeds = _measure(writes, size, time.process_time)
    _show("write a table", "GB of Arrow per CPU-second", speeds, "plain Parquet, fsync")
    staged_table = write_table(store, "bench", batches, batch.schema)
    with staged_table as staged, database.write() as session:
        store.commit(session, staged)

    def plain_read() -> None:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            _drain(file.iter_batches())

    def sealed_read() -> None:
        with database.read() as session:
            _drain(read_table(store, session, staged.id))

    reads = {"plain Parquet": plain_read, "encrypted table": sealed_read}
    speeds = _measure(reads, size, time.process_time)
    _show("read a table", "GB of Arrow per CPU-second", speeds, "plain Parquet")


def main() -> None:
    """Print every ratio."""
    _ciphers(1 << 20)
    _ciphers(1 << 16)
    with tempfile.TemporaryDirectory() as folder:
        _stores(Path(folder))


if __name__ == "__main__":
    main()
