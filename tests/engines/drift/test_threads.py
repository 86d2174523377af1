"""Threads of the libraries below."""

import subprocess
import sys

_LATE = """
from strongroom.engines.drift.threads import one_thread
with one_thread():
    pass
import sklearn.ensemble
from threadpoolctl import threadpool_info
with one_thread():
    print(sorted({one["num_threads"] for one in threadpool_info()}))
"""


def test_libraries_that_come_later_are_held_to_one_thread_too() -> None:
    """Else trees on a busy machine wait for each other, at several times the cost."""
    ran = subprocess.run([sys.executable, "-c", _LATE], capture_output=True, check=True, text=True)
    assert ran.stdout == "[1]\n"
