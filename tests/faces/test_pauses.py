"""Nothing of the server's own holds up everybody at once."""

import subprocess
import sys

_SAID = """
import gc, os
import numpy, scipy.linalg, threadpoolctl
from strongroom.faces.pauses import collect_little, one_thread_each

before = gc.get_freeze_count()
one_thread_each()
collect_little()
pools = threadpoolctl.threadpool_info()
print(sorted({pool["num_threads"] for pool in pools}), os.environ["OPENBLAS_NUM_THREADS"])
print(gc.get_freeze_count() - before > 10_000)
"""


def _said(threads: str | None) -> list[str]:
    """What a process of its own says: both change it for good."""
    environment = {} if threads is None else {"OPENBLAS_NUM_THREADS": threads}
    ran = subprocess.run(
        [sys.executable, "-c", _SAID], capture_output=True, text=True, check=True, env=environment
    )
    return ran.stdout.splitlines()


def test_linear_algebra_takes_one_thread_and_old_objects_are_left_alone() -> None:
    assert _said(None) == ["[1] 1", "True"]


def test_an_operator_may_set_another_number_of_threads() -> None:
    assert _said("2")[0] == "[2] 2"
