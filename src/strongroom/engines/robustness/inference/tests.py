"""Tests of an assessment with their canaries: attribute inference, reconstruction by asking."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.inference.attribute import (
    Guesses,
    Values,
    advantage,
    guess,
    values_of,
)
from strongroom.engines.robustness.inference.inversion import (
    Gradient,
    ascended,
    climbed,
    nearest,
)
from strongroom.engines.robustness.inference.planted import HIDDEN, beacons, parrot
from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.outcome import Canary, Gate, Measure, Outcome
from strongroom.engines.robustness.recipes import reference
from strongroom.engines.robustness.sampling import freed, uniform
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows, Target, Truth
from strongroom.errors import ValidationError

ATTRIBUTE, INVERSION = "inference.attribute", "inversion.blackbox"
THREAT = 2
ATLAS: Mapping[str, tuple[str, ...]] = {
    ATTRIBUTE: ("AML.T0024.001",),
    INVERSION: ("AML.T0024.001",),
}
ADVANTAGE = "advantage over the guess without the model"
SURELY_NEARER = "nearer to training rows, surely"
GATES: Mapping[str, tuple[Gate, ...]] = {
    ATTRIBUTE: (Gate(ADVANTAGE, "at most", 0.1, "worst"), Gate(ADVANTAGE, "at most", 0.05)),
    INVERSION: (Gate(SURELY_NEARER, "at most", 0.5),),
}
"""Proposals. Of 300 people an advantage is known to five points or so: a model that tells nothing
keeps both gates nearly always. Who attacks more rows can set both closer."""
FEWEST_ROWS = 40
_MOST_KNOWN = 2_000
_CANARY_QUERIES = 1_500
_BEACONS = 4
_BEACON_FROM = 0.8
"""Of the distance that made-up rows have, at most."""
_BEACON_FROM_LABELS = 0.97
"""Labels lead into a class and no farther; by chance one in 256 ends at the four right points."""
_PARROT_FROM = 0.3
_SLACK = 0.05
"""By which the control's advantage may miss 0 beyond its bounds."""

Kept = tuple[Rows, Truth]


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is asked.

    Attributes:
        features: to guess, by name; empty: none, and `inference.attribute` does not apply.
        rows: members whose features are guessed.
        reconstructions: searches in all, spread over the classes.
        queries: rows asked for one of them.
    """

    features: Sequence[str] = ()
    rows: int = 300
    reconstructions: int = 40
    queries: int = 600


def attribute(
    members: Kept, others: Kept, target: Target, space: Space, settings: Settings, seed: int,
    progress: Callable[[float], None] | None = None,
) -> Outcome:  # fmt: skip
    """How much better the model lets others guess what they do not know of its people.

    Args:
        members, others: rows the model was trained on, and rows that it never saw, with the truth.
            Half of the others are people that the adversary knows, the rest is a control.
    """
    members, others = _whole(members), _whole(others)
    if not settings.features:
        return _not_applicable(ATTRIBUTE, "no sensitive feature was named")
    if min(len(members[0]), len(others[0]) // 2) < FEWEST_ROWS:
        return _not_applicable(
            ATTRIBUTE, f"it takes {FEWEST_ROWS} members and twice as many other rows"
        )
    rng = np.random.default_rng(seed)
    known, control = _parted(others, rng)
    before = target.queries
    measures: list[Measure] = []
    words: list[str] = []
    worst: tuple[float, float, float] | None = None
    features = [one for one in settings.features if _differs(space, one, known[0])]
    if not features:
        return _not_applicable(ATTRIBUTE, "the sensitive features have one value each")
    for done, feature in enumerate(features):
        values = values_of(space, feature, known[0])
        most = _affordable(target, len(values.blocks), settings, len(features) - done)
        if most < FEWEST_ROWS:
            return _not_applicable(
                ATTRIBUTE, "the limit on queries is too small for a guess about each value"
            )
        inside, outside = _guessed(
            target, values, _sampled(known, 2 * most, rng), _sampled(members, most, rng),
            _sampled(control, most, rng), seed,
        )  # fmt: skip
        found, told = _told(feature, inside, outside)
        measures += told
        words.append(_attribute_words(feature, inside, found))
        worst = found if worst is None or found[0] > worst[0] else worst
        if progress is not None:
            progress((done + 1) / len(features))
    assert worst is not None  # noqa: S101 # there is a feature
    return Outcome(
        ATTRIBUTE, THREAT, ATLAS[ATTRIBUTE], (Measure(ADVANTAGE, *worst, "share"), *measures),
        _parrot_canary(seed), (), (*words, _ATTRIBUTE_LIMITS), {}, target.queries - before,
    )  # fmt: skip


def _differs(space: Space, feature: str, rows: Rows) -> bool:
    """Whether a feature has more than one value. Raises: ValidationError: there is none such."""
    if feature not in space.places:
        raise ValidationError(f"the space has no feature `{feature[:100]}`")
    return bool((np.ptp(rows[:, space.places[feature]], axis=0) > 0).any())


def _guessed(
    target: Target, values: Values, known: Kept, members: Kept, control: Kept, seed: int
) -> tuple[Guesses, Guesses]:
    """About members, and about people that the model never saw; both by the same adversary."""
    rows = np.concatenate([members[0], control[0]])
    truth = np.concatenate([members[1], control[1]])
    return guess(target, values, known, rows, truth, seed).parts(len(members[0]))


_ATTRIBUTE_LIMITS = (
    "An adversary who knows fewer features guesses worse with and without the model. Of several "
    "features and two attackers the best is told, with bounds widened for two; what the model has "
    "learned about people in general counts too, so compare with the advantage over people it "
    "never saw."
)


def inversion(
    members: Kept, others: Kept, target: Target, space: Space,
    settings: Settings, seed: int, *, gradient: Gradient | None = None,
    progress: Callable[[float], None] | None = None,
) -> Outcome:  # fmt: skip
    """Whether what the model holds for typical lies nearer to its training rows than to others.

    Args:
        gradient: of a model at hand; reconstructions by it are judged together with the others.
    """
    members, others = _whole(members), _whole(others)
    if target.classes < 2:
        return _not_applicable(INVERSION, "a regression has no class to reconstruct")
    if min(len(members[0]), len(others[0])) < FEWEST_ROWS:
        return _not_applicable(INVERSION, f"it takes {FEWEST_ROWS} rows of either kind")
    rng = np.random.default_rng(seed)
    free = freed(space)
    classes = [one for one in range(target.classes) if (members[1] == one).any()]
    rounds = max(1, settings.reconstructions // len(classes))
    if target.left is not None and target.left < rounds * len(classes) * settings.queries:
        rounds = target.left // (len(classes) * settings.queries)
    if rounds < 1 or settings.queries < 100:
        return _not_applicable(INVERSION, "the limit on queries leaves no search of 100 rows")
    before, made, of_class = target.queries, [], []
    for done in range(rounds):
        made.append(climbed(target, free, np.array(classes), settings.queries, rng))
        of_class += classes
        if gradient is not None:
            made += [ascended(gradient, free, place, rng) for place in classes]
            of_class += classes
        if progress is not None:
            progress((done + 1) / rounds)
    points, place_of = np.concatenate(made), np.array(of_class)
    measures = _likeness(points, place_of, members, others, free, rng, target.classes)
    return Outcome(
        INVERSION, THREAT, ATLAS[INVERSION], measures, _beacon_canary(target, free, seed), (),
        _inversion_words(measures, target), {}, target.queries - before,
    )  # fmt: skip


def _likeness(
    points: Rows, place_of: NDArray[np.int64], members: Kept, others: Kept, space: Space,
    rng: np.random.Generator, classes: int,
) -> tuple[Measure, ...]:  # fmt: skip
    """How near the reconstructions lie to rows of both kinds, as many of each."""
    count = min(len(members[0]), len(others[0]), _MOST_KNOWN)
    trained, fresh = (_sampled(one, count, rng) for one in (members, others))
    near, far = nearest(points, trained[0]), nearest(points, fresh[0])
    apart = near != far
    nearer, tries = int((near < far).sum()), int(apart.sum())
    low, high = clopper_pearson(nearer, tries)
    judge = reference("forest", classes).fit(fresh[0], fresh[1], int(rng.integers(1 << 31)))
    right = int((judge(points).argmax(axis=1) == place_of).sum())
    blind = uniform(space, len(points), rng)
    means = {one: members[0][members[1] == one].mean(axis=0) for one in set(place_of.tolist())}
    centres = np.array([means[one] for one in place_of.tolist()])
    gained = 1 - (
        np.linalg.norm(points - centres, axis=1).mean()
        / (np.linalg.norm(blind - centres, axis=1).mean() or 1.0)
    )
    return (
        Measure("nearer to training rows", nearer / max(tries, 1), low, high, "share"),
        Measure(SURELY_NEARER, low, unit="share"),
        Measure(
            "judge's accuracy", right / len(points), *clopper_pearson(right, len(points)), "share"
        ),
        Measure("closer to the class's mean than by chance", float(gained), unit="share"),
        Measure("distance to the nearest training row", float(np.median(near))),
        Measure("distance to the nearest fresh row", float(np.median(far))),
        Measure("reconstructions", len(points)),
    )


# ---- canaries ----


def _parrot_canary(seed: int) -> Canary:
    planted, fresh, labels = parrot(seed)
    bird = Target(planted.predict, classes=2)
    half = len(fresh) // 2
    values = values_of(planted.space, HIDDEN, fresh[:half])
    known = (fresh[:half], labels[:half])
    seen, unseen = (planted.rows, planted.labels), (fresh[half:], labels[half:])
    inside, outside = _guessed(bird, values, known, seen, unseen, seed)
    won = advantage(inside.helped["bayes"], inside.without)
    lost = advantage(outside.helped["bayes"], outside.without, 0.999)
    return Canary(
        "a model that is a little surer of a label where all is as in a row it saw; and, as a "
        "control, rows that it never saw",
        won[1] >= _PARROT_FROM and lost[1] <= _SLACK and lost[2] >= -_SLACK,
        f"advantage {_shown(won)}, {_PARROT_FROM} at least was asked for; over rows never seen "
        f"{_shown(lost)}",
    )


def _beacon_canary(target: Target, space: Space, seed: int) -> Canary:
    """In the space and the form of the endpoint, with secret points in place of its model."""
    planted = beacons(space, _BEACONS, seed)
    asked = Target(planted.predict, classes=_BEACONS, form=target.form)
    rng = np.random.default_rng([seed, 1])  # not that of the beacons: points would meet again
    found = climbed(asked, space, np.arange(_BEACONS), _CANARY_QUERIES, rng)
    apart = np.linalg.norm(found[:, None] - planted.points, axis=2)
    own = float(np.diag(apart).mean())
    blind = uniform(space, 200, rng)
    usual = float(np.linalg.norm(blind[:, None] - planted.points, axis=2).mean())
    near = _BEACON_FROM_LABELS if target.form.shows == "labels" else _BEACON_FROM
    its_own = int((apart.argmin(axis=1) == np.arange(_BEACONS)).sum())
    return Canary(
        "a model that is surer of a class the nearer a row is to a secret point",
        its_own == _BEACONS and own < near * usual,
        f"{its_own} of {_BEACONS} reconstructions lie nearest to their own point, at {own:.2f} on "
        f"average; made-up rows at {usual:.2f}",
    )


# ---- what is told ----


def _told(
    feature: str, inside: Guesses, outside: Guesses
) -> tuple[tuple[float, float, float], list[Measure]]:
    """The better attacker's advantage; and the measures of one feature."""
    found = {name: advantage(right, inside.without, 0.975) for name, right in inside.helped.items()}
    best = max(found, key=lambda name: found[name][0])
    never = advantage(outside.helped[best], outside.without)
    without = int(inside.without.sum())
    right = int(inside.helped[best].sum())
    count = len(inside.without)
    return found[best], [
        Measure(f"{feature}: advantage", *found[best], "share"),
        Measure(f"{feature}: advantage over people it never saw", *never, "share"),
        Measure(
            f"{feature}: right without the model", without / count,
            *clopper_pearson(without, count), "share",
        ),
        Measure(
            f"{feature}: right with the model", right / count,
            *clopper_pearson(right, count), "share",
        ),
    ]  # fmt: skip


def _attribute_words(feature: str, inside: Guesses, found: tuple[float, float, float]) -> str:
    return (
        f"Who knows all else of a person guesses `{feature}` right for "
        f"{inside.without.mean():.1%} without the model; the model adds {_shown(found)}."
    )


def _inversion_words(measures: Sequence[Measure], target: Target) -> tuple[str, ...]:
    nearer = measures[0]
    words = [
        (
            "A reconstruction that lies as near to rows the model never saw as to its training "
            "rows shows what a class is like, and nothing of a person in particular."
        ),
        (
            "Searches on one model depend on each other, so the bounds are a little too narrow; "
            "another search may find more."
        ),
    ]
    if (nearer.low or 0.0) > 0.5:
        words.insert(0, "Reconstructions lie nearer to training rows: the model shows them.")
    if target.form.shows == "labels":
        words.append("The answers are labels alone, so each step asked about several rows.")
    return tuple(words)


def _shown(found: tuple[float, float, float]) -> str:
    return f"{found[0]:+.3f} ({found[1]:+.3f} to {found[2]:+.3f})"


def _affordable(target: Target, values: int, settings: Settings, features: int) -> int:
    """Rows of each kind for one feature: the known ones are twice as many."""
    most = min(settings.rows, _MOST_KNOWN)
    return most if target.left is None else min(most, target.left // (4 * values * features))


def _whole(kept: tuple[Rows, Truth]) -> tuple[Rows, Truth]:
    at = np.isfinite(kept[0]).all(axis=1) & np.isfinite(kept[1])
    return kept[0][at], kept[1][at]


def _sampled(kept: Kept, most: int, rng: np.random.Generator) -> Kept:
    at = np.sort(rng.permutation(len(kept[0]))[:most])
    return kept[0][at], kept[1][at]


def _parted(kept: Kept, rng: np.random.Generator) -> tuple[Kept, Kept]:
    order = rng.permutation(len(kept[0]))
    half = len(order) // 2
    first, second = np.sort(order[:half]), np.sort(order[half:])
    return (kept[0][first], kept[1][first]), (kept[0][second], kept[1][second])


def _not_applicable(test: str, reason: str) -> Outcome:
    return Outcome(test, THREAT, ATLAS[test], reason=reason)
