"""Receipts: one entry, and the proof that it stands in the log (C2SP tlog-proof).

A receipt is a text that carries the entry itself as its `extra`, so that one file and the
log's public key are enough to check it, offline and with any tool for that format.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey, unbase64
from strongroom.engines.ledger.hashing import HASH_BYTES, leaf_hash
from strongroom.engines.ledger.proofs import verify_inclusion
from strongroom.errors import TamperedError

HEADER = "c2sp.org/tlog-proof@v1"
MAX_RECEIPT_BYTES = 512 * 1024
_MAX_PROOF_HASHES = 63
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as read or made; nothing in it is proven until `verify` has returned.

    Attributes:
        index: place of the entry in the log.
        entry: the entry's bytes.
        proof: inclusion proof, leaf's sibling first.
        checkpoint_note: the signed checkpoint that the proof leads to.
    """

    index: int
    entry: bytes
    proof: tuple[bytes, ...]
    checkpoint_note: bytes

    def text(self) -> str:
        """The receipt as a file's content; its name should end in `.tlog-proof`."""
        lines = [
            HEADER,
            f"extra {b64encode(self.entry).decode()}",
            f"index {self.index}",
            *(b64encode(each).decode() for each in self.proof),
            "",
        ]
        return "\n".join(lines) + "\n" + self.checkpoint_note.decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """The receipt of a text.

        Raises: TamperedError where it has another form or lacks its entry.
        """
        if len(text) > MAX_RECEIPT_BYTES:
            raise TamperedError("the receipt is too long")
        head, separator, note = text.partition("\n\n")
        lines = head.split("\n")
        if not separator or lines[0] != HEADER or len(lines) < 3:
            raise TamperedError("not a receipt: it does not begin as a tlog-proof with its entry")
        mark, _, encoded = lines[1].partition(" ")
        index = _INDEX.fullmatch(lines[2])
        try:
            entry = unbase64(encoded)
            proof = tuple(unbase64(line) for line in lines[3:])
        except ValueError:
            raise TamperedError("the receipt holds a line that is not base64") from None
        if mark != "extra" or index is None:
            raise TamperedError("the receipt lacks its entry or its index")
        if len(proof) > _MAX_PROOF_HASHES or any(len(each) != HASH_BYTES for each in proof):
            raise TamperedError("the receipt's proof has another form")
        return cls(int(index[1]), entry, proof, note.encode())

    def verify(self, keys: Sequence[LogKey]) -> Checkpoint:
        """Accept that the log of one of `keys` holds the entry at the index.

        Returns: the checkpoint that vouches for it.
        Raises: TamperedError where signature, proof or entry do not fit.
        """
        checkpoint = Checkpoint.open(self.checkpoint_note, keys)
        verify_inclusion(
            self.index, checkpoint.size, leaf_hash(self.entry), self.proof, checkpoint.root
        )
        return checkpoint
