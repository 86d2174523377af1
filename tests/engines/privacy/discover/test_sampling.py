"""The sample is uniform, bounded and honest."""

import numpy as np
import pyarrow as pa
import pytest

from strongroom.engines.privacy.discover.sampling import RowSampler
from strongroom.engines.privacy.discover.tables import discover_batches

SCHEMA = pa.schema([("n", pa.int64())])


def sampled(cuts: list[int], *, seed: int, rows: int) -> list[int]:
    """The rows kept of a stream 0, 1, 2 … cut into batches of those sizes."""
    sampler = RowSampler(SCHEMA, seed, rows)
    at = 0
    for cut in cuts:
        sampler.add(pa.record_batch({"n": pa.array(range(at, at + cut), pa.int64())}))
        at += cut
    return [int(str(n)) for n in sampler.table()["n"].to_pylist()]


def test_few_rows_are_all_kept() -> None:
    sampler = RowSampler(SCHEMA, 1, 100)
    sampler.add(pa.record_batch({"n": pa.array(range(50), pa.int64())}))
    assert sampler.guarantee().miss_probability == 0.0
    assert sampled([50], seed=1, rows=100) == list(range(50))


def test_batches_do_not_matter_and_seeds_do() -> None:
    one = sampled([10_000], seed=3, rows=100)
    assert one == sampled([1, 999, 4_000, 0, 5_000], seed=3, rows=100)
    assert one != sampled([10_000], seed=4, rows=100)
    assert one == sorted(one)
    assert len(set(one)) == 100


def test_each_row_is_as_likely() -> None:
    counts = np.zeros(10)
    for seed in range(400):
        for row in sampled([700, 300], seed=seed, rows=50):
            counts[row // 100] += 1
    # 2,000 expected a tenth; 5 standard deviations of the hypergeometric count.
    assert np.all(np.abs(counts - 2_000) < 5 * np.sqrt(2_000 * 0.9 * 0.95))


def test_the_guarantee_holds() -> None:
    sampler = RowSampler(SCHEMA, 1, 500)
    sampler.add(pa.record_batch({"n": pa.array(range(100_000), pa.int64())}))
    guarantee = sampler.guarantee()
    assert (guarantee.rows_seen, guarantee.rows_sampled) == (100_000, 500)
    assert (1 - guarantee.detectable_share) ** 500 == pytest.approx(0.01, rel=0.01)


def test_findings_of_a_stream() -> None:
    schema = pa.schema([("contact", pa.string())])
    batches = (
        pa.record_batch({"contact": [f"p{i}.{j}@example.org" for j in range(1_000)]})
        for i in range(20)
    )
    findings = discover_batches(batches, schema, seed=5, rows=300)
    assert findings.columns[0].type == "email"
    assert findings.columns[0].profile.rows == 300
    assert findings.guarantee.rows_seen == 20_000
