"""Planted models whose nearest wrong answer is known exactly: canaries of the tests of evasion."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.evasion import linear
from strongroom.engines.robustness.evasion.gradients import Gradient, of_linear
from strongroom.engines.robustness.evasion.hunt import Hunt, Norm, Numbers, Places, length
from strongroom.engines.robustness.evasion.trees import Trees
from strongroom.engines.robustness.outcome import Canary
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import OutputForm, Rows, Scores, Target

WITHIN = 1.1
"""How much longer than the exact distance the median of what is found may be."""
_SLACK = 1.05
_CLEAR = 0.02
"""Distance that a row of the canary should have: below, a step or a rounding is all there is."""
_ALIKE = 0.1
_POOL = 200
"""Rows of the pool that may become the canary's."""
_STEPS = 200
"""Values of a single feature that are looked at, where only such a probe can be planted."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A planted linear model of two classes.

    Attributes:
        words: what was planted.
        is_alone: it looks at one feature only; then distances are those of the best single change,
            and others may be shorter.
    """

    weights: Rows
    bias: Numbers
    words: str
    is_alone: bool

    def predict(self, points: Rows) -> Scores:
        """Probabilities of both classes."""
        logits = points @ self.weights.T + self.bias
        second = 0.5 * (1 + np.tanh((logits[:, 1] - logits[:, 0]) / 2))
        return np.stack([1 - second, second], axis=1)

    @property
    def gradient(self) -> Gradient:
        """Its slopes."""
        return of_linear(self.weights, self.bias)


def planted(space: Space, pool: Rows, rng: np.random.Generator) -> Probe | None:
    """A probe that divides the pool in two; None where nothing in the space can change."""
    bound = {name for relation in space.relations for name in relation.factors}
    free = [one for one in space.features if _can_change(one)]
    smooth = [one for one in free if not one.levels and not one.step and one.name not in bound]
    factors = np.zeros(space.width)
    if smooth:
        for one in smooth:
            factors[space.places[one.name]] = rng.choice([-1, 1]) * rng.uniform(0.3, 1.0)
        words = f"a linear model of {len(smooth)} numbers"
    elif free:
        one = min(free, key=lambda each: each.name in bound)
        place = space.places[one.name]
        levels = pool[:, place].mean(axis=0).argmax() if one.levels else 0
        factors[place.start + int(levels)] = 1.0
        words = f"a model that looks at `{one.name}` alone"
    else:
        return None
    values = pool @ factors
    middle = float(np.median(values)) if smooth else float((values.min() + values.max()) / 2)
    if np.ptp(values) < 1e-9:  # rows that are all alike would all stand on the edge
        middle += _ALIKE * float(np.abs(factors).sum())
    scale = 2 / max(float(values.std()), 0.01)
    weights = np.stack([np.zeros(space.width), factors * scale])
    return Probe(weights, np.array([0.0, -middle * scale]), words, not smooth)


def by_labels(coordinates: int, questions: float) -> float:
    """How much longer than the exact distance an attack by labels alone may stay.

    A tenth, or what the questions leave where they are few for so many coordinates: a normal from
    the signs of n answers has, in d dimensions, a squared cosine of n / (n + pi d / 2) to the true
    one (its mean along it is n times that of one coordinate of a unit vector, the square root of
    2 / (pi d); across it n unit vectors add up to the root of n).
    """
    longer = np.sqrt(1 + np.pi / 2 * coordinates / max(questions, 1.0))
    return max(WITHIN, _SLACK * float(longer))


def sung(
    space: Space,
    pool: Rows,
    form: OutputForm,
    norm: Norm,
    budget: int,
    rows: int,
    rng: np.random.Generator,
    attack: Callable[[Hunt, Gradient], None],
    within: float = WITHIN,
    *,
    is_shared: bool = False,
) -> Canary | None:
    """Send an attack against a probe in the same space, and compare with what is exact.

    Args:
        budget: queries a row.
        rows: of the pool to attack.
        is_shared: what is asked serves all rows, so where few can be attacked it may cost as much.
    """
    probe = planted(space, pool, rng)
    if probe is None:
        return None
    pool = pool[rng.permutation(len(pool))[:_POOL]]
    labels = probe.predict(pool).argmax(axis=1)
    everywhere = Hunt(Target(probe.predict, classes=2), space, pool, labels, norm)
    exact = _alone(everywhere) if probe.is_alone else _exact(probe, everywhere)
    able = np.flatnonzero(np.isfinite(exact) & (exact > 0))
    if not len(able):
        return None
    clear = able[exact[able] >= _CLEAR] if (exact[able] >= _CLEAR).any() else able
    chosen = rng.permutation(clear)[:rows]
    paid = rows if is_shared else len(chosen)
    target = Target(probe.predict, classes=2, form=form, budget=budget * paid)
    hunt = Hunt(target, space, pool[chosen], labels[chosen], norm)
    attack(hunt, probe.gradient)
    ratios = hunt.distances / exact[chosen]
    middle = float(np.median(ratios))
    is_sound = probe.is_alone or bool((ratios > 1 - 1e-6).all())
    found = f"{len(chosen)} rows, median {middle:.3f} of the exact distance"
    return Canary(probe.words, middle <= within and is_sound, found)


def _can_change(one: Feature) -> bool:
    return one.is_mutable and (len(one.levels) > 1 or (not one.levels and one.high > one.low))


def _exact(probe: Probe, hunt: Hunt) -> Numbers:
    where = hunt.origins, hunt.labels, hunt.low, hunt.high, hunt.norm
    return linear.nearest(probe.weights, probe.bias, *where)[1]


def _alone(hunt: Hunt) -> Numbers:
    """Distances of the best change of a single coordinate, by trying its values."""
    best = np.full(len(hunt.origins), np.inf)
    which = np.arange(len(hunt.origins))
    for feature in hunt.space.features:
        place = hunt.space.places[feature.name]
        width = place.stop - place.start
        tries = np.eye(width) if feature.levels else np.linspace(0, 1, _STEPS)[:, None]
        asked = np.repeat(hunt.origins[:, None], len(tries), axis=1)
        asked[:, :, place] = tries
        is_wrong = hunt.wrong(asked, which, is_kept=False)
        lengths = np.where(is_wrong, hunt.lengths(asked, which), np.inf)
        best = np.minimum(best, lengths.min(axis=1))
    return best


# ---- for certificates ----


def planted_trees(used: Places, rng: np.random.Generator) -> Trees:
    """Five random trees of three levels over some coordinates; two classes."""
    features, thresholds, left, right, roots = [], [], [], [], []
    for tree in range(5):
        start = tree * 15
        roots.append(start)
        for node in range(15):
            is_inner = node < 7
            features.append(int(rng.choice(used)) if is_inner else -1)
            thresholds.append(float(rng.uniform(0.1, 0.9)) if is_inner else 0.0)
            left.append(start + 2 * node + 1 if is_inner else -1)
            right.append(start + 2 * node + 2 if is_inner else -1)
    values = np.zeros((75, 2))
    values[:, 1] = rng.normal(size=75)
    return Trees(
        np.array(features), np.array(thresholds), np.array(left), np.array(right), values,
        np.array(roots), np.array([0.0, -float(np.median(values[:, 1]))]),
    )  # fmt: skip


def by_cells(trees: Trees, origin: Numbers, label: int, low: Numbers, high: Numbers,
             norm: Norm) -> float:  # fmt: skip
    """The exact distance to another answer, by going through all cells between thresholds.

    Shares nothing with `certifying`; for few coordinates only.
    """
    used = trees.used
    edges = []
    for feature in used:
        inner = np.unique(trees.thresholds[trees.features == feature])
        inner = inner[(inner >= low[feature]) & (inner < high[feature])]
        edges.append(np.concatenate([[low[feature]], inner, [high[feature]]]))
    grids = np.meshgrid(*[np.arange(len(one) - 1) for one in edges], indexing="ij")
    cells = np.stack([one.ravel() for one in grids], axis=1)
    lows = np.stack([one[cells[:, at]] for at, one in enumerate(edges)], axis=1)
    highs = np.stack([one[cells[:, at] + 1] for at, one in enumerate(edges)], axis=1)
    points = np.tile(origin, (len(cells), 1))
    points[:, used] = (lows + highs) / 2
    is_wrong = trees.scores(points).argmax(axis=1) != label
    gaps = np.maximum(np.maximum(lows - origin[used], origin[used] - highs), 0.0)
    distances = length(gaps, norm)
    return float(distances[is_wrong].min()) if is_wrong.any() else float("inf")
