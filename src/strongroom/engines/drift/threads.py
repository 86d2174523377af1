"""How many threads we use, and the libraries below may."""

import os
import sys
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


@lru_cache(maxsize=2)
def _controller(*, with_trees: bool) -> ThreadpoolController:
    """It knows the libraries that are loaded when it is made, so there is one for each case."""
    del with_trees
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Within it, linear algebra and trees use one thread: theirs would only wait for each other."""
    limit: AbstractContextManager[Any] = _controller(
        with_trees="sklearn.ensemble" in sys.modules
    ).limit(limits=1)
    return limit
