"""What someone with access to the disk, but not to the keys, could do: change stored bytes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


def largest_model_file(home: Path, workspace: str, model: str, version: int) -> tuple[str, Path]:
    """Name of the largest file of a model version, and the sealed file on disk that holds it."""
    with closing(sqlite3.connect(home / "strongroom.db", timeout=30)) as connection:
        name, blob = connection.execute(
            "SELECT f.path, f.blob FROM model_files f JOIN model_entries e ON e.id = f.entry"
            " JOIN blobs b ON b.id = f.blob"
            " WHERE e.workspace = ? AND e.model = ? AND e.version = ?"
            " ORDER BY b.size DESC LIMIT 1",
            (workspace, model, version),
        ).fetchone()
    (file,) = (found for found in (home / "blobs").rglob(f"{blob}*") if found.is_file())
    return name, file


@contextmanager
def flipped_byte(file: Path) -> Iterator[int]:
    """One byte in the middle of `file` with all its bits turned over, restored at the end.

    Yields: its offset.
    """
    offset = file.stat().st_size // 2
    _flip(file, offset)
    try:
        yield offset
    finally:
        _flip(file, offset)


def _flip(file: Path, offset: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        byte = opened.read(1)
        opened.seek(offset)
        opened.write(bytes([byte[0] ^ 0xFF]))


@contextmanager
def flipped_entry(database: Path, index: int) -> Iterator[None]:
    """One byte of the sealed log entry at `index` turned over, restored at the end."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        (sealed,) = connection.execute(
            "SELECT sealed FROM log_entries WHERE leaf_index = ?", (index,)
        ).fetchone()
        changed = bytearray(sealed)
        changed[len(changed) // 2] ^= 0xFF
        statement = "UPDATE log_entries SET sealed = ? WHERE leaf_index = ?"
        with connection:
            connection.execute(statement, (bytes(changed), index))
        try:
            yield
        finally:
            with connection:
                connection.execute(statement, (sealed, index))
