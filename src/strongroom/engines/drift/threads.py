"""How many threads we use, and the libraries below may."""

import os
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped] # has no types

_MOST = 8


def processors() -> int:
    """Those that this process may use, up to eight."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MOST)
    return min(os.cpu_count() or 1, _MOST)


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Within it, linear algebra and trees use one thread: theirs would only wait for each other."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=1)
    return limit
