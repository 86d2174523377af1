"""Made-up tables: what is measured costs what is said, and they resemble the real ones."""

import json
import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from tests.engines.privacy.dp.training.people import DOMAIN, people

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.synthetic import mst
from strongroom.engines.privacy.dp.synthetic.columns import COARSER, decoded, features_of, placed
from strongroom.engines.privacy.dp.synthetic.quality import quality
from strongroom.engines.privacy.dp.synthetic.record import record_of
from strongroom.engines.privacy.dp.training.domain import Choice, Domain, Number
from strongroom.engines.privacy.dp.training.noise import Whole, rho_for
from strongroom.errors import MissingExtraError, ValidationError

REAL = people(3_000)


def _rng() -> np.random.Generator:
    return np.random.default_rng(9)


@pytest.fixture
def _mbi() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("mbi", reason="the extra `synthetic` is not installed")


@pytest.mark.usefixtures("_mbi")
def test_a_made_up_table_resembles_the_real_one() -> None:
    found = mst.synthesize(REAL, DOMAIN, 4.0, 1e-6, generator=_rng())
    assert found.cost == Cost.zcdp(rho_for(4.0, 1e-6))
    assert found.table.column_names == ["age", "wealth", "town", "rich"]
    assert found.table.num_rows == pytest.approx(3_000, abs=150)
    assert len(found.tree) == 3
    told = quality(found.table, people(3_000, seed=2), DOMAIN)
    assert max(told.columns.values()) < 0.1
    assert told.auc is not None
    assert told.auc_real is not None
    assert told.auc > 0.7
    assert told.auc <= told.auc_real + 0.03


def test_the_order_of_the_rows_does_not_decide_what_is_compared() -> None:
    """Cases and controls that alternate: every second row is of one kind."""
    some = people(400)
    flags = pa.array(["yes", "no"] * 200)
    paired = some.set_column(some.schema.get_field_index("rich"), "rich", flags)
    told = quality(paired, paired, DOMAIN)
    assert told.auc_real is not None
    assert told.copies_real > 0


def test_without_the_extra_an_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mbi", None)
    for asked in (
        lambda: mst.synthesize(REAL, DOMAIN, 1.0, 1e-6, generator=_rng()), mst.require_extra
    ):  # fmt: skip
        with pytest.raises(MissingExtraError) as caught:
            asked()
        assert "strongroom[synthetic]" in caught.value.next_step


def test_places_come_back_as_values_within_their_bins() -> None:
    features = features_of(DOMAIN)
    places = placed(REAL, features)
    made = decoded(places.codes, features, _rng())
    assert [one.tolist() for one in placed(made, features).codes] == [
        one.tolist() for one in places.codes
    ]
    assert places.sizes == (64 // COARSER + 1, 64 // COARSER + 1, 4, 3)


def test_missing_values_stay_missing() -> None:
    table = pa.table({
        "age": [20.0, None], "wealth": [None, 3.0], "town": ["north", "x"], "rich": ["yes", None],
    })  # fmt: skip
    features = features_of(DOMAIN)
    made = decoded(placed(table, features).codes, features, _rng()).to_pylist()
    assert made[0]["wealth"] is None
    assert (made[1]["age"], made[1]["town"], made[1]["rich"]) == (None, None, None)


def test_counts_of_a_pair_are_those_of_its_rows() -> None:
    places = placed(REAL, features_of(DOMAIN))
    pair = places.counts((2, 3)).reshape(4, 3)
    assert pair.sum() == 3_000
    assert pair.sum(axis=1).tolist() == places.counts((2,)).tolist()
    towns, rich = REAL.column("town").to_pylist(), REAL.column("rich").to_pylist()
    assert pair[0, 1] == sum(t == "north" and r == "yes" for t, r in zip(towns, rich, strict=True))


class _Measured(NamedTuple):
    noisy_measurement: np.ndarray
    clique: tuple[str, ...]
    stddev: float


class _Library:
    """Stands where mbi would: keeps what was measured."""

    LinearMeasurement = _Measured

    @staticmethod
    def Domain(_names: list[str], _sizes: tuple[int, ...]) -> None:  # noqa: N802 # the library's name
        """Of no use here."""


def test_counts_share_their_rho_and_are_told_their_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, float]] = []

    def noting(sensitivity: int, rho: float) -> Callable[[Whole], Whole]:
        asked.append((sensitivity, rho))
        return lambda values: values

    monkeypatch.setattr(mst, "gaussian", noting)
    places = placed(REAL, features_of(DOMAIN))
    measured = mst._counted(_Library, places, [(0,), (1,), (0, 1), (2, 3)], 0.08, 2)
    assert asked == [(2, 0.02)]
    assert [one.stddev for one in measured] == [2 / math.sqrt(0.04)] * 4
    assert measured[3].clique == ("2", "3")


def test_the_tree_takes_the_pairs_that_belong_together() -> None:
    rng = _rng()
    towns = rng.integers(0, 3, 5_000)
    table = pa.table({
        "age": 18 + 24.0 * towns, "wealth": rng.uniform(0, 1e6, 5_000),
        "town": np.array(["north", "south", "east"], object)[towns],
        "rich": np.array(["no", "yes"], object)[rng.integers(0, 2, 5_000)],
    })  # fmt: skip
    places = placed(table, features_of(DOMAIN))
    shares = [mst._shares(places.counts((at,)).astype(float)) for at in range(4)]
    tree = mst._tree(places, shares, 5_000.0, 1.0, 1)
    assert (0, 2) in tree
    assert len(tree) == 3
    assert {at for edge in tree for at in edge} == {0, 1, 2, 3}


def test_the_choice_of_an_edge_follows_the_exponential_mechanism() -> None:
    """Its odds of two scores are e to epsilon times their difference, over twice the change."""
    choose = mst._chooser(1 / 8, 1)
    second = sum(choose([0.0, 2.0]) for _ in range(4_000)) / 4_000
    assert second == pytest.approx(math.e / (1 + math.e), abs=0.05)


def test_noise_that_leaves_nothing_makes_even_shares() -> None:
    assert mst._shares(np.array([-3.0, -1.0])).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("epsilon", "delta", "rows"),
    [(0.0, 1e-6, 1), (1.0, 0.0, 1), (1.0, 1e-6, 0), (1e-6, 1e-6, 1), (1e-4, 1e-6, 1_000)],
)
def test_promises_out_of_range_are_refused(
    epsilon: float, delta: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mst, "_mbi", lambda: None)
    with pytest.raises(ValidationError):
        mst.synthesize(REAL, DOMAIN, epsilon, delta, rows_each=rows, generator=_rng())
    with pytest.raises(ValidationError):  # and before there is a table
        mst.check(DOMAIN, epsilon, delta, rows)


def test_what_is_said_beforehand_is_what_is_measured_with(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def noting(sensitivity: int, rho: float) -> Callable[[Whole], Whole]:
        asked.append(sensitivity / math.sqrt(2 * rho))
        return lambda values: values

    monkeypatch.setattr(mst, "gaussian", noting)
    monkeypatch.setattr(mst, "_estimated", lambda *_: None)
    rho = rho_for(1.0, 1e-6)
    mst._fitted(_Library, placed(REAL, features_of(DOMAIN)), rho, 2)
    assert tuple(asked) == pytest.approx(mst.spreads(4, rho, 2))
    assert mst.price(1.0, 1e-6) == Cost.zcdp(rho)


def test_a_record_says_what_was_measured_and_keeps_no_seed() -> None:
    pytest.importorskip("mbi", reason="the extra `synthetic` is not installed")
    rho = rho_for(1.0, 1e-6)
    tree = (("age", "rich"), ("wealth", "rich"), ("town", "age"))
    made = mst.Synthetic(REAL, Cost.zcdp(rho), rho, tree)
    told = record_of(made, DOMAIN, 1.0, 1e-6, "person", 2)
    assert (told["epsilon"], told["delta"], told["rho"], told["rows"]) == (1.0, 1e-6, rho, 3_000)
    assert told["columns"] == ["age", "wealth", "town", "rich"]
    assert told["pairs"] == [list(edge) for edge in tree]
    assert (told["noise_of_columns"], told["noise_of_pairs"]) == mst.spreads(4, rho, 2)
    assert (told["rows_of_one_unit"], told["domain"]) == (2, "declared")
    assert "person" in told["unit"]
    assert "a row" in record_of(made, DOMAIN, 1.0, 1e-6, "", 1)["unit"]
    assert "seed" not in json.dumps(told)


def test_a_table_of_too_many_columns_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mst, "_mbi", lambda: None)
    many = tuple(Number(f"c{at}", 0, 1) for at in range(mst.MAX_COLUMNS))
    domain = Domain(many, Choice("rich", ("no", "yes")))
    with pytest.raises(ValidationError, match="columns"):
        mst.synthesize(REAL, domain, 1.0, 1e-6, generator=_rng())


def test_a_copy_of_the_real_table_is_told_to_be_one() -> None:
    told = quality(REAL, REAL, DOMAIN)
    assert told.copies == 1.0
    assert told.pairs == (0.0, 0.0)
    assert told.copies_real < 1.0
