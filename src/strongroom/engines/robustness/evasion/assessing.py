"""Tests of evasion for an assessment: each attacks rows and ends in an outcome.

All share one form: accuracy, robust accuracy at the declared budget and over a range of budgets,
the distance that half of the rows stand, what it cost, and random noise of the same length beside
it. A planted linear model, attacked in the same way, must be found within a tenth of its exact
distance, or the test is invalid. A model that answers with numbers is attacked where the settings
say which change of an answer counts (`numbers`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from strongroom.engines.robustness.evasion.boundary import boundary
from strongroom.engines.robustness.evasion.cases import Case, Progress, Settings, chosen, part
from strongroom.engines.robustness.evasion.differences import estimated
from strongroom.engines.robustness.evasion.genetic import evolve
from strongroom.engines.robustness.evasion.gradients import Gradient
from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump, start
from strongroom.engines.robustness.evasion.hunt import Hunt, Places
from strongroom.engines.robustness.evasion.numbers import as_classes, on_both_sides, together
from strongroom.engines.robustness.evasion.probing import WITHIN, by_labels, sung
from strongroom.engines.robustness.evasion.rays import rays
from strongroom.engines.robustness.evasion.reporting import reported
from strongroom.engines.robustness.evasion.square import square
from strongroom.engines.robustness.evasion.stepping import Slopes, known, to_edge, within
from strongroom.engines.robustness.evasion.transfer import substitute, transfer
from strongroom.engines.robustness.evasion.trimming import trim
from strongroom.engines.robustness.outcome import Outcome
from strongroom.engines.robustness.target import QueriesSpent, Rows

_TRANSFER_WITHIN = 1.25
"""The canary of transfer: its slopes are fitted, not known; 1.25 is an angle of 37 degrees."""
_ESTIMATES = {"l2": 0.5, "linf": 0.25}
"""Of the queries, for HopSkipJump's estimates; the rest is for searching back, rays, undoing."""
_ROOTS = 22.5
"""Sum of the roots of 1 to 10: estimates of ten rounds in units of the first."""
_WALK = 10
"""One in so many queries is a turn of the walk along the edge, where the space has constraints."""
_ANSWERS, _ANSWERS_EACH = 2_000, 16
"""That a substitute is fitted to, and so many a coordinate where those are more."""
_CLEAR = 1e-3
"""A lead of logits, as a share of usual ones and at least of 1, from which on an inside must answer
as the model does: networks count in 32 bits."""


@dataclass(frozen=True, slots=True)
class Means:
    """What an attack works with.

    Attributes:
        gradient: of the model, where its inside is known.
        pool: points that the attacker holds.
        tell: progress of the attack.
    """

    gradient: Gradient | None
    pool: Rows
    rng: np.random.Generator
    tell: Progress

    def part(self, low: float, high: float) -> Progress:
        """Progress of a part of the attack."""
        return part(self.tell, low, high)

    def slopes(self, hunt: Hunt) -> Slopes:
        """The model's own slopes, or estimated ones."""
        return estimated(hunt) if self.gradient is None else known(hunt, self.gradient)


Attack = Callable[[Hunt, Means], None]


def decision(case: Case, settings: Settings, seed: int, progress: Progress) -> Outcome:
    """By labels alone: HopSkipJump, in Linf rays, then what was not needed is undone.

    Where the space has levels, steps or relations, the boundary attack walks on in between.
    """
    share = _ESTIMATES[settings.norm]
    first = int(np.clip(settings.queries * share / _ROOTS, 5, 100))

    def attack(hunt: Hunt, by: Means) -> None:
        jumps = Jumps(first=first)
        hopskipjump(hunt, by.rng, pool=by.pool, jumps=jumps, progress=by.part(0, 0.5))
        rays(hunt, by.rng, turns=settings.queries // 3, progress=by.part(0.5, 0.7))
        if not hunt.is_plain:
            boundary(hunt, by.rng, turns=settings.queries // _WALK, progress=by.part(0.7, 0.8))
        trim(hunt, by.rng, progress=by.part(0.8, 1))

    return _tested("evasion.decision", _BLACK_BOX, case, settings, seed, attack, progress,
                   within_of=by_labels(case.space.width, settings.queries * share))  # fmt: skip


def score(case: Case, settings: Settings, seed: int, progress: Progress) -> Outcome:
    """By scores: slopes by differences, random search in squares, undoing."""
    if case.target.form.shows == "labels":
        return _reason("evasion.score", _BLACK_BOX, "the endpoint shows labels only")

    def attack(hunt: Hunt, by: Means) -> None:
        to_edge(hunt, estimated(hunt), steps=6, progress=by.part(0, 0.4))
        _if_none_start(hunt, by)
        square(hunt, settings.budgets[-1], by.rng, turns=150, progress=by.part(0.4, 0.6))
        trim(hunt, by.rng, progress=by.part(0.6, 0.8))
        to_edge(hunt, estimated(hunt), steps=4, restart=by.rng, progress=by.part(0.8, 1))

    return _tested("evasion.score", _BLACK_BOX, case, settings, seed, attack, progress)


def transferred(case: Case, settings: Settings, seed: int, progress: Progress) -> Outcome:
    """By a model of the attacker's own, fitted to the target's answers."""
    if case.target.classes < 2:
        reason = "numbers have no classes that a model of one's own could learn"
        return _reason("evasion.transfer", _TRANSFER, reason)

    def attack(hunt: Hunt, by: Means) -> None:
        left = hunt.target.left
        most = max(_ANSWERS, _ANSWERS_EACH * hunt.space.width)
        share = most if left is None else min(most, left // 2)
        made = substitute(hunt.target, by.pool, by.rng, share)
        if made is not None:
            transfer(hunt, made, by.rng, progress=by.part(0.5, 1))

    return _tested("evasion.transfer", _TRANSFER, case, settings, seed, attack, progress,
                   within_of=_TRANSFER_WITHIN, is_shared=True)  # fmt: skip


def gradient(case: Case, settings: Settings, seed: int, progress: Progress) -> Outcome:
    """By slopes of the model itself."""
    if case.gradient is None:
        return _reason(
            "evasion.gradient", _WHITE_BOX, "there are no slopes of this model to follow"
        )

    def attack(hunt: Hunt, by: Means) -> None:
        slopes = by.slopes(hunt)
        to_edge(hunt, slopes, progress=by.part(0, 0.3))
        radii = sorted({*settings.budgets, settings.declared}, reverse=True)
        for at, radius in enumerate(radii):
            ends = [0.3 + 0.5 * (at + more) / len(radii) for more in (0, 1)]
            within(hunt, slopes, radius, by.rng, progress=by.part(*ends))
        to_edge(hunt, slopes, steps=10, restart=by.rng, progress=by.part(0.8, 1))

    return _tested("evasion.gradient", _WHITE_BOX, case, settings, seed, attack, progress)


def constrained(case: Case, settings: Settings, seed: int, progress: Progress) -> Outcome:
    """Cheap first, then a search by generations on what is left, as CAA does.

    Source: Simonetto, Ghamizi & Cordy, "Constrained adaptive attack", 2024 (CAA): CAPGD, then
    MOEVA on the rows that withstood it.
    """
    free = not case.space.relations and all(
        one.is_mutable and not (one.levels or one.step or one.direction)
        for one in case.space.features
    )
    if free:
        reason = "the space has no constraints but ranges; the other tests cover it"
        return _reason("evasion.constrained", _BLACK_BOX, reason)

    def attack(hunt: Hunt, by: Means) -> None:
        slopes = by.slopes(hunt)
        to_edge(hunt, slopes, steps=4, progress=by.part(0, 0.2))
        steps = 10 if by.gradient is None else 30
        within(hunt, slopes, settings.budgets[-1], by.rng, steps=steps, progress=by.part(0.2, 0.3))
        within(hunt, slopes, settings.declared, by.rng, steps=steps, progress=by.part(0.3, 0.4))
        _if_none_start(hunt, by)
        trim(hunt, by.rng, rounds=1, progress=by.part(0.4, 0.5))
        evolve(hunt, by.rng, generations=20, population=24, radius=settings.declared,
               progress=by.part(0.5, 0.8))  # fmt: skip
        trim(hunt, by.rng, progress=by.part(0.8, 1))

    return _tested("evasion.constrained", _BLACK_BOX, case, settings, seed, attack, progress)


def _if_none_start(hunt: Hunt, by: Means) -> None:
    """Any wrong answer for rows without one; where the queries are spent, none."""
    try:
        start(hunt, by.rng, by.pool)
    except QueriesSpent:
        return


_BLACK_BOX = ("AML.T0043.001", "AML.T0015")
_WHITE_BOX = ("AML.T0043.000", "AML.T0015")
_TRANSFER = ("AML.T0043.002", "AML.T0005.001", "AML.T0015")


def _reason(test: str, atlas: tuple[str, ...], reason: str) -> Outcome:
    return Outcome(test, 3, atlas, reason=reason)


def _tested(
    test: str,
    atlas: tuple[str, ...],
    case: Case,
    settings: Settings,
    seed: int,
    attack: Attack,
    progress: Progress,
    *,
    within_of: float = WITHIN,
    is_shared: bool = False,
) -> Outcome:
    settings.check()
    rng = np.random.default_rng(seed)
    if case.target.classes < 2 and settings.tolerance is None:
        return _reason(test, atlas, "the model answers with numbers, and no tolerance is declared")
    drawn = chosen(case, settings, rng)
    if not len(drawn):
        return _reason(test, atlas, "no row is complete")
    attacked = _attacked(case, settings, drawn)
    budget = settings.queries * len(drawn)
    left = case.target.left
    target = attacked.target.again(budget=budget if left is None else min(left, budget))
    try:
        hunt = Hunt(target, attacked.space, attacked.rows, attacked.labels, settings.norm)
    except QueriesSpent:
        return _reason(test, atlas, "the budget does not reach to ask for every row once")
    if case.gradient is not None and not _slopes_are_of_the_model(attacked, hunt):
        if test == "evasion.gradient":
            return _reason(test, atlas, "the model does not answer as the inside it states does")
        attacked = replace(attacked, gradient=None)
    pool = attacked.held()
    attack(hunt, Means(attacked.gradient, pool, rng, part(progress, 0, 0.7)))
    canary = sung(
        attacked.space, pool, attacked.target.form, settings.norm, settings.queries,
        settings.canary_rows, rng,
        lambda own, slopes: attack(own, Means(slopes, pool, rng, part(progress, 0.7, 0.9))),
        within_of, is_shared=is_shared,
    )  # fmt: skip
    if canary is None:
        return _reason(test, atlas, "nothing in the space can change, or no change could matter")
    if case.target.classes < 2:
        hunt = together(hunt)
    outcome = reported(test, atlas, case, attacked, settings, drawn, hunt, canary, rng)
    progress(1.0)
    return outcome


def _attacked(case: Case, settings: Settings, drawn: Places) -> Case:
    """The drawn rows, of a model that answers with classes or is made to."""
    some = replace(case, rows=case.rows[drawn], labels=case.labels[drawn], pool=case.held())
    if case.target.classes >= 2 or settings.tolerance is None:
        return some
    made = as_classes(some, settings.tolerance)
    return replace(made, rows=on_both_sides(made.rows), labels=np.tile(made.labels, 2))


def _slopes_are_of_the_model(case: Case, hunt: Hunt) -> bool:
    """Whether the inside that slopes come from answers the rows as the model does."""
    assert case.gradient is not None  # noqa: S101 # asked only then
    with np.errstate(all="ignore"):
        leads, _ = case.gradient(hunt.origins, hunt.labels)
    is_alike = (leads > 0) == (hunt.distances > 0)
    if not np.isfinite(leads).all():
        return False
    clear = _CLEAR * max(1.0, float(np.median(np.abs(leads))))
    return bool(is_alike[np.abs(leads) > clear].all())
