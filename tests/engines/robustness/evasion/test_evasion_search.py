"""Searches by labels and scores against the exact distance of a linear model, and on trees."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.engines.robustness.evasion.evasion_models import (
    BIAS,
    WEIGHTS,
    breast,
    forest,
    linear_hunt,
    network,
    silent,
)  # fmt: skip

from strongroom.engines.robustness.evasion import gradients, linear
from strongroom.engines.robustness.evasion.differences import estimated
from strongroom.engines.robustness.evasion.genetic import evolve, fronts, survivors
from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump
from strongroom.engines.robustness.evasion.hunt import Hunt, Norm
from strongroom.engines.robustness.evasion.rays import rays
from strongroom.engines.robustness.evasion.square import square
from strongroom.engines.robustness.evasion.stepping import known, to_edge, within
from strongroom.engines.robustness.evasion.transfer import substitute, transfer
from strongroom.engines.robustness.evasion.trimming import trim
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows, Target

Attack = Callable[[Hunt, Rows, np.random.Generator], None]


def by_labels(hunt: Hunt, pool: Rows, rng: np.random.Generator) -> None:
    hopskipjump(hunt, rng, pool=pool, jumps=Jumps(first=30))
    rays(hunt, rng, turns=150)
    trim(hunt, rng)


def without_pool(hunt: Hunt, _: Rows, rng: np.random.Generator) -> None:
    hopskipjump(hunt, rng, jumps=Jumps(first=40))
    rays(hunt, rng, turns=150)


def by_differences(hunt: Hunt, _: Rows, rng: np.random.Generator) -> None:
    to_edge(hunt, estimated(hunt), steps=5)


def by_squares(hunt: Hunt, _: Rows, rng: np.random.Generator) -> None:
    square(hunt, 1.0, rng, turns=250)


def by_slopes(hunt: Hunt, _: Rows, rng: np.random.Generator) -> None:
    to_edge(hunt, known(hunt, gradients.of_linear(WEIGHTS, BIAS)), steps=3)


def by_transfer(hunt: Hunt, pool: Rows, rng: np.random.Generator) -> None:
    made = substitute(hunt.target, pool, rng, 600)
    assert made is not None
    assert made.agreement > 0.95
    transfer(hunt, made, rng)


def by_generations(hunt: Hunt, _: Rows, rng: np.random.Generator) -> None:
    evolve(hunt, rng, generations=40)
    trim(hunt, rng)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(
    ("attack", "most"),
    [(by_labels, 1.1), (without_pool, 1.1), (by_differences, 1.01), (by_slopes, 1.01),
     (by_squares, 1.25), (by_transfer, 1.15), (by_generations, 2.0)],
    ids=["labels", "no-pool", "differences", "slopes", "squares", "transfer", "generations"],
)  # fmt: skip
def test_comes_near_the_exact_distance_and_never_below(
    attack: Attack, most: float, norm: Norm
) -> None:
    shows = "labels" if attack in (by_labels, without_pool, by_transfer) else "probabilities"
    hunt, pool = linear_hunt(norm, shows=shows)
    _, exact = linear.nearest(
        WEIGHTS, BIAS, hunt.origins, hunt.labels, hunt.low, hunt.high, norm
    )  # fmt: skip
    attack(hunt, pool, np.random.default_rng(1))
    ratios = hunt.found().distances / exact
    assert (ratios >= 1 - 1e-9).all()
    assert np.median(ratios) <= most


@pytest.mark.parametrize("attack", [by_labels, by_squares], ids=["labels", "squares"])
def test_more_queries_never_do_worse_and_a_seed_repeats(attack: Attack) -> None:
    distances = []
    for budget in (300, 3_000, 3_000, 12_000):
        hunt, pool = linear_hunt("l2", budget=budget, shows="probabilities")
        attack(hunt, pool, np.random.default_rng(1))
        assert hunt.found().queries <= budget
        distances.append(hunt.found().distances)
    assert (distances[1] <= distances[0]).all()
    assert (distances[3] <= distances[1]).all()
    assert (distances[1] == distances[2]).all()


def test_trimming_shortens_what_hopskipjump_finds_on_trees() -> None:
    # The reason for trimming: on a forest HopSkipJump alone stops far from the nearest answer.
    fit, labels, points, truth = breast()
    model = forest(fit, labels, trees=10)
    hunt = Hunt(Target(model.predict_proba, classes=2), Space.box(30), points[:20], truth[:20])
    rng = np.random.default_rng(0)
    hopskipjump(hunt, rng, pool=fit, jumps=Jumps(rounds=5))
    which = hunt.open()
    before = hunt.distances.copy()
    trim(hunt, rng)
    assert np.isfinite(before).all()
    assert np.median(hunt.distances[which] / before[which]) < 0.85
    assert (model.predict(hunt.best) != truth[:20]).all()


def test_a_network_falls_to_its_slopes_at_least_as_near_as_to_labels() -> None:
    fit, labels, points, truth = breast()
    model = network(fit, labels)
    slopes = gradients.of_estimator(model)
    assert slopes is not None
    hunts = [
        Hunt(Target(model.predict_proba, classes=2), Space.box(30), points[:20], truth[:20])
        for _ in range(3)
    ]
    rng = np.random.default_rng(0)
    hopskipjump(hunts[0], rng, pool=fit)
    to_edge(hunts[1], known(hunts[1], slopes))
    middle = float(np.median(hunts[1].distances[hunts[1].open()]))
    within(hunts[2], known(hunts[2], slopes), middle * 1.05, rng, steps=20)
    own = hunts[0].open()
    assert np.median(hunts[1].distances[own]) <= np.median(hunts[0].distances[own])
    # APGD within a hair more than the median breaks about half.
    assert np.isfinite(hunts[2].distances[own]).mean() >= 0.4
    assert hunts[2].distances[np.isfinite(hunts[2].distances)].max() <= middle * 1.05 + 1e-9


def test_a_model_that_always_says_the_same_has_no_wrong_answers() -> None:
    target = Target(lambda rows: np.tile([0.9, 0.1], (len(rows), 1)), classes=2)
    hunt = Hunt(target, Space.box(4), np.full((3, 4), 0.5), np.zeros(3, dtype=np.int64))
    rng = np.random.default_rng(0)
    hopskipjump(hunt, rng, pool=np.zeros((5, 4)))
    rays(hunt, rng)
    trim(hunt, rng)
    square(hunt, 0.5, rng, turns=20)
    to_edge(hunt, estimated(hunt), steps=3)
    evolve(hunt, rng, generations=3)
    assert substitute(target, np.zeros((5, 4)), rng, 50) is None
    assert not hunt.found().is_found.any()
    assert (hunt.found().points == hunt.origins).all()


def test_progress_ends_at_one() -> None:
    hunt, pool = linear_hunt("l2", rows=2)
    seen: list[float] = []
    hopskipjump(hunt, np.random.default_rng(0), pool=pool, jumps=Jumps(3, 10), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    silent(seen[-1])


def test_fronts_by_hand() -> None:
    goals = np.array([[[0.0, 3.0], [1.0, 1.0], [2.0, 2.0], [3.0, 0.0], [3.0, 3.0]]])
    assert fronts(goals).tolist() == [[0, 0, 1, 0, 2]]
    assert set(survivors(goals, 3)[0].tolist()) == {0, 1, 3}
    hopeless = np.full((1, 4, 2), np.inf)
    assert survivors(hopeless, 2).shape == (1, 2)
