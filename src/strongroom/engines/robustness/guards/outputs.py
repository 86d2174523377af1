"""What an answer tells, and what saying less costs.

Rounding and leaving out are functions of the answer: asking again tells nothing new. Noise that is
drawn anew averages out, and noise fixed by the row is only another rounding, so there is none here.
Rounding can make the likeliest class a tie and so change the label that a reader takes from the
numbers; `labelled` keeps it.
"""

import math
from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.target import Labels, OutputForm, Scores
from strongroom.errors import ValidationError

_DOUBLE_BITS = 52
"""Of a probability that is not rounded: its fraction."""
_BINS = 15
"""Of the calibration error (Guo et al., "On calibration of modern neural networks", 2017)."""

FORMS: tuple[tuple[str, OutputForm], ...] = (
    ("whole", OutputForm()),
    ("4 decimals", OutputForm(decimals=4)),
    ("2 decimals", OutputForm(decimals=2)),
    ("1 decimal", OutputForm(decimals=1)),
    ("top 1, 2 decimals", OutputForm(top=1, decimals=2)),
    ("labels", OutputForm(shows="labels")),
)
"""From what tells most to what tells least."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a form of answers costs those who use them.

    Attributes:
        bits: most that one answer can tell.
        accuracy: of the label that the answer shows.
        brier: mean squared error of the probabilities, summed over classes, in [0, 2].
        calibration_error: expected, over 15 bins of the largest probability.
        unlike: share of rows whose label is another than before; 0 with `labelled`.
    """

    form: str
    bits: float
    accuracy: float
    brier: float
    calibration_error: float
    unlike: float


def labelled(form: OutputForm, scores: Scores) -> Scores:
    """Answers in a form, in which the likeliest class stays the first of the largest."""
    return form.labelled(scores)


def bits_per_answer(form: OutputForm, classes: int) -> float:
    """The most that one answer can tell: the logarithm of how many answers there are, base 2.

    For probabilities to d decimals: ways to share 10^d steps among the classes that are shown,
    and which those are; rounding each for itself adds or loses a step now and then, which is left
    out.
    """
    if classes < 2:
        return _DOUBLE_BITS if form.decimals is None else math.log2(10**form.decimals + 1)
    if form.shows == "labels":
        return math.log2(classes)
    shown = min(form.top or classes, classes)
    which = math.log2(math.comb(classes, shown))
    free = shown - 1 if shown == classes else shown
    if form.decimals is None:
        return which + _DOUBLE_BITS * free
    steps = 10**form.decimals
    return which + math.log2(math.comb(steps + free, free))


def price(name: str, form: OutputForm, scores: Scores, labels: Labels) -> Price:
    """What a form costs, on rows whose true labels are known.

    Args:
        scores: (rows, classes), whole.
    Raises: ValidationError: no rows, or other labels than rows.
    """
    if len(scores) == 0 or labels.shape != (len(scores),):
        raise ValidationError("the price of a form is taken from rows with labels")
    shown = labelled(form, scores)
    truth = np.zeros_like(scores)
    truth[np.arange(len(labels)), labels] = 1.0
    answered = shown.argmax(axis=1)
    right = answered == labels
    top = np.clip(shown.max(axis=1), 0.0, 1.0)
    bins = np.minimum((top * _BINS).astype(np.int64), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    gaps = np.abs(np.bincount(bins, right, _BINS) - np.bincount(bins, top, _BINS))
    return Price(
        name,
        bits_per_answer(form, scores.shape[1]),
        float(right.mean()),
        float(((shown - truth) ** 2).sum(axis=1).mean()),
        float(gaps.sum() / counts.sum()),
        float((answered != scores.argmax(axis=1)).mean()),
    )
