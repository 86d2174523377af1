"""Changed and cut model files of every format, scanned by the ten thousand.

Counts what must never happen: an exception that leaves the scan, a fault of our own behind a
finding, a scan longer than `HANG_SECONDS` of CPU, and a run canary. `SCANNING_FUZZ` sets how many
files of each format.
"""

import os
import pickle
import random
import re
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO

from tests.engines.scanning.mutations import mutated
from tests.engines.scanning.test_mutations import SEEDS

from strongroom.engines.scanning.models import scan_files
from strongroom.engines.scanning.reading import Limits

FILES = 10_000
HANG_SECONDS = 5.0
_FAULT = re.compile(r"could not be scanned: \w+\Z")
_RAN: list[str] = []


def canary() -> None:
    """Says that a scan ran what it was given."""
    _RAN.append("ran")


class _Canary:
    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return canary, ()


def fuzz(name: str, seed: bytes, count: int) -> tuple[int, int, int, float]:
    """Escaped exceptions, faults behind findings, hangs, and the slowest scan in CPU seconds."""
    chance = random.Random(name)
    escaped = faults = hangs = 0
    slowest = 0.0
    limits = Limits()
    for _ in range(count):
        data = mutated(seed, chance)
        began = time.process_time()
        try:
            report = scan_files([(name, partial(BytesIO, data))], limits)
        except Exception as error:  # noqa: BLE001 # counted: nothing may leave a scan
            escaped += 1
            print(f"  {name}: escaped: {error!r}")
            continue
        took = time.process_time() - began
        slowest = max(slowest, took)
        hangs += took > HANG_SECONDS
        bad = [finding.says for finding in report.findings if _FAULT.search(finding.says)]
        faults += bool(bad)
        if bad and faults == 1:
            print(f"  {name}: {bad[0]}")
    return escaped, faults, hangs, slowest


def main() -> None:
    """Fuzz every format and print one line each."""
    count = int(os.environ.get("SCANNING_FUZZ", FILES))
    seeds = {**SEEDS, "canary.pkl": pickle.dumps([_Canary(), {"a": 1}])}
    print(f"{count:,} files of each format: escaped, own faults, hangs, slowest ms")
    for name, seed in sorted(seeds.items()):
        escaped, faults, hangs, slowest = fuzz(name, seed, count)
        print(f"{name:20} {escaped} {faults} {hangs} {1000 * slowest:.0f}", flush=True)
    print(f"canaries that ran: {len(_RAN)}")
