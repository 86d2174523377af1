"""The test of what can be proved: distances below which no attack can get."""

from dataclasses import replace

import numpy as np

from strongroom.engines.robustness.evasion import linear
from strongroom.engines.robustness.evasion.cases import Case, Progress, Settings, chosen, part
from strongroom.engines.robustness.evasion.certifying import Certified, certify
from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump
from strongroom.engines.robustness.evasion.hunt import Hunt, Numbers, Places
from strongroom.engines.robustness.evasion.numbers import as_classes, on_both_sides, together
from strongroom.engines.robustness.evasion.probing import by_cells, planted_trees
from strongroom.engines.robustness.evasion.reporting import nearest, robust_curve, share
from strongroom.engines.robustness.evasion.trees import Trees
from strongroom.engines.robustness.evasion.trimming import trim
from strongroom.engines.robustness.outcome import Canary, Measure, Outcome
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import QueriesSpent, Rows, Target

_TEST, _ATLAS = "evasion.certified", ("AML.T0043.000", "AML.T0015")
_SETS = 1 << 12
"""Of leaves that a group may hold: some 0.1 s a row (docs/robustness-evasion.md)."""
_LOOKED_AT = 3
"""Coordinates of the planted trees, few enough to go through all cells."""
_CLOSE = 1e-5
_SAME_NUMBER = 1e-3


def certified(
    case: Case,
    inside: Trees | tuple[Rows, Numbers] | None,
    settings: Settings,
    seed: int,
    progress: Progress,
) -> Outcome:
    """Distances by proof, for trees and linear models; by attack from the other side.

    Args:
        inside: the model's trees, or the weights (classes, width) and biases of a linear one; None:
            not known.
    """
    settings.check()
    rng = np.random.default_rng(seed)
    is_number = case.target.classes < 2
    if is_number and settings.tolerance is None:
        return _reason("the model answers with numbers, and no tolerance is declared")
    if inside is None or (is_number and isinstance(inside, Trees)):
        return _reason("distances are proved for trees that answer with classes, and linear models")
    drawn = chosen(case, settings, rng)
    if not len(drawn):
        return _reason("no row is complete")
    some = replace(case, rows=case.rows[drawn], labels=case.labels[drawn], pool=case.held())
    if is_number and settings.tolerance is not None:
        some = as_classes(some, settings.tolerance)
        some = replace(some, rows=on_both_sides(some.rows), labels=np.tile(some.labels, 2))
    budget = settings.queries * len(drawn)
    left = case.target.left
    target = some.target.again(budget=budget if left is None else min(left, budget))
    try:
        hunt = Hunt(target, some.space, some.rows, some.labels, settings.norm)
    except QueriesSpent:
        return _reason("the budget does not reach to ask for every row once")
    if not (_same_numbers(inside, case, drawn, settings) if is_number
            else _answers_alike(inside, hunt)):  # fmt: skip
        return _reason("the model does not answer as the trees or weights given for it do")
    pool = some.held()
    hopskipjump(hunt, rng, pool=pool, jumps=Jumps(rounds=5), progress=part(progress, 0, 0.1))
    trim(hunt, rng, progress=part(progress, 0.1, 0.2))
    if is_number:
        proved = _proved_number(inside, hunt, case.space.width, settings)
        hunt = together(hunt)
    else:
        proved = _proved(inside, hunt, part(progress, 0.2, 0.9))
    attacked = hunt.distances.copy()
    canary = _planted(some.space, hunt, attacked, proved, rng)
    if canary is None:
        return _reason("nothing in the space can change")
    progress(1.0)
    return _told(settings, hunt, proved, drawn, canary, target.queries, is_number=is_number)


def _told(
    settings: Settings, hunt: Hunt, proved: Certified, drawn: Places, canary: Canary, queries: int,
    *, is_number: bool,
) -> Outcome:  # fmt: skip
    is_right = hunt.distances > 0
    low = np.where(is_right, proved.low, 0.0)
    measures = [] if is_number else [share("accuracy", is_right)]
    measures += [
        share("certified accuracy", low > settings.declared),
        share("exact distances", proved.is_exact[is_right]),
        Measure("queries a row", queries / len(drawn), unit="queries"),
    ]
    if is_right.any() and np.isfinite(middle := float(np.median(low[is_right]))):
        measures.append(Measure("median certified distance", middle, unit="share of range"))
    curves = (
        robust_curve("certified", settings.budgets, low),
        robust_curve("not broken by attack", settings.budgets, hunt.distances),
    )
    return Outcome(_TEST, 3, _ATLAS, tuple(measures), canary, curves, _words(settings, low, proved),
                   {"nearest rows": nearest(drawn, low)}, queries)  # fmt: skip


def _reason(reason: str) -> Outcome:
    return Outcome(_TEST, 3, _ATLAS, reason=reason)


def _answers_alike(inside: Trees | tuple[Rows, Numbers], hunt: Hunt) -> bool:
    """Whether what is certified is the model: by its answers to the rows, ties left out."""
    if isinstance(inside, Trees):
        if inside.used.max(initial=0) >= hunt.space.width:
            return False
        scores = inside.scores(hunt.origins)
    else:
        scores = hunt.origins @ inside[0].T + inside[1]
    if scores.shape[1] != hunt.target.classes:
        return False
    ordered = np.sort(scores, axis=1)
    is_clear = ordered[:, -1] - ordered[:, -2] > 1e-6
    is_right = scores.argmax(axis=1) == hunt.labels
    return bool((is_right == (hunt.distances > 0))[is_clear].all())


def _proved(inside: Trees | tuple[Rows, Numbers], hunt: Hunt, progress: Progress) -> Certified:
    if isinstance(inside, Trees):
        return certify(inside, hunt, most_sets=_SETS, progress=progress)
    points, low = linear.nearest(
        *inside, hunt.origins, hunt.labels, hunt.low, hunt.high, hunt.norm
    )  # fmt: skip
    return Certified(low, np.full(len(low), hunt.is_plain), points)


def _same_numbers(
    inside: Trees | tuple[Rows, Numbers], case: Case, drawn: Places, settings: Settings
) -> bool:
    """Whether weights give the numbers that the model answers, to a thousandth of the tolerance."""
    assert not isinstance(inside, Trees) and settings.tolerance is not None  # noqa: S101, PT018 # as `certified` looked
    weights, bias = inside[0][1] - inside[0][0], inside[1][1] - inside[1][0]
    answers = case.target.again().scores(case.rows[drawn])[:, 0]
    return bool((np.abs(case.rows[drawn] @ weights + bias - answers)
                 <= _SAME_NUMBER * settings.tolerance).all())  # fmt: skip


def _proved_number(
    inside: Trees | tuple[Rows, Numbers], hunt: Hunt, width: int, settings: Settings
) -> Certified:
    """The shorter of the ways to an answer above and below the tolerance, of each row."""
    assert not isinstance(inside, Trees) and settings.tolerance is not None  # noqa: S101, PT018 # as above
    weights, count = inside[0][1] - inside[0][0], len(hunt.origins) // 2
    sides = np.repeat([-1.0, 1.0], count)
    _, lengths = linear.shortest(
        np.full(2 * count, settings.tolerance), sides[:, None] * weights,
        hunt.origins[:, :width], hunt.low[:, :width], hunt.high[:, :width], hunt.norm,
    )  # fmt: skip
    low = np.minimum(lengths[:count], lengths[count:])
    return Certified(low, np.full(count, hunt.is_plain), hunt.origins[:count])


def _planted(
    space: Space, hunt: Hunt, attacked: Numbers, proved: Certified, rng: np.random.Generator
) -> Canary | None:
    """Random trees whose distances are known by going through all cells; and no attack below."""
    free = np.flatnonzero((hunt.high > hunt.low).all(axis=0))
    if not len(free):
        return None
    used = rng.permutation(free)[:_LOOKED_AT]
    trees = planted_trees(used, rng)
    origins = hunt.origins[:8]
    labels = np.asarray(trees.scores(origins).argmax(axis=1), dtype=np.int64)
    own = Hunt(Target(trees.scores, classes=2), space, origins, labels, hunt.norm)
    made = certify(trees, own)
    exact = np.array([
        by_cells(trees, own.origins[at], int(labels[at]), own.low[at], own.high[at], own.norm)
        for at in range(len(origins))
    ])  # fmt: skip
    same = (made.low == exact) | (np.abs(made.low - exact) <= _CLOSE)
    is_kept = bool((attacked >= proved.low - _CLOSE).all())
    return Canary(
        f"five random trees over {len(used)} coordinates, whose distances are known",
        bool(same.all()) and is_kept,
        f"{int(same.sum())} of {len(same)} distances are the known ones; attacks on the model "
        + ("found nothing below what was proved" if is_kept else "got below what was proved"),
    )


def _words(settings: Settings, low: Numbers, proved: Certified) -> tuple[str, ...]:
    stood = int((low > settings.declared).sum())
    first = (
        f"For {stood} of {len(low)} rows it is proved that no change up to {settings.declared:g} "
        f"({settings.norm}, shares of ranges) leads to a wrong answer."
    )
    words = [first]
    if not proved.is_exact.all():
        words.append(
            f"For {int((~proved.is_exact).sum())} rows the distance is a lower bound: the nearest "
            "wrong answer may be farther."
        )
    words.append(
        "The proof is of the model's arithmetic in exact numbers, and sees ranges and what is "
        "immutable, not categories, steps and relations: with those the true distance is longer."
    )
    return tuple(words)
