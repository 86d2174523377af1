"""Changed and cut files of every format: the scan ends, raises nothing and runs nothing.

`python -m benchmarks scanning_fuzz` does the same ten thousand times.
"""

import random

import pytest
from tests.engines.scanning.made_files import (
    function,
    hdf5,
    hdf5_text,
    node,
    saved_model,
    seven_zip,
    tflite,
)
from tests.engines.scanning.mutations import mutated
from tests.engines.scanning.samples import samples
from tests.engines.scanning.scan_bytes import scan

SEEDS = {
    **samples(),
    "made.h5": hdf5(hdf5_text("model_config", b'{"class_name": "Dense"}')),
    "made.pb": saved_model(node("Add"), functions=[function("f", node("Mul"))]),
    "made.tflite": tflite("FlexErf", "Custom"),
    "made.7z": seven_zip([("a", b"hello\n"), ("b", b"[1]")]),
}
ROUNDS = 12


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_mutations(name: str) -> None:
    chance = random.Random(name)  # noqa: S311 # the same files each time
    for _ in range(ROUNDS):
        report = scan(mutated(SEEDS[name], chance), name)
        assert report.files or report.findings
        assert not any("could not be scanned: " in one.says and one.says.endswith("Error")
                       and " " not in one.says.rpartition(": ")[2]
                       for one in report.findings), report.findings  # fmt: skip
