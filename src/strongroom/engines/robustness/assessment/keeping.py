"""What a killed assessment needs to go on: tests that have run, and what one had made half-way.

A bundle is what a test makes at great cost before it can say anything: the answers of shadow
models. It belongs to rows and a seed, and says so itself; a bundle of others is not used.
"""

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from strongroom.engines.robustness.assessment import document
from strongroom.engines.robustness.assessment.running import Ran
from strongroom.errors import TooLargeError, ValidationError

MAX_BUNDLES = 4 << 20
"""Bytes of all bundles; what is larger is made anew after a kill."""
MAX_BYTES = document.MAX_BYTES + MAX_BUNDLES + (1 << 16)
_MAGIC = b"SRKEPT1\n"
_HEAD = struct.Struct(">8sIQ")
_MOST_NAMES = 16


@dataclass(frozen=True, slots=True)
class Kept:
    """What was done so far.

    Attributes:
        ran: the tests that have ended, by id.
        bundles: by name.
    """

    ran: Mapping[str, Ran] = field(default_factory=dict)
    bundles: Mapping[str, bytes] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """For `kept_from`. Raises: TooLargeError."""
        tests = document.kept(list(self.ran.values()))
        small, left = {}, MAX_BUNDLES
        for name, one in self.bundles.items():
            if len(one) <= left:
                small[name], left = one, left - len(one)
        names = json.dumps({name: len(one) for name, one in small.items()}).encode()
        head = _HEAD.pack(_MAGIC, len(names), len(tests))
        return b"".join([head, names, tests, *small.values()])


def kept_from(data: bytes) -> Kept:
    """What `Kept.to_bytes` wrote. Raises: ValidationError, TooLargeError."""
    if len(data) > MAX_BYTES:
        raise TooLargeError(f"what was kept takes more than {MAX_BYTES:,} bytes")
    broken = ValidationError(
        "what was kept of the assessment cannot be read", next_step="begin it anew"
    )
    if len(data) < _HEAD.size:
        raise broken
    magic, names, tests = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise broken
    at = _HEAD.size + names
    try:
        sizes = json.loads(data[_HEAD.size : at])
    except (ValueError, RecursionError):
        raise broken from None
    if not isinstance(sizes, dict) or len(sizes) > _MOST_NAMES:
        raise broken
    if not all(type(size) is int and 0 <= size <= MAX_BUNDLES for size in sizes.values()):
        raise broken
    if at + tests + sum(sizes.values()) != len(data):
        raise broken
    ran = document.resumed(data[at : at + tests])
    at += tests
    bundles = {}
    for name, size in sizes.items():
        bundles[name], at = data[at : at + size], at + size
    return Kept(ran, bundles)


class Keeper:
    """Takes what comes up while tests run, and gives the whole of it to be kept at each change."""

    def __init__(self, kept: Kept, write: Callable[[Kept], None]) -> None:
        """Go on from what was kept.

        Args:
            write: given everything, after each test and each change of a bundle.
        """
        self._ran = dict(kept.ran)
        self._bundles = dict(kept.bundles)
        self._write = write

    @property
    def count(self) -> int:
        """Tests that have ended."""
        return len(self._ran)

    def ran(self, ran: Ran) -> None:
        """A test has ended."""
        self._ran[ran.test] = ran
        self._write(Kept(self._ran, self._bundles))

    def bundle(self, name: str, data: bytes) -> None:
        """A test has come so far."""
        self._bundles[name] = data
        self._write(Kept(self._ran, self._bundles))
