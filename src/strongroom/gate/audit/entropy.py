"""Random bytes drawn in stock, for paths where a system call for a few bytes costs too much.

`os.urandom` releases the interpreter's lock: with another thread at work, getting it back costs
more than the bytes. Each byte is handed out once and then forgotten.
"""

import os
import threading
from collections.abc import Callable

_STOCK_BYTES = 65_536


class Entropy:
    """Unpredictable bytes; safe to share between threads, and a forked child draws its own."""

    def __init__(self, source: Callable[[int], bytes] = os.urandom) -> None:
        """`source` gives that many unpredictable bytes."""
        self._source = source
        self._lock = threading.Lock()
        self._stock = b""
        self._offset = 0
        self._process = os.getpid()

    def __call__(self, size: int) -> bytes:
        """`size` bytes that were never handed out before."""
        if size > _STOCK_BYTES:
            return self._source(size)
        with self._lock:
            if self._offset + size > len(self._stock) or self._process != os.getpid():
                self._stock, self._offset = self._source(_STOCK_BYTES), 0
                self._process = os.getpid()
            start, self._offset = self._offset, self._offset + size
            return self._stock[start : self._offset]
