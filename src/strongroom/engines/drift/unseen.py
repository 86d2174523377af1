"""Which values that the plan does not list are frequent: a sketch that adds up exactly.

Values are told apart by their first bytes, and go to one of a few buckets by a hash of them. A
bucket counts its values and, for each bit of those bytes and of their checksum, the values in which
the bit is set. Where one value is more than half of its bucket, the majority of each bit spells it,
and the checksum says whether it does.
All of it is integers that are added, so merging is exact in any order.

Source: Cormode & Muthukrishnan, "What's hot and what's not", ACM TODS 30(1), 2005, section 3.1.
"""

import hashlib

import numpy as np

from strongroom.engines.drift.plan import Counts
from strongroom.engines.drift.values import Texts, pc

BUCKETS = 8
_BYTES = 16
"""First bytes of a value that can be read back."""
_CHECK = 2
_BITS = 8 * (_BYTES + _CHECK)
SHAPE = (BUCKETS, 1 + _BITS)


def add(sketch: Counts, unlisted: Texts) -> None:
    """Count texts that the plan does not list into `sketch`, of `SHAPE`."""
    found = pc.value_counts(unlisted)
    values = found.field("values").to_pylist()
    counts = found.field("counts").to_numpy(zero_copy_only=False)
    for begin in range(0, len(values), 4_096):
        part = values[begin : begin + 4_096]
        _add(sketch, part, counts[begin : begin + 4_096])


def _add(sketch: Counts, values: list[str], counts: Counts) -> None:
    spelled = np.frombuffer(b"".join(_spelled(value) for value in values), np.uint8)
    rows = spelled.reshape(len(values), 1 + _BYTES + _CHECK)
    bits: Counts = np.unpackbits(rows[:, 1:], axis=1).astype(np.int64)
    weighed = np.concatenate([counts[:, None], bits * counts[:, None]], axis=1)
    np.add.at(sketch, rows[:, 0], weighed)


def _spelled(value: str) -> bytes:
    """Bucket, first bytes and their checksum."""
    start = value.encode("utf-8", "surrogatepass")[:_BYTES].rstrip(b"\0")
    digest = _digest(start)
    return bytes([digest[0] % BUCKETS]) + start.ljust(_BYTES, b"\0") + digest[1:]


def _digest(start: bytes) -> bytes:
    return hashlib.blake2b(start, digest_size=1 + _CHECK, person=b"strongroom drift").digest()


def frequent(sketch: Counts) -> list[tuple[str, int]]:
    """Values that are more than half of their bucket, with an upper bound of their count.

    A value of `_BYTES` bytes or more is given by its beginning and `…`. A value of more than half
    of all unlisted rows is always found; of few different ones most are.
    """
    found = []
    for bucket in sketch:
        total = int(bucket[0])
        if not total:
            continue
        is_set = bucket[1:] * 2 > total
        spelled = np.packbits(is_set).tobytes()
        name = _checked(spelled)
        if name is not None:
            agreeing = np.where(is_set, bucket[1:], total - bucket[1:])
            found.append((name, int(agreeing.min())))
    return sorted(found, key=lambda one: (-one[1], one[0]))


def _checked(spelled: bytes) -> str | None:
    """The value that the bits spell; None where the checksum does not fit it."""
    start, check = spelled[:_BYTES].rstrip(b"\0"), spelled[_BYTES:]
    if _digest(start)[1:] != check:
        return None
    text = start.decode("utf-8", "replace")
    return text if len(start) < _BYTES else text.rstrip("\ufffd") + "…"
