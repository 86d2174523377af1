"""What is remembered of one caller: some kilobytes, however many rows they ask.

The last `KEPT` different rows of a caller, each as a short sketch and four numbers, and which cells
of the natural input space they have touched. A row that was asked before is counted and changes
nothing else: its answer tells nothing new, and clients that try again are no attack.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.guards.conformal import Numbers
from strongroom.engines.robustness.target import Rows
from strongroom.errors import ValidationError

KEPT = 128
SKETCH = 16
"""Numbers of a sketch: distances within a few tenths of the true ones, which is enough to tell a
step of an attack from two people (Johnson & Lindenstrauss, 1984)."""
CELLS = 256
_RECORD = np.dtype([
    ("digest", "<u8"), ("sketch", "<f2", SKETCH), ("oddness", "<f2"), ("margin", "<f2"),
    ("gap", "<f2"), ("nearest", "<f2"), ("label", "<u2"),
])  # fmt: skip
"""digest: keyed, of the row; oddness: -log of the share of natural rows as far out; margin: by how
much the answer leads; gap: distance to the nearest earlier row of the same answer, infinite for
none; nearest: to the nearest earlier row of any."""
STATE_BYTES = KEPT * _RECORD.itemsize + CELLS // 8 + 3 * 8
"""Of a caller, written."""

Records = NDArray[np.void]


@dataclass(slots=True)
class Caller:
    """What is remembered of a caller.

    Attributes:
        rows: asked. repeats: of them asked before, within what is remembered.
        new: different rows so far; the place of the next record is `new % KEPT`.
        cells: which were touched by the different rows of this stretch, one byte each.
    """

    rows: int = 0
    repeats: int = 0
    new: int = 0
    records: Records = field(default_factory=lambda: np.zeros(KEPT, _RECORD))
    cells: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(CELLS, dtype=np.bool_))

    def remembered(self) -> Records:
        """Records that are filled."""
        return self.records[: min(self.new, KEPT)]

    def to_bytes(self) -> bytes:
        """`STATE_BYTES` bytes; they tell of rows, so seal them."""
        counts = np.array([self.rows, self.repeats, self.new], dtype="<u8")
        return counts.tobytes() + np.packbits(self.cells).tobytes() + self.records.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Caller":
        """The caller that was written. Raises: ValidationError: the bytes cannot be one."""
        if len(data) != STATE_BYTES:
            raise ValidationError(f"a caller is written in {STATE_BYTES:,} bytes")
        rows, repeats, new = (int(one) for one in np.frombuffer(data, "<u8", 3))
        cells = np.unpackbits(np.frombuffer(data, np.uint8, CELLS // 8, 24)).astype(np.bool_)
        records = np.frombuffer(data, _RECORD, KEPT, 24 + CELLS // 8).copy()
        finite = all(
            np.isfinite(records[name].astype(np.float32)).all()
            for name in ("sketch", "oddness", "margin")
        )
        numbers = not (np.isnan(records["gap"]).any() or np.isnan(records["nearest"]).any())
        if not (finite and numbers and repeats + new == rows and rows < 1 << 60):
            raise ValidationError("the numbers of the caller make no sense")
        return cls(rows, repeats, new, records, cells)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of rows that a caller asks, before the caller's history is looked at.

    Attributes:
        digests: (rows,), keyed. sketches: (rows, `SKETCH`). oddness, margins: (rows,).
        cells, labels: (rows,).
    """

    digests: NDArray[np.uint64]
    sketches: NDArray[np.float32]
    oddness: Numbers
    margins: Numbers
    cells: NDArray[np.intp]
    labels: NDArray[np.int64]

    def part(self, start: int, stop: int) -> "Asked":
        """Some of the rows."""
        at = slice(start, stop)
        return Asked(
            self.digests[at], self.sketches[at], self.oddness[at], self.margins[at],
            self.cells[at], self.labels[at],
        )  # fmt: skip

    def at(self, places: NDArray[np.intp]) -> "Asked":
        """Rows at places."""
        return Asked(
            self.digests[places], self.sketches[places], self.oddness[places],
            self.margins[places], self.cells[places], self.labels[places],
        )  # fmt: skip


def digests(rows: Rows, key: bytes) -> NDArray[np.uint64]:
    """Keyed digests of rows: equal for equal rows, and no one without the key can test a guess."""
    plain = np.ascontiguousarray(rows, dtype="<f8")
    made = b"".join(
        hashlib.blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in plain
    )
    return np.frombuffer(made, "<u8").astype(np.uint64)


def remember(caller: Caller, asked: Asked, stretch: int) -> None:
    """Add at most `KEPT` rows to a caller, in order.

    Args:
        stretch: different rows after which cells are counted anew, at least as many as these rows:
            whoever asks for long enough touches every cell.
    """
    known = caller.remembered()
    seen, fresh = set(known["digest"].tolist()), []
    for place, digest in enumerate(asked.digests.tolist()):
        if digest not in seen:
            seen.add(digest)
            fresh.append(place)
    at = np.array(fresh, dtype=np.intp)
    caller.rows += len(asked.digests)
    caller.repeats += len(asked.digests) - len(at)
    if not len(at):
        return
    made = np.zeros(len(at), _RECORD)
    made["digest"], made["sketch"] = asked.digests[at], asked.sketches[at]
    made["oddness"] = np.minimum(asked.oddness[at], 6e4)
    made["margin"], made["label"] = asked.margins[at], asked.labels[at]
    _measure(made, known)
    of_former = at[: stretch - caller.new % stretch]
    if len(of_former) == stretch - caller.new % stretch:
        caller.cells[:] = False
        of_former = at[len(of_former) :]
    caller.cells[asked.cells[of_former]] = True
    caller.records[(caller.new + np.arange(len(at))) % KEPT] = made
    caller.new += len(at)


def _measure(made: Records, known: Records) -> None:
    """Distances of new records from the earlier ones, known and new."""
    sketches = made["sketch"].astype(np.float32)
    earlier = np.concatenate([known["sketch"].astype(np.float32), sketches])
    squares = (sketches**2).sum(axis=1)[:, None] + (earlier**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares - 2 * sketches @ earlier.T, 0.0))
    is_later = np.arange(len(earlier)) >= len(known) + np.arange(len(made))[:, None]
    distances[is_later] = np.inf
    made["nearest"] = np.minimum(distances.min(axis=1), 6e4)
    labels = np.concatenate([known["label"], made["label"]])
    distances[labels != made["label"][:, None]] = np.inf
    made["gap"] = distances.min(axis=1)
