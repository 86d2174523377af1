"""Tests of evasion for an assessment: each attacks rows and ends in an outcome.

All share one form: accuracy, robust accuracy at the declared budget and over a range of budgets,
the distance that half of the rows stand, what it cost, and random noise of the same length beside
it. A planted linear model, attacked in the same way, must be found within a tenth of its exact
distance, or the test is invalid.
"""

from collections.abc import Callable

import numpy as np

from strongroom.engines.robustness.evasion.cases import Case, Progress, Settings, chosen
from strongroom.engines.robustness.evasion.differences import estimated
from strongroom.engines.robustness.evasion.genetic import evolve
from strongroom.engines.robustness.evasion.gradients import Gradient
from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump, start
from strongroom.engines.robustness.evasion.hunt import Hunt
from strongroom.engines.robustness.evasion.probing import WITHIN, sung
from strongroom.engines.robustness.evasion.rays import rays
from strongroom.engines.robustness.evasion.reporting import reported
from strongroom.engines.robustness.evasion.square import square
from strongroom.engines.robustness.evasion.stepping import known, to_edge, within
from strongroom.engines.robustness.evasion.transfer import substitute, transfer
from strongroom.engines.robustness.evasion.trimming import trim
from strongroom.engines.robustness.outcome import Outcome
from strongroom.engines.robustness.target import QueriesSpent

Attack = Callable[[Hunt, Gradient | None, np.random.Generator], None]

_TRANSFER_WITHIN = 1.25
"""The canary of transfer: its slopes are fitted, not known; 1.25 is an angle of 37 degrees."""
_ESTIMATES = {"l2": 0.5, "linf": 0.25}
"""Of the queries, for HopSkipJump's estimates; the rest is for searching back, rays, undoing."""
_ROOTS = 22.5
"""Sum of the roots of 1 to 10: estimates of ten rounds in units of the first."""
_MOST_ANSWERS = 2_000
"""That a substitute is fitted to."""


def decision(case: Case, settings: Settings, seed: int, progress: Progress) -> Outcome:
    """By labels alone: HopSkipJump, in Linf rays, then what was not needed is undone."""
    share = _ESTIMATES[settings.norm]
    first = int(np.clip(settings.queries * share / _ROOTS, 5, 100))

    def attack(hunt: Hunt, _: Gradient | None, rng: np.random.Generator) -> None:
        hopskipjump(hunt, rng, pool=case.held(), jumps=Jumps(first=first))
        rays(hunt, rng, turns=settings.queries // 3)
        trim(hunt, rng)

    return _tested("evasion.decision", _BLACK_BOX, case, settings, seed, attack, progress)


def score(case: Case, settings: Settings, seed: int, progress: Progress) -> Outcome:
    """By scores: slopes by differences, random search in squares, undoing."""
    if case.target.form.shows == "labels":
        return _reason("evasion.score", _BLACK_BOX, "the endpoint shows labels only")

    def attack(hunt: Hunt, _: Gradient | None, rng: np.random.Generator) -> None:
        to_edge(hunt, estimated(hunt), steps=6)
        if_none_start(hunt, rng, case)
        square(hunt, settings.budgets[-1], rng, turns=150)
        trim(hunt, rng)
        to_edge(hunt, estimated(hunt), steps=4, restart=rng)

    return _tested("evasion.score", _BLACK_BOX, case, settings, seed, attack, progress)


def transferred(case: Case, settings: Settings, seed: int, progress: Progress) -> Outcome:
    """By a model of the attacker's own, fitted to the target's answers."""
    if not case.space.features or case.target.classes < 2:
        return _reason("evasion.transfer", _TRANSFER, "it answers with numbers, not with classes")

    def attack(hunt: Hunt, _: Gradient | None, rng: np.random.Generator) -> None:
        left = hunt.target.left
        share = _MOST_ANSWERS if left is None else min(_MOST_ANSWERS, left // 2)
        made = substitute(hunt.target, case.held(), rng, share)
        if made is not None:
            transfer(hunt, made, rng)

    return _tested("evasion.transfer", _TRANSFER, case, settings, seed, attack, progress,
                   within_of=_TRANSFER_WITHIN)  # fmt: skip


def gradient(case: Case, settings: Settings, seed: int, progress: Progress) -> Outcome:
    """By slopes of the model itself."""
    if case.gradient is None:
        return _reason(
            "evasion.gradient", _WHITE_BOX, "there are no slopes of this model to follow"
        )

    def attack(hunt: Hunt, slopes_of: Gradient | None, rng: np.random.Generator) -> None:
        if slopes_of is None:
            return
        slopes = known(hunt, slopes_of)
        to_edge(hunt, slopes)
        for radius in sorted({*settings.budgets, settings.declared}, reverse=True):
            within(hunt, slopes, radius, rng)
        to_edge(hunt, slopes, steps=10, restart=rng)

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

    def attack(hunt: Hunt, slopes_of: Gradient | None, rng: np.random.Generator) -> None:
        slopes = estimated(hunt) if slopes_of is None else known(hunt, slopes_of)
        to_edge(hunt, slopes, steps=4)
        for radius in (settings.budgets[-1], settings.declared):
            within(hunt, slopes, radius, rng, steps=10 if slopes_of is None else 30)
        if_none_start(hunt, rng, case)
        trim(hunt, rng, rounds=1)
        evolve(hunt, rng, generations=20, population=24, radius=settings.declared)
        trim(hunt, rng)

    return _tested("evasion.constrained", _BLACK_BOX, case, settings, seed, attack, progress)


def if_none_start(hunt: Hunt, rng: np.random.Generator, case: Case) -> None:
    """Any wrong answer for rows without one; where the queries are spent, none."""
    try:
        start(hunt, rng, case.held())
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
) -> Outcome:
    settings.check()
    rng = np.random.default_rng(seed)
    if case.target.classes < 2:
        return _reason(test, atlas, "the model answers with numbers: no answer is simply wrong")
    drawn = chosen(case, settings, rng)
    if not len(drawn):
        return _reason(test, atlas, "no row is complete")
    budget = settings.queries * len(drawn)
    left = case.target.left
    target = case.target.again(budget=budget if left is None else min(left, budget))
    try:
        hunt = Hunt(target, case.space, case.rows[drawn], case.labels[drawn], settings.norm)
    except QueriesSpent:
        return _reason(test, atlas, "the budget does not reach to ask for every row once")
    attack(hunt, case.gradient, rng)
    progress(0.7)
    canary = sung(case.space, case.held(), case.target.form, settings.norm, settings.queries,
                  settings.canary_rows, rng, lambda own, slopes: attack(own, slopes, rng),
                  within_of)  # fmt: skip
    progress(0.9)
    if canary is None:
        return _reason(test, atlas, "nothing in the space can change, or no change could matter")
    outcome = reported(test, atlas, case, settings, drawn, hunt, canary, rng)
    progress(1.0)
    return outcome
