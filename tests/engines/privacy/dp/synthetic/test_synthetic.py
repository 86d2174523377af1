"""Made-up tables: what is measured costs what is said, and they resemble the real ones."""

import math
import warnings
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from tests.engines.privacy.dp.training.people import DOMAIN, people

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.synthetic import mst
from strongroom.engines.privacy.dp.synthetic.columns import COARSER, decoded, features_of, placed
from strongroom.engines.privacy.dp.synthetic.quality import quality
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


def test_without_the_extra_an_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mbi", None)
    with pytest.raises(MissingExtraError) as caught:
        mst.synthesize(REAL, DOMAIN, 1.0, 1e-6, generator=_rng())
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


class _Library:
    """Stands where mbi would: keeps what was measured."""

    @staticmethod
    def LinearMeasurement(  # noqa: N802 # the library's name
        noisy: np.ndarray, clique: tuple[str, ...], stddev: float
    ) -> tuple[np.ndarray, tuple[str, ...], float]:
        return noisy, clique, stddev


def test_counts_share_their_rho_and_are_told_their_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, float]] = []

    def noting(sensitivity: int, rho: float) -> Callable[[Whole], Whole]:
        asked.append((sensitivity, rho))
        return lambda values: values

    monkeypatch.setattr(mst, "gaussian", noting)
    places = placed(REAL, features_of(DOMAIN))
    measured = mst._counted(_Library, places, [(0,), (1,), (0, 1), (2, 3)], 0.08, 2)
    assert asked == [(2, 0.02)]
    assert [one[2] for one in measured] == [2 / math.sqrt(0.04)] * 4
    assert measured[3][1] == ("2", "3")


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
    ("epsilon", "delta", "rows"), [(0.0, 1e-6, 1), (1.0, 0.0, 1), (1.0, 1e-6, 0)]
)
def test_promises_out_of_range_are_refused(
    epsilon: float, delta: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mst, "_mbi", lambda: None)
    with pytest.raises(ValidationError):
        mst.synthesize(REAL, DOMAIN, epsilon, delta, rows_each=rows, generator=_rng())


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
