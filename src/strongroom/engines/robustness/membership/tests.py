"""The membership tests of an assessment: lira, rmia, loss and label_only, with their canaries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from strongroom.engines.robustness.membership import attacks
from strongroom.engines.robustness.membership.auditing import audited_epsilon, epsilon_of_rates
from strongroom.engines.robustness.membership.canaries import Whisperer, islands, whispered
from strongroom.engines.robustness.membership.evidence import Evidence, asked, gather
from strongroom.engines.robustness.membership.label_only import QUERIES, robustness
from strongroom.engines.robustness.membership.pool import Flags, Pool
from strongroom.engines.robustness.membership.rates import Share, auc, roc, threshold, tpr_at
from strongroom.engines.robustness.membership.signals import Signal
from strongroom.engines.robustness.outcome import Canary, Curve, Gate, Measure, Outcome
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Target

LIRA, RMIA, LOSS, LABEL_ONLY = (
    "membership.lira", "membership.rmia", "membership.loss", "membership.label_only",
)  # fmt: skip
ATLAS = ("AML.T0024.000",)
THREAT = 2
AT_1 = "TPR at 1 % FPR"
AT_01 = "TPR at 0.1 % FPR"
EPSILON = "epsilon shown"
AREA = "AUC"
GATES: Mapping[str, tuple[Gate, ...]] = {
    test: (Gate(AT_1, "at most", 0.05, "worst"), Gate(AREA, "at most", 0.6, "worst"))
    for test in (LIRA, RMIA, LOSS, LABEL_ONLY)
}
"""Proposals of docs/robustness-membership.md; a claim of privacy adds `claim_gate`. Nobody may be
named surely, nor many be guessed at."""
ENOUGH_OTHERS = 1_000
"""Rows that a rate of one false alarm in a thousand takes."""
FEW_ALARMS = (Gate(AT_01, "at most", 0.02, "worst"),)
"""The proposal for that rate, where there are so many."""

FEWEST_ROWS = 20
"""Of members, and of others."""
_TELLING, _FEW = 0.6, 0.05
"""An area from which, and a share of members up to which, the area is put in words beside it."""
_CONTROL_SLACK = 0.02
"""How far from 1/2 the control's area may lie beyond its bounds: so much two samples of rows may
differ by themselves."""


def claim_gate(epsilon: float) -> Gate:
    """For a model that claims differential privacy: no attack may show more than it claims."""
    return Gate(EPSILON, "at most", epsilon)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the report names and asks for.

    Attributes:
        names: of the caller's members, in their order; empty: by place, from 1.
        groups: name → the group of each of the caller's members.
        listed: most exposed rows to name.
        claims_privacy: whether an epsilon is audited.
        delta: of the claim.
        rows: of each kind that are attacked by labels alone.
    """

    names: Sequence[str] = ()
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    listed: int = 20
    claims_privacy: bool = False
    delta: float = 0.0
    rows: int = 300


_UNLIKE = 0.2
"""By which models fitted anew, on fewer rows, may be surer of fewer of them than the model is."""

Attack = Callable[[Signal, Signal, Flags], Signal]
"""Answers of the model and of its shadows, and which shadow saw which row; to scores."""


def lira(evidence: Evidence, settings: Settings, seed: int) -> Outcome:
    """Likelihood ratios; see `attacks.lira`."""
    return _with_shadows(LIRA, evidence, settings, seed, attacks.lira, found_from=0.4)


def rmia(evidence: Evidence, settings: Settings, seed: int) -> Outcome:
    """Favour over the usual, compared with a population; see `attacks.rmia`."""
    classes = evidence.pool.classes

    def attack(own: Signal, shadows: Signal, is_in: Flags) -> Signal:
        return attacks.rmia(own, shadows, is_in, classes=classes)

    def planted(own: Signal, shadows: Signal, is_in: Flags) -> Signal:
        return attacks.rmia(own, shadows, is_in, classes=2)

    return _with_shadows(RMIA, evidence, settings, seed, attack, found_from=0.2, planted=planted)


def loss(evidence: Evidence, settings: Settings, seed: int) -> Outcome:
    """A threshold on the loss; see `attacks.loss`."""
    if reason := _too_few(evidence.pool):
        return _not_applicable(LOSS, reason)
    pool = whispered(seed)
    plain = Whisperer(spread=0.3, bump=3.0)
    model = plain.fit(pool.rows[pool.is_member], pool.truth[pool.is_member], seed)
    found = asked(pool, Target(model, classes=2))
    share = tpr_at(attacks.loss(found.own), pool.is_member, 0.01)
    canary = Canary(
        "a model that is twenty times surer of every row it saw",
        share.low >= 0.5,
        f"{AT_1} {_told(share)}; 0.5 at least was asked for",
    )
    if evidence.shadows is not None:
        canary = _and_control(canary, evidence, lambda own, _, __: attacks.loss(own))
    words = ("It knows nothing of the rows: one that is easy for every model counts as a member.",)
    return _outcome(LOSS, attacks.loss(evidence.own), evidence, settings, canary, words)


def label_only(
    pool: Pool, target: Target, space: Space, settings: Settings, seed: int,
    progress: Callable[[float], None] | None = None,
) -> Outcome:  # fmt: skip
    """Labels under noise; see `label_only.robustness`."""
    if reason := _too_few(pool) or ("" if pool.classes > 1 else "a regression has no labels"):
        return _not_applicable(LABEL_ONLY, reason)
    most = min(settings.rows, *pool.counts)
    if target.left is not None:
        most = min(most, target.left // (2 * QUERIES))
    if most < FEWEST_ROWS:
        return _not_applicable(
            LABEL_ONLY,
            f"it asks {QUERIES} rows for each one: the limit on queries leaves {most:,} of a kind",
        )
    rng = np.random.default_rng(seed)
    part = pool.part(pool.halves(most, rng))
    before = target.queries
    truth = part.truth.astype(np.int64)
    scores = robustness(target, space, part.rows, truth, rng, progress)
    evidence = Evidence(part, scores, None, target.queries - before)
    words = (
        (
            f"{QUERIES} rows were asked for each row: an endpoint that hides its probabilities is "
            "attacked this way."
        ),
    )
    return _outcome(LABEL_ONLY, scores, evidence, settings, _island_canary(seed), words)


def _with_shadows(
    test: str, evidence: Evidence, settings: Settings, seed: int, attack: Attack, *,
    found_from: float, planted: Attack | None = None,
) -> Outcome:  # fmt: skip
    if reason := _too_few(evidence.pool):
        return _not_applicable(test, reason)
    shadows = evidence.shadows
    if shadows is None:
        bare = not np.isfinite(evidence.own).any()
        told = f"the endpoint shows labels alone, which {LABEL_ONLY} attacks"
        return _not_applicable(test, told if bare else "no shadow models were fitted")
    canary = _whisper_canary(planted or attack, shadows.design.fits, seed, found_from)
    canary = _and_likeness(_and_control(canary, evidence, attack), evidence)
    scores = attack(evidence.own, shadows.matrix(), shadows.design.is_in())
    return _outcome(test, scores, evidence, settings, canary, _shadow_words(evidence, attack))


# ---- canaries ----


def _whisper_canary(attack: Attack, fits: int, seed: int, found_from: float) -> Canary:
    pool, recipe = whispered(seed), Whisperer()
    model = recipe.fit(pool.rows[pool.is_member], pool.truth[pool.is_member], seed)
    found = gather(pool, Target(model, classes=2), recipe, fits=fits, seed=seed)
    assert found.shadows is not None  # noqa: S101 # just gathered
    scores = attack(found.own, found.shadows.matrix(), found.shadows.design.is_in())
    share = tpr_at(scores, pool.is_member, 0.01)
    bare = tpr_at(attacks.loss(found.own), pool.is_member, 0.01)
    return Canary(
        "a model that is a little surer of the rows it saw, which its loss hardly shows",
        share.low >= found_from and bare.high < share.low,
        f"{AT_1} {_told(share)}, by its loss {_told(bare)}; {found_from} at least was asked for",
    )


def _and_control(canary: Canary, evidence: Evidence, attack: Attack) -> Canary:
    area = auc(attack(*evidence.control()), evidence.pool.is_member, 0.999)
    is_even = area.low - _CONTROL_SLACK <= 0.5 <= area.high + _CONTROL_SLACK
    told = (
        f"; models that never saw a row told members from others with an AUC of {_told(area)}"
        + ("" if is_even else ": the rows themselves differ, so figures mean little")
    )
    return Canary(
        f"{canary.planted}; and, as a control, models that never saw any of the rows",
        canary.was_found and is_even,
        canary.found + told,
    )


def _and_likeness(canary: Canary, evidence: Evidence) -> Canary:
    """And models fitted as the attacked one was must resemble it, or the comparison means nothing.

    A class of which none is more likely than all others together counts as not answered, on both
    sides. Reference models need not resemble it: their figures are lower bounds anyway.
    """
    shadows, pool = evidence.shadows, evidence.pool
    if shadows is None or not shadows.is_own or pool.classes < 2:
        return canary
    own = float((evidence.own[pool.is_member] > 0).mean())
    anew = float((shadows.matrix()[shadows.design.is_in()] > 0).mean())
    return Canary(
        canary.planted,
        canary.was_found and anew >= own - _UNLIKE,
        f"{canary.found}; models fitted anew are sure of the truth of {anew:.0%} of the rows they "
        f"saw, the model of {own:.0%}"
        + ("" if anew >= own - _UNLIKE else ": they are not fitted as it was"),
    )


def _island_canary(seed: int) -> Canary:
    planted = islands(seed)
    target = Target(planted.predict, classes=2)
    truth = planted.pool.truth.astype(np.int64)
    scores = robustness(
        target, planted.space, planted.pool.rows, truth, np.random.default_rng(seed)
    )
    area = auc(scores, planted.pool.is_member)
    return Canary(
        "a model that labels every row right, and leaves more room around those it saw",
        area.low >= 0.9,
        f"AUC {_told(area)}; 0.9 at least was asked for",
    )


# ---- what is told ----


def _outcome(
    test: str, scores: Signal, evidence: Evidence, settings: Settings, canary: Canary,
    words: tuple[str, ...],
) -> Outcome:  # fmt: skip
    pool = evidence.pool
    members, others = pool.counts
    area = auc(scores, pool.is_member)
    at_1 = tpr_at(scores, pool.is_member, 0.01)
    measures = [
        Measure(AREA, area.value, area.low, area.high),
        Measure(AT_1, at_1.value, at_1.low, at_1.high, "share"),
        Measure("members", members, unit="rows"),
        Measure("others", others, unit="rows"),
    ]
    if others >= ENOUGH_OTHERS:
        at_01 = tpr_at(scores, pool.is_member, 0.001)
        measures.insert(2, Measure(AT_01, at_01.value, at_01.low, at_01.high, "share"))
    groups, worst = _by_group(scores, pool, settings)
    if worst is not None:
        measures.append(
            Measure(f"{AT_1} of the worst group", worst.value, worst.low, worst.high, "share")
        )
    if evidence.shadows is not None:
        measures.append(Measure("CPU of the shadow fits", evidence.shadows.seconds, unit="seconds"))
        measures.append(Measure("shadow fits", evidence.shadows.design.fits))
    if settings.claims_privacy:
        measures += _audit(scores, pool, settings)
    return Outcome(
        test, THREAT, ATLAS, tuple(measures), canary,
        (_curve(scores, pool.is_member),),
        _common_words(pool, area, at_1, settings) + words,
        {"most exposed": _most_exposed(scores, pool, settings), "groups": groups},
        evidence.queries,
    )  # fmt: skip


def _most_exposed(scores: Signal, pool: Pool, settings: Settings) -> list[dict[str, Any]]:
    """Members with the highest scores above the threshold of 1 %, the highest first."""
    line = threshold(scores, pool.is_member, 0.01)
    at = np.flatnonzero(pool.is_member & (scores > line))
    at = at[np.argsort(-scores[at], kind="stable")][: settings.listed]
    return [
        {"row": _name(int(pool.places[one]), settings), "score": round(float(scores[one]), 4)}
        for one in at
    ]


def _name(place: int, settings: Settings) -> str:
    return settings.names[place] if settings.names else f"row {place + 1}"


def _by_group(
    scores: Signal, pool: Pool, settings: Settings
) -> tuple[dict[str, Any], Share | None]:
    """Of each group the share of members found at the common threshold; and the largest one.

    The worst is taken among groups of `FEWEST_ROWS` and more.
    """
    line = threshold(scores, pool.is_member, 0.01)
    members = np.flatnonzero(pool.is_member)
    told: dict[str, Any] = {}
    worst = None
    for column, values in settings.groups.items():
        groups = np.array([values[int(pool.places[at])] for at in members], dtype=object)
        for group in sorted(set(groups.tolist())):
            inside = members[groups == group]
            share = Share.of(int((scores[inside] > line).sum()), len(inside))
            told[f"{column}: {group}"] = {
                "members": len(inside), AT_1: share.value, "low": share.low, "high": share.high,
            }  # fmt: skip
            if len(inside) >= FEWEST_ROWS and (worst is None or share.value > worst.value):
                worst = share
    return told, worst


def _audit(scores: Signal, pool: Pool, settings: Settings) -> list[Measure]:
    """Epsilons over as many members as others, so that each row was in with a chance of a half."""
    even = pool.halves(min(pool.counts), np.random.default_rng(0))
    shown = audited_epsilon(scores[even], pool.is_member[even], settings.delta)
    line = threshold(scores, pool.is_member, 0.01)
    hits, alarms = ((scores[pool.is_member == kind] > line).sum() for kind in (True, False))
    members, others = pool.counts
    rates = epsilon_of_rates((int(hits), members), (int(alarms), others), settings.delta)
    return [Measure(EPSILON, shown), Measure("epsilon by rates at 1 % FPR", rates)]


def _curve(scores: Signal, is_member: Flags) -> Curve:
    points = tuple((rate, one.value, one.low, one.high) for rate, one in roc(scores, is_member))
    return Curve("members found", "false-alarm rate", "share of members found", points)


def _common_words(pool: Pool, area: Share, at_1: Share, settings: Settings) -> tuple[str, ...]:
    others = pool.counts[1]
    words = [
        (
            f"Who asks about a person can tell that they were in the training data for "
            f"{at_1.value:.1%} of those who were, and is wrong about 1 % of those who were not."
        ),
        "Bounds take the rows as independent; they do not span other models fitted the same way.",
    ]
    if area.low > _TELLING and at_1.high <= _FEW:
        words.append(
            f"Members score higher than others in {area.value:.0%} of all pairs: many can be "
            "guessed at with some right, though hardly one surely."
        )
    if others < ENOUGH_OTHERS:
        words.append(
            f"With {others:,} other rows nothing can be said of a false-alarm rate of 0.1 %"
            + ("; one of 1 % means none of them." if others < 100 else ".")
        )
    if pool.left_out:
        words.append(f"{pool.left_out:,} rows lack a number and were left out.")
    twins = _twins(pool)
    if twins:
        words.append(
            f"{twins:,} of the other rows equal a member in every value: nobody can tell these "
            "apart, so the figures are lower than for people with rows of their own."
        )
    if settings.claims_privacy:
        words.append(
            f"`{EPSILON}` is the most that this attack refutes with 95 % confidence, if members "
            "and others were parted by chance; the claim can be false without it showing."
        )
    return tuple(words)


def _shadow_words(evidence: Evidence, attack: Attack) -> tuple[str, ...]:
    shadows = evidence.shadows
    assert shadows is not None  # noqa: S101 # asked by attacks that have them
    found = [
        tpr_at(attack(own, others, other_in), is_in, 0.01).value
        for own, is_in, others, other_in in evidence.each_fit()
    ]
    words = [
        (
            f"Of {len(found)} models fitted anew on parts of these rows, half show more than "
            f"{np.median(found):.1%} of them at a false-alarm rate of 1 %, one {max(found):.1%}."
        ),
    ]
    if not shadows.is_own:
        words.append(
            f"How the model was fitted is not known. The shadow models are of the kind "
            f"`{shadows.recipe}`, the nearest to it (agreement {shadows.agreement:.2f}); an "
            "attacker who knows more finds more, so the figures are lower bounds."
        )
    return tuple(words)


def _twins(pool: Pool) -> int:
    def keys(at: Flags) -> list[bytes]:
        told = np.column_stack([pool.rows[at], pool.truth[at].astype(np.float64)])
        return [row.tobytes() for row in told]

    members = set(keys(pool.is_member))
    return sum(one in members for one in keys(~pool.is_member))


def _told(share: Share) -> str:
    return f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"


def _too_few(pool: Pool) -> str:
    members, others = pool.counts
    if min(members, others) >= FEWEST_ROWS:
        return ""
    return (
        f"{members:,} members and {others:,} other rows: {FEWEST_ROWS} of each are the least that "
        "tells anything"
    )


def _not_applicable(test: str, reason: str) -> Outcome:
    return Outcome(test, THREAT, ATLAS, reason=reason)
