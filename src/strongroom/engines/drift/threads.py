"""How many threads the libraries below may use."""

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped] # has no types


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Within it, linear algebra and trees use one thread: theirs would only wait for each other."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=1)
    return limit
