"""The log of a damaged home as evidence: everything that is there, and what is wrong with it.

Where an export stops at the first thing that was changed, this goes on. The zip has

    report.json             what was found, the first bad entry first
    checkpoint, checkpoints/<size>, tile/…
                            as in an export (`docs/log.md`), as they are in the database; an
                            empty entry stands in the place of each that cannot be read
    rows/<index>.json       the row of each such entry, bytes as hexadecimal
"""

import json
from dataclasses import dataclass, field
from zipfile import ZipFile

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.engines.ledger.hashing import HASH_BYTES
from strongroom.engines.ledger.tiles import TILE_WIDTH, TileName, pack_entries
from strongroom.engines.ledger.verification import CHECKPOINT, OLDER
from strongroom.errors import StrongroomError, TamperedError
from strongroom.gate.audit.export import member
from strongroom.gate.audit.payload import StoredEntry
from strongroom.gate.audit.reading import LogReader
from strongroom.gate.audit.tables import LogCheckpointRow, LogEntryRow, LogTileRow

MAX_ROWS = 10_000
"""At most so many bad rows are copied one by one."""

_COLUMNS = [getattr(LogEntryRow, name) for name in StoredEntry._fields]


@dataclass(slots=True)
class Damage:
    """What is wrong with a log.

    Attributes:
        entries: rows of entries in the database.
        size: of the newest checkpoint that can be read, or 0.
        root: its root, hexadecimal, or empty.
        found: what was found, in words; empty where the log is whole.
        bad: places of entries that are not as logged, at most 10,000.
        bad_count: how many there are.
    """

    entries: int = 0
    size: int = 0
    root: str = ""
    found: list[str] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    bad_count: int = 0

    @property
    def first_bad(self) -> int | None:
        """Place of the first entry that is not as logged."""
        return self.bad[0] if self.bad else None


def write_evidence(archive: ZipFile, session: Session, log: LogReader) -> Damage:
    """Write all there is into `archive`; nothing that is damaged stops it."""
    damage = Damage()
    _verified(session, log, damage)
    _checkpoints(archive, session)
    tiles = _tiles(archive, session)
    _entries(archive, session, log, tiles, damage)
    if damage.bad_count:
        damage.found.insert(
            0, f"entry {damage.bad[0]} is the first of {damage.bad_count} that are not as logged"
        )
    report = {
        "log": str(log.key), "entries": damage.entries, "size": damage.size, "root": damage.root,
        "first_bad_entry": damage.first_bad, "bad_entries": damage.bad,
        "bad_count": damage.bad_count, "found": damage.found,
    }  # fmt: skip
    archive.writestr(member("report.json"), json.dumps(report, indent=1))
    return damage


def _verified(session: Session, log: LogReader, damage: Damage) -> None:
    """What the verifier says of the whole: the log's size and root, or what is wrong."""
    try:
        newest = log.newest(session)
        damage.size, damage.root = newest.size, newest.root.hex()
        log.verify(session)
    except StrongroomError as error:
        damage.found.append(error.message)


def _checkpoints(archive: ZipFile, session: Session) -> None:
    rows = session.execute(
        select(LogCheckpointRow.size, LogCheckpointRow.note).order_by(LogCheckpointRow.size)
    ).all()
    for size, note in rows[:-1]:
        archive.writestr(member(f"{OLDER}{size}"), _bytes(note))
    if rows:
        archive.writestr(member(CHECKPOINT), _bytes(rows[-1].note))


def _tiles(archive: ZipFile, session: Session) -> dict[int, bytes]:
    """Write the tiles; those over the entries come back, 8 KiB for each 256 entries."""
    leaves: dict[int, bytes] = {}
    rows = session.execute(select(LogTileRow.level, LogTileRow.index, LogTileRow.hashes))
    for level, index, kept in rows:
        hashes = _bytes(kept)
        width = len(hashes) // HASH_BYTES
        name = f"tile/{level}/{index}.odd"
        if 1 <= width <= TILE_WIDTH and len(hashes) % HASH_BYTES == 0:
            name = TileName(level, index, width).path
        archive.writestr(member(name), hashes)
        if level == 0:
            leaves[index] = hashes
    return leaves


def _entries(
    archive: ZipFile, session: Session, log: LogReader, tiles: dict[int, bytes], damage: Damage
) -> None:
    damage.entries = session.scalar(select(func.count()).select_from(LogEntryRow)) or 0
    due = 0
    for start in _starts(session, damage.size):
        rows = {
            row.leaf_index: StoredEntry._make(row)
            for row in session.execute(
                select(*_COLUMNS).where(
                    LogEntryRow.leaf_index.between(start, start + TILE_WIDTH - 1)
                )
            )
        }
        width = min(TILE_WIDTH, max(*rows, damage.size - 1, start) + 1 - start)
        if start > due:  # nothing is there, so nothing can be copied
            damage.bad_count += start - due
            if len(damage.bad) < MAX_ROWS:
                damage.bad.append(due)
        due = start + width
        entries = []
        for index in range(start, start + width):
            at = (index - start) * HASH_BYTES
            leaf = tiles.get(start // TILE_WIDTH, b"")[at : at + HASH_BYTES]
            entry = _entry(log, rows.get(index), leaf)
            if not entry:
                _note_bad(archive, rows.get(index), index, damage)
            entries.append(entry)
        archive.writestr(
            member(TileName(-1, start // TILE_WIDTH, width).path), pack_entries(entries)
        )


def _starts(session: Session, size: int) -> list[int]:
    """First places of the bundles that were signed or have rows.

    Not of all up to the last row: a row written at a place of 10^15 would have no end.
    """
    bundle = LogEntryRow.leaf_index // TILE_WIDTH
    there = session.scalars(select(bundle).where(LogEntryRow.leaf_index >= 0).distinct())
    return sorted({each * TILE_WIDTH for each in there} | set(range(0, size, TILE_WIDTH)))


def _entry(log: LogReader, row: StoredEntry | None, leaf: bytes) -> bytes:
    """The entry of a row, or nothing where it is not as logged."""
    if row is None or (leaf and leaf != row.leaf_hash):
        return b""
    try:
        return log.logged(row).entry
    except (TamperedError, TypeError, ValueError):
        return b""


def _note_bad(archive: ZipFile, row: StoredEntry | None, index: int, damage: Damage) -> None:
    damage.bad_count += 1
    if len(damage.bad) < MAX_ROWS:
        damage.bad.append(index)
        if row is not None:
            shown = {
                name: value.hex() if isinstance(value, bytes) else value
                for name, value in row._asdict().items()
            }
            archive.writestr(member(f"rows/{index}.json"), json.dumps(shown))


def _bytes(value: object) -> bytes:
    """What a column holds: SQLite keeps what is written, text where bytes should be."""
    return value if isinstance(value, bytes) else str(value).encode()
