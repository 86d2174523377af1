"""All that the membership tests of an assessment share: the pool, the answers, the shadow fits."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.membership.pool import Flags, Pool
from strongroom.engines.robustness.membership.shadows import (
    Shadows,
    design,
    fit_shadows,
    nearest_recipe,
    resumed,
)
from strongroom.engines.robustness.membership.signals import Signal, signal
from strongroom.engines.robustness.recipes import REFERENCES, Recipe, reference
from strongroom.engines.robustness.target import Scores, Target
from strongroom.errors import TooLargeError, ValidationError

DEFAULT_FITS = 16


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a model and its shadows answer about a pool.

    Attributes:
        own: (rows,) signals of the model.
        shadows: None for attacks that need none.
        queries: rows asked of the model.
    """

    pool: Pool
    own: Signal
    shadows: Shadows | None
    queries: int

    def control(self) -> "tuple[Signal, Signal, Flags]":
        """Answers about each row by a model that never saw it, and the fits to attack them with.

        Each row is answered by the one fit of the first round that left it out; no fit of that
        round remains. So nothing in what is attacked tells members from others, unless the rows
        themselves do, or the attack has its answer from elsewhere.
        """
        assert self.shadows is not None  # noqa: S101 # asked for by attacks that have them
        plan, matrix = self.shadows.design, self.shadows.matrix()
        never = matrix[plan.folds[0], np.arange(len(self.pool))]
        return never, matrix[plan.count :], plan.is_in()[plan.count :]

    def each_fit(self) -> "Iterator[tuple[Signal, Flags, Signal, Flags]]":
        """Each shadow model as if it were attacked: its answers and rows, the fits against it.

        Those of its own round are left out: with it they would say who was in it.
        """
        assert self.shadows is not None  # noqa: S101 # asked for by attacks that have them
        plan, matrix = self.shadows.design, self.shadows.matrix()
        is_in = plan.is_in()
        rounds = np.arange(plan.fits) // plan.count
        for fit in range(plan.fits):
            against = rounds != rounds[fit]
            yield matrix[fit], is_in[fit], matrix[against], is_in[against]


def gather(
    pool: Pool, target: Target, recipe: Recipe | None, *, fits: int = DEFAULT_FITS, seed: int,
    kept: bytes = b"", keep: Callable[[bytes], None] | None = None,
    progress: Callable[[float], None] | None = None, references: Sequence[Recipe] | None = None,
    clock: Callable[[], float] = time.process_time,
) -> Evidence:  # fmt: skip
    """Ask the model about the pool and fit the shadow models.

    Args:
        recipe: how the model was fitted; None: unknown, then the reference that agrees best.
        kept: a bundle that `keep` was given before, to go on from; empty: from the start.
        references: in place of the usual ones.
        clock: seconds of processor time of what fits.

    Raises:
        ValidationError: what was kept belongs to something else, shapes do not fit, or the model
        answers fewer rows than the pool has; then none was asked.
    """
    scores = _answers(pool, target)
    own = signal(scores, pool.truth)
    plan = design(pool, fits, seed)
    offered = [recipe] if recipe is not None else list(references or _references(pool.classes))
    if kept:
        shadows = resumed(kept, pool, seed)
        if shadows.design.fits != plan.fits:
            raise ValidationError("the kept shadow answers are of another number of fits")
    elif recipe is not None:
        shadows = Shadows(plan, recipe.name, recipe.is_own)
    else:
        nearest, agreement = nearest_recipe(offered, scores, plan, pool, seed)
        shadows = Shadows(plan, nearest.name, is_own=False, agreement=agreement)
    chosen = next((one for one in offered if one.name == shadows.recipe), None)
    if chosen is None:
        raise ValidationError("the kept shadow answers are of another recipe")
    fit_shadows(shadows, pool, chosen, target.form, seed, keep=keep, progress=progress, clock=clock)
    return Evidence(pool, own, shadows, len(pool))


def usable(kept: bytes, pool: Pool, seed: int, recipe: Recipe | None) -> bytes:
    """What was kept, where `gather` can go on from it; else nothing, and all is fitted anew."""
    if not kept:
        return b""
    try:
        found = resumed(kept, pool, seed)
    except (ValidationError, TooLargeError):
        return b""
    known = {recipe.name} if recipe is not None else set(REFERENCES)
    fits = design(pool, DEFAULT_FITS, seed).fits
    return kept if found.recipe in known and found.design.fits == fits else b""


def asked(pool: Pool, target: Target) -> Evidence:
    """The model's answers alone, for attacks that need no shadow models. Raises: as `gather`."""
    return Evidence(pool, signal(_answers(pool, target), pool.truth), None, len(pool))


def _answers(pool: Pool, target: Target) -> Scores:
    if target.left is not None and target.left < len(pool):
        raise ValidationError(
            f"the limit on queries leaves {target.left:,} rows, and {len(pool):,} are to be asked",
            next_step="attack fewer rows, or raise the limit",
        )
    return target.scores(pool.rows)


def _references(classes: int) -> list[Recipe]:
    return [reference(name, classes) for name in REFERENCES]
