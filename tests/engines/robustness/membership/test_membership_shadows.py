"""Who is in which fit, and how a bundle of answers is kept and taken up again."""

import json
import struct
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from tests.engines.robustness.membership.membership_cases import small_pool

from strongroom.engines.robustness.membership.evidence import asked, gather
from strongroom.engines.robustness.membership.pool import pooled
from strongroom.engines.robustness.membership.shadows import design, nearest_recipe, resumed
from strongroom.engines.robustness.recipes import Estimator
from strongroom.engines.robustness.target import OutputForm, Target
from strongroom.errors import TooLargeError, ValidationError

POOL = small_pool()
BAYES = Estimator("bayes", GaussianNB(), 2, is_own=True)


def model(budget: int | None = None) -> Target:
    members = POOL.rows[POOL.is_member], POOL.truth[POOL.is_member]
    return Target(BAYES.fit(*members, 0), classes=2, budget=budget)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(4, 20), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_each_round_leaves_every_row_out_once(
    members: int, others: int, fits: int, seed: int
) -> None:
    pool = small_pool(members, others, 3, seed)
    plan = design(pool, fits, seed)
    is_in = plan.is_in()
    assert is_in.shape == (plan.fits, len(pool))
    assert plan.fits <= fits
    assert len(plan.folds) >= 2
    left_out = (~is_in).reshape(len(plan.folds), plan.count, len(pool)).sum(axis=1)
    assert (left_out == 1).all()


def test_folds_have_every_class_alike_and_the_members_part() -> None:
    pool = small_pool(90, 30, 3)
    plan = design(pool, 16, 5)
    assert plan.count == 4  # three quarters are members, and three quarters are fitted
    for fit in range(plan.fits):
        for label in range(3):
            of_class = pool.truth == label
            part = plan.sees(fit)[of_class].mean()
            assert abs(part - 0.75) < 2 / of_class.sum()


def test_a_killed_gathering_goes_on_where_it_was() -> None:
    whole = gather(POOL, model(), BAYES, fits=8, seed=3)
    bundles: list[bytes] = []

    def killed(bundle: bytes) -> None:
        bundles.append(bundle)
        if len(bundles) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gather(POOL, model(), BAYES, fits=8, seed=3, keep=killed)
    made: list[float] = []
    again = gather(POOL, model(), BAYES, fits=8, seed=3, kept=bundles[-1], progress=made.append)
    assert made == [6 / 8, 7 / 8, 1.0]
    assert whole.shadows is not None
    assert again.shadows is not None
    assert np.array_equal(whole.shadows.matrix(), again.shadows.matrix())
    assert np.array_equal(whole.own, again.own)


@cache
def bundle() -> bytes:
    kept: list[bytes] = []
    gather(POOL, model(), BAYES, fits=4, seed=3, keep=kept.append)
    return kept[1]


# It holds how long the fits took, so its length differs from time to time.
@pytest.mark.parametrize("cut", [0, 5, 13, 14, 60, -1])
def test_a_bundle_that_is_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(ValidationError):
        resumed(bundle()[:cut], POOL, 3)


@given(st.integers(0, 1 << 20), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_bundle_that_was_changed_is_refused_or_holds_numbers(place: int, change: int) -> None:
    broken = bytearray(bundle())
    broken[place % len(broken)] ^= change
    try:
        found = resumed(bytes(broken), POOL, 3)
    except (ValidationError, TooLargeError):
        return
    assert all(one.shape == (len(POOL),) and not np.isnan(one).any() for one in found.signals)


def headed(**changes: object) -> bytes:
    magic, version, length = struct.unpack_from("<8sHI", bundle())
    header = json.loads(bundle()[14 : 14 + length]) | changes
    made = json.dumps(header).encode()
    return struct.pack("<8sHI", magic, version, len(made)) + made + bundle()[14 + length :]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"made": 1 << 30}, TooLargeError),
        ({"made": -1}, ValidationError),
        ({"made": 3}, ValidationError),
        ({"fits": 6}, ValidationError),
        ({"fits": 1 << 40}, ValidationError),
        ({"folds": 3}, ValidationError),
        ({"seed": 4}, ValidationError),
        ({"pool": "0"}, ValidationError),
        ({"recipe": 7}, ValidationError),
        ({"agreement": float("nan")}, ValidationError),
        ({"more": 1}, ValidationError),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_a_header_that_lies_is_refused(
    changes: dict[str, object], error: type[ValidationError | TooLargeError]
) -> None:
    with pytest.raises(error):
        gather(POOL, model(), BAYES, fits=4, seed=3, kept=headed(**changes))


def test_a_bundle_of_other_rows_another_seed_or_recipe_is_refused() -> None:
    other = Estimator("other", GaussianNB(), 2)
    for pool, seed, recipe, fits in (
        (small_pool(seed=9), 3, BAYES, 4), (POOL, 4, BAYES, 4), (POOL, 3, other, 4),
        (POOL, 3, BAYES, 8),
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            gather(pool, model(), recipe, fits=fits, seed=seed, kept=bundle())


def test_without_a_recipe_the_reference_that_answers_alike_is_taken() -> None:
    pool = small_pool(100, 100)
    truth = (pool.rows[:, 0] > 0).astype(np.int64)
    rows, is_member = pool.rows, pool.is_member
    pool = pooled((rows[is_member], truth[is_member]), (rows[~is_member], truth[~is_member]),
                  classes=2, seed=0)  # fmt: skip
    references = [Estimator("bayes", GaussianNB(), 2), Estimator("line", LogisticRegression(), 2)]
    for own in references:
        fitted = own.fit(pool.rows[pool.is_member], pool.truth[pool.is_member], 1)
        found = gather(pool, Target(fitted, classes=2), None, fits=4, seed=1, references=references)
        assert found.shadows is not None
        assert (found.shadows.recipe, found.shadows.is_own) == (own.name, False)
        assert 0.9 < found.shadows.agreement <= 1.0


def test_of_references_that_agree_alike_the_cheapest_is_taken() -> None:
    pool = small_pool(60, 60)
    own = BAYES.fit(pool.rows[pool.is_member], pool.truth[pool.is_member], 0)(pool.rows)
    same = [Estimator(name, GaussianNB(), 2) for name in ("first", "second")]
    worse = Estimator("dull", GaussianNB(priors=[0.999, 0.001]), 2)
    for offered in ([worse, *same], same):
        chosen, agreement = nearest_recipe(offered, own, design(pool, 4, 0), pool, 0)
        assert chosen.name == "first"
        assert agreement > 0.8


def test_a_regression_is_fitted_and_compared_by_its_numbers() -> None:
    pool = small_pool(classes=1)
    ridge = Estimator("ridge", Ridge(), 1)
    own = ridge.fit(pool.rows[pool.is_member], pool.truth[pool.is_member], 0)(pool.rows)
    chosen, agreement = nearest_recipe([ridge], own, design(pool, 4, 0), pool, 0)
    assert chosen is ridge
    assert agreement <= 1.0


def test_shadows_answer_in_the_form_of_the_endpoint() -> None:
    members = POOL.rows[POOL.is_member], POOL.truth[POOL.is_member]
    target = Target(BAYES.fit(*members, 0), classes=2, form=OutputForm(decimals=1))
    found = gather(POOL, target, BAYES, fits=4, seed=3)
    assert found.shadows is not None
    odds = found.shadows.matrix()
    shares = 1 / (1 + np.exp(-odds))
    assert np.allclose(shares, shares.round(1), atol=1e-6)


def test_the_budget_of_queries_is_kept() -> None:
    poor = model(budget=len(POOL) - 1)
    with pytest.raises(ValidationError, match="limit on queries"):
        gather(POOL, poor, BAYES, fits=4, seed=3)
    with pytest.raises(ValidationError, match="limit on queries"):
        asked(POOL, poor)
    assert poor.queries == 0


@pytest.mark.parametrize("fits", [0, 3, 513])
def test_too_few_or_too_many_fits_are_refused(fits: int) -> None:
    with pytest.raises(ValidationError):
        design(POOL, fits, 0)


def test_a_recipe_that_answers_otherwise_is_refused() -> None:
    with pytest.raises(ValidationError):
        gather(POOL, model(), Estimator("wide", GaussianNB(), 3), fits=4, seed=1)


def test_rows_that_lack_a_number_are_left_out_and_counted() -> None:
    rows = np.zeros((5, 2))
    rows[1, 0], rows[2, 1] = np.nan, np.inf
    made = pooled((rows, np.zeros(5)), (np.ones((2, 2)), np.ones(2)), classes=2, seed=0)
    assert (made.left_out, made.counts) == (2, (3, 2))
    assert made.places.tolist() == [0, 3, 4, 0, 1]


@pytest.mark.parametrize(
    ("rows", "truth", "others"),
    [
        (np.zeros((2, 2)), np.zeros(3), np.zeros((2, 2))),
        (np.zeros((2, 2)), np.array([0.0, 2.0]), np.zeros((2, 2))),
        (np.zeros((2, 2)), np.zeros(2), np.zeros((2, 3))),
        (np.full((2, 2), np.nan), np.zeros(2), np.zeros((2, 2))),
        (np.zeros((0, 2)), np.zeros(0), np.zeros((2, 2))),
    ],
    ids=["lengths", "class", "width", "missing", "none"],
)
def test_rows_that_do_not_fit_are_refused(
    rows: np.ndarray, truth: np.ndarray, others: np.ndarray
) -> None:
    with pytest.raises(ValidationError):
        pooled((rows, truth), (others, np.zeros(len(others))), classes=2, seed=0)
