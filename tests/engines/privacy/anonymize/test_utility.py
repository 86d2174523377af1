"""Utility against its definitions, on tables small enough to count by hand."""

import math

import numpy as np
import pyarrow as pa
import pytest

from strongroom.engines.privacy.anonymize.coding import Coded
from strongroom.engines.privacy.anonymize.hierarchy import parse_hierarchy
from strongroom.engines.privacy.anonymize.modelling import model_accuracy
from strongroom.engines.privacy.anonymize.utility import utility_of
from strongroom.errors import ValidationError

TREE = parse_hierarchy("q", "a;x;*\nb;x;*\nc;y;*\nd;y;*\n")
CODED = Coded(("q",), (TREE,), (np.array([0, 0, 1, 2, 3, 3]),), {}, 6)


def test_levels() -> None:
    found = utility_of(CODED, np.array([0, 0, 0, 1, 1, 1]), 3, (1,))
    assert found.gcp == pytest.approx(1 / 3)
    # Bits: a and b are 2 and 1 of 3; d and c the same.
    lost = -2 * (2 * math.log(2 / 3) + math.log(1 / 3))
    whole = -(2 * math.log(2 / 6) + math.log(1 / 6)) * 2
    assert found.entropy == pytest.approx(lost / whole)
    assert found.discernibility == 18
    assert found.average_class_size == 1.0
    assert found.precision == 0.5


def test_suppressed_rows_are_lost() -> None:
    found = utility_of(CODED, np.array([0, 0, 0, -1, -1, -1]), 3, (1,))
    assert found.gcp == pytest.approx((1 / 3 + 1) / 2)
    assert found.discernibility == 9 + 3 * 6
    assert (found.suppressed, found.groups) == (3, 1)
    everything = utility_of(CODED, np.full(6, -1), 3, (1,))
    assert everything.gcp == everything.entropy == 1.0


def test_groups_of_their_own() -> None:
    found = utility_of(CODED, np.array([0, 0, 1, 1, 0, 1]), 3)
    # {a, d} and {b, c, d}: sets of 2 and 3 of 4 values.
    assert found.gcp == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert found.precision is None


def test_a_model_learns_less_from_less() -> None:
    random = np.random.default_rng(2)
    kind = random.integers(0, 6, 600)
    table = pa.table({"kind": kind.astype(str), "sick": (kind % 2).astype(str)})
    hidden = table.set_column(0, "kind", pa.array(["*"] * 600))
    found = model_accuracy(table, hidden, "sick", ["kind"], seed=1)
    assert found.before > 0.99
    assert found.after == pytest.approx(found.baseline, abs=0.05)
    with pytest.raises(ValidationError, match="fewer than two values"):
        model_accuracy(hidden, hidden, "kind", ["sick"], seed=1)
