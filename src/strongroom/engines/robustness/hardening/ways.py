"""The ways to harden a model that fit it anew, each on the same rows and by the same recipe."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump
from strongroom.engines.robustness.evasion.hunt import Hunt
from strongroom.engines.robustness.hardening.adversarial import AdversariallyTrained
from strongroom.engines.robustness.hardening.columns import ColumnModel, ColumnRecipe
from strongroom.engines.robustness.hardening.dropping import chosen, leant_on
from strongroom.engines.robustness.hardening.regularising import regularised
from strongroom.engines.robustness.target import Labels, Rows, Target
from strongroom.errors import ValidationError

Progress = Callable[[float], None]

LARGEST_RADIUS = 0.3
MAX_RADIUS = 10.0
_MOST_NEIGHBOURS = 2_000
"""Rows among which the nearest of another label are looked for."""
_LEANT_ROWS = 60
_JUMPS = Jumps(rounds=4, first=40)


class Way(StrEnum):
    """What a person can choose."""

    RETRAINED = "retrained"
    """Nothing but the rows is changed: what the others are compared with."""
    ADVERSARIAL = "adversarial"
    REGULARISED = "regularised"
    DROPPING = "dropping"
    ROUNDING = "rounding"
    """The model stays; its answers say less."""
    PRIVATE = "private"
    """Differential privacy, by the trainers of `engines/privacy`."""


FITTED = (Way.RETRAINED, Way.ADVERSARIAL, Way.REGULARISED, Way.DROPPING)
"""Those that this module knows."""


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the ways.

    Attributes:
        radius: of adversarial training, L2 in the space; 0: half of the median distance to the
            nearest row of another label, at most `LARGEST_RADIUS`.
        rounds: of adversarial training.
        dropped: features to drop; empty: those that an attack leans on.
        most_dropped: of features that are chosen.
        kept: features that are never chosen.
    """

    radius: float = 0.0
    rounds: int = 3
    dropped: tuple[str, ...] = ()
    most_dropped: int = 3
    kept: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= MAX_RADIUS:
            raise ValidationError(f"a radius is a number from 0 to {MAX_RADIUS:g}")
        if not 1 <= self.rounds <= 20 or not 1 <= self.most_dropped <= 1_000:
            raise ValidationError("rounds are 1 to 20, dropped features 1 to 1,000")


@dataclass(frozen=True, slots=True)
class Hardened:
    """A model that was fitted anew.

    Attributes:
        recipe: by which others like it are fitted.
        says: what was done, and what a person should know of it; sentences.
        details: the same for programs; plain JSON.
    """

    way: Way
    model: ColumnModel
    recipe: ColumnRecipe
    says: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)


def fit_again(
    way: Way, recipe: ColumnRecipe, rows: Rows, labels: Labels, options: Options, *, seed: int,
    progress: Progress = lambda _: None,
) -> Hardened:  # fmt: skip
    """The model of a way.

    Args:
        rows: points of the recipe's space; rows that lack a number are trained on and not attacked.
    Raises: ValidationError: a way that fits nothing, or that cannot be gone with these rows.
    """
    match way:
        case Way.RETRAINED:
            says: tuple[str, ...] = ("The same recipe on these rows, with nothing else changed.",)
            return Hardened(way, _fit(recipe, rows, labels, seed), recipe, says)
        case Way.ADVERSARIAL:
            return _adversarial(recipe, rows, labels, options, seed, progress)
        case Way.REGULARISED:
            return _regularised(recipe, rows, labels, seed)
        case Way.DROPPING:
            return _dropping(recipe, rows, labels, options, seed)
        case _:
            raise ValidationError(f"`{way.value}` does not fit the model anew")


def _fit(recipe: ColumnRecipe, rows: Rows, labels: Labels, seed: int) -> ColumnModel:
    made = recipe.fit(rows, labels, seed)
    assert isinstance(made, ColumnModel)  # noqa: S101 # as that recipe does
    return made


def _adversarial(
    recipe: ColumnRecipe, rows: Rows, labels: Labels, options: Options, seed: int,
    progress: Progress,
) -> Hardened:  # fmt: skip
    radius = options.radius or usual_radius(rows, labels, seed)
    trainer = AdversariallyTrained(
        recipe, recipe.space, radius, rounds=options.rounds, progress=progress
    )
    model = trainer.fit(rows, labels, seed)
    assert isinstance(model, ColumnModel)  # noqa: S101 # the last that its recipe fitted
    says: tuple[str, ...] = (
        (
            f"Fitted {options.rounds} times over, each time with wrong answers added that lay "
            f"within {radius:.3g} of a training row."
        ),
        (
            "Those who attack it by models of their own know its recipe, not the added rows: "
            "shadow models are fitted without them."
        ),
    )
    if recipe.kind == "LogisticRegression":
        says += (
            (
                "A linear model cannot bend its boundary around the rows that are added: they "
                "rarely help it. Regularise it instead."
            ),
        )
    return Hardened(
        Way.ADVERSARIAL, model, recipe, says, {"radius": radius, "rounds": options.rounds}
    )


def usual_radius(rows: Rows, labels: Labels, seed: int) -> float:
    """Half of the median distance from a row to the nearest of another label, within bounds.

    Raises: ValidationError: rows of two labels lie nowhere apart.
    """
    whole = np.flatnonzero(np.isfinite(rows).all(axis=1))
    drawn = np.random.default_rng(seed).permutation(whole)[:_MOST_NEIGHBOURS]
    points, own = rows[drawn], labels[drawn]
    nearest = []
    for label in np.unique(own):
        mine, others = points[own == label], points[own != label]
        if len(others):
            squares = (mine**2).sum(axis=1)[:, None] - 2 * mine @ others.T + (others**2).sum(axis=1)
            nearest.append(np.sqrt(np.maximum(squares.min(axis=1), 0.0)))
    found = float(np.median(np.concatenate(nearest))) / 2 if nearest else 0.0
    if found <= 0:
        raise ValidationError(
            "most rows have an equal one with another label: no radius keeps their labels right",
            next_step="give a radius, or leave out the rows that contradict each other",
        )
    return min(found, LARGEST_RADIUS)


def _regularised(recipe: ColumnRecipe, rows: Rows, labels: Labels, seed: int) -> Hardened:
    found = regularised(recipe, rows, labels, seed=seed)
    first, taken = found.steps[0], found.steps[found.taken]
    told = ", ".join(f"{name}={value}" for name, value in taken.parameters.items())
    if found.taken == 0:
        said = "No stronger setting keeps its accuracy: the recipe stays as it was."
    else:
        said = (
            f"With {told}: left-out rows are answered rightly in {taken.accuracy:.1%} "
            f"(before: {first.accuracy:.1%}), and the lead on its own rows goes from "
            f"{first.gap:.1%} to {taken.gap:.1%}."
        )
    says = [said]
    if "Forest" in recipe.kind or "Trees" in recipe.kind:
        says.append(
            "A forest remembers rows by leaves that hold few of them. Larger leaves dull that; "
            "more trees, or shallower ones alone, do not take it away."
        )
    model = _fit(found.recipe, rows, labels, seed)
    details = {"settings": dict(taken.parameters), "step": found.taken}
    return Hardened(Way.REGULARISED, model, found.recipe, tuple(says), details)


def _dropping(
    recipe: ColumnRecipe, rows: Rows, labels: Labels, options: Options, seed: int
) -> Hardened:
    shares: dict[str, float] = {}
    names = options.dropped
    if not names:
        shares = _leant(recipe, rows, labels, seed)
        most = min(options.most_dropped, len(recipe.kept) - 1)
        names = chosen(shares, most=most, kept=options.kept)
    if not names:
        raise ValidationError(
            "no feature carries more than twice an even part of an attack: none is worth dropping",
            next_step="name the features to drop, or take another way",
        )
    slim = recipe.without(names)
    model = _fit(slim, rows, labels, seed)
    told = ", ".join(
        f"{name} ({shares[name]:.0%} of the moves)" if name in shares else name for name in names
    )
    says = (
        f"Trained without {told}. It does not take them any more.",
        "What goes along with a dropped feature still tells of it.",
    )
    return Hardened(Way.DROPPING, model, slim, says, {"dropped": list(names)})


def _leant(recipe: ColumnRecipe, rows: Rows, labels: Labels, seed: int) -> dict[str, float]:
    """How much of an attack on the model as it was each feature carries."""
    model = _fit(recipe, rows, labels, seed)
    rng = np.random.default_rng(seed)
    whole = np.flatnonzero(np.isfinite(rows).all(axis=1))
    drawn = rng.permutation(whole)[:_LEANT_ROWS]
    target = Target(model, classes=recipe.classes)
    hunt = Hunt(target, recipe.space, rows[drawn], labels[drawn])
    hopskipjump(hunt, rng, pool=rows[whole], jumps=_JUMPS)
    won = np.isfinite(hunt.distances) & (hunt.distances > 0)
    return leant_on(recipe.space, hunt.origins[won], hunt.best[won])
