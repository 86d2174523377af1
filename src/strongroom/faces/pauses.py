"""What would hold up everybody at once: threads of linear algebra, and collections of garbage.

By default a product of some hundred rows takes every processor, for no gain, and on a busy machine
its threads wait for each other: what a guard does with 128 rows took seven times as long, and held
up whoever asked for one row. And a full collection looks at every object of every library that is
loaded: a quarter of a second of one processor, in which nobody is answered.
"""

import gc
import os

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # has no types

_NAMES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def one_thread_each() -> None:
    """Let a call of linear algebra use one thread, in libraries that are loaded or will be.

    A variable that the operator has set stays in force.
    """
    if any(name in os.environ for name in _NAMES):
        return
    os.environ.update(dict.fromkeys(_NAMES, "1"))
    threadpool_limits(1)


def collect_little() -> None:
    """Collect once, and from then on look only at objects that are made later."""
    gc.collect()
    gc.freeze()
