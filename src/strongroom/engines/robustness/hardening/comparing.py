"""Before and after: what a way of hardening gains, and what it costs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump
from strongroom.engines.robustness.evasion.hunt import Hunt
from strongroom.engines.robustness.evasion.trimming import trim
from strongroom.engines.robustness.guards.outputs import labelled
from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.outcome import Measure
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, OutputForm, Predict, Rows, Scores, Target
from strongroom.errors import ValidationError

Audit = Callable[[Predict], Measure]
"""Something measured of a model; asked of both in the same way."""
ACCURACY = "accuracy"
JUMPS = Jumps(rounds=6, first=50)
"""Of the attack on both sides: some 1,000 queries a row."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models.

    Attributes:
        measures: accuracy first, then the audits in their order.
    """

    name: str
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The model as it was, and hardened.

    Attributes:
        gain: accuracy after less before, on the same rows, with 95 % bounds.
        says: one sentence for a person who has to choose.
    """

    before: Side
    after: Side
    gain: Measure
    says: str


def compare(
    before: tuple[str, Predict], after: tuple[str, Predict], rows: Rows, labels: Labels,
    audits: Mapping[str, Audit] | None = None,
) -> Comparison:  # fmt: skip
    """Both models on rows that neither saw.

    Args:
        before, after: a name for the report, and the model.
        audits: name → what is measured besides accuracy.
    Raises: ValidationError: no rows.
    """
    if len(rows) == 0 or labels.shape != (len(rows),):
        raise ValidationError("models are compared on rows with labels that neither saw")
    right = [model(rows).argmax(axis=1) == labels for _, model in (before, after)]
    sides = [
        Side(name, (_share(ACCURACY, own), *(audit(model) for audit in (audits or {}).values())))
        for (name, model), own in zip((before, after), right, strict=True)
    ]
    gain = paired_gain(right[0], right[1])
    return Comparison(sides[0], sides[1], gain, _says(sides[0], sides[1], gain))


def paired_gain(
    before: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
    after: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
) -> Measure:
    """By how much a share grew on the same rows, with 95 % bounds.

    Source: Agresti & Min, "Simple improved confidence intervals for comparing matched proportions",
    2005: half a row is added to each of the four cells.
    """
    count = len(before) + 2.0
    won, lost = float((after & ~before).sum()) + 0.5, float((before & ~after).sum()) + 0.5
    centre = (won - lost) / count
    spread = np.sqrt(won + lost - (won - lost) ** 2 / count) / count
    reach = float(stats.norm.ppf(0.975)) * float(spread)
    value = float(after.mean() - before.mean())
    return Measure("gain of accuracy", value, max(-1.0, centre - reach), min(1.0, centre + reach))


def robust_accuracy(
    space: Space, rows: Rows, labels: Labels, radius: float, *, seed: int,
    jumps: Jumps = JUMPS, pool: Rows | None = None,
) -> Audit:  # fmt: skip
    """An audit: the share of rows that stay right against an attack within a radius (L2)."""

    def audit(model: Predict) -> Measure:
        classes = model(rows[:1]).shape[1]
        hunt = Hunt(Target(model, classes=classes), space, rows, labels)
        rng = np.random.default_rng(seed)
        hopskipjump(hunt, rng, pool=rows if pool is None else pool, jumps=jumps)
        trim(hunt, rng, rounds=1)
        return _share(f"robust accuracy within {radius:g}", hunt.distances > radius)

    return audit


def told_by_loss(
    members: tuple[Rows, Labels], others: tuple[Rows, Labels], *, at: float = 0.01
) -> Audit:
    """An audit: TPR of the loss threshold (Yeom et al. 2018) at a rate of false alarms.

    It is the weakest membership attack; where time allows, give `compare` the ones of the room
    `membership` instead.
    """

    def losses(model: Predict, rows: Rows, labels: Labels) -> Scores:
        own = model(rows)[np.arange(len(rows)), labels]
        return np.asarray(-np.log(np.clip(own, 1e-12, 1.0)))

    def audit(model: Predict) -> Measure:
        outside = np.sort(losses(model, *others))
        level = outside[max(0, int(np.floor(at * len(outside))) - 1)]
        hits = losses(model, *members) < level
        return _share(f"membership TPR at {at:.0%} FPR, by loss", hits)

    return audit


def saying_less(predict: Predict, form: OutputForm) -> Predict:
    """The model behind a form of answers, in which labels stay as they were."""

    def answer(rows: Rows) -> Scores:
        return labelled(form, predict(rows))

    return answer


def _share(name: str, hits: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Measure:
    low, high = clopper_pearson(int(hits.sum()), len(hits))
    return Measure(name, float(hits.mean()) if len(hits) else 0.0, low, high, "share")


def _says(before: Side, after: Side, gain: Measure) -> str:
    low, high = gain.low or 0.0, gain.high or 0.0
    cost = (
        f"accuracy rises by {gain.value:.1%}" if low > 0
        else f"accuracy falls by {-gain.value:.1%}" if high < 0
        else f"no change of accuracy can be told ({gain.value:+.1%}, {low:+.1%} to {high:+.1%})"
    )  # fmt: skip
    told = [
        f"{old.name} goes from {old.value:.3f} to {new.value:.3f}"
        + ("" if _are_apart(old, new) else ", which may be chance")
        for old, new in zip(before.measures[1:], after.measures[1:], strict=True)
    ]
    return "; ".join([cost, *told])


def _are_apart(first: Measure, second: Measure) -> bool:
    if None in (first.low, first.high, second.low, second.high):
        return True
    return (first.low or 0.0) > (second.high or 0.0) or (second.low or 0.0) > (first.high or 0.0)
