"""Attribute inference: a feature of a person, guessed from all others with the model's help.

The adversary knows every other feature and the label, asks the model about each value that the
feature could have, and knows further people of the same kind. What counts is what the model adds:
a guess without it is often good, and no fault of the model (Jayaraman & Evans, "Are attribute
inference attacks just imputation?", 2022).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Rows, Scores, Target, Truth
from strongroom.errors import ValidationError

MOST_VALUES = 10
"""Guessed of a feature: a number with more is guessed by tenths of its rows, and of a category with
more the rare levels are never guessed."""
_TREES = 30
_POWERS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5)
_LEAST = 1e-4
"""Probability that a guess is never held to lie below."""


@dataclass(frozen=True, slots=True)
class Values:
    """What a feature can be guessed to be.

    Attributes:
        blocks: (values, coordinates of the feature).
        edges: of a number: values between two edges are one guess; empty for a category.
        guessed: of a category: level → its place among the guesses, -1 for a rare one.
    """

    place: slice
    blocks: Rows
    edges: NDArray[np.float64]
    guessed: Labels

    def of(self, rows: Rows) -> Labels:
        """Which of the values each row has; -1: one that is never guessed."""
        block = rows[:, self.place]
        if len(self.edges):
            return np.searchsorted(self.edges, block[:, 0], side="right").astype(np.int64)
        return np.asarray(self.guessed[block.argmax(axis=1)], dtype=np.int64)


def values_of(space: Space, feature: str, rows: Rows) -> Values:
    """The values to guess: the commonest levels, or medians between quantiles of the rows.

    Raises:
        ValidationError: the space has no such feature, or it has one value only.
    """
    place = space.places.get(feature)
    if place is None:
        raise ValidationError(f"the space has no feature `{feature[:100]}`")
    if next(one for one in space.features if one.name == feature).levels:
        counts = rows[:, place].sum(axis=0)
        common = np.argsort(-counts, kind="stable")[:MOST_VALUES]
        common = np.sort(common[counts[common] > 0])
        guessed = np.full(len(counts), -1, dtype=np.int64)
        guessed[common] = np.arange(len(common))
        made = Values(place, np.eye(len(counts))[common], np.empty(0), guessed)
    else:
        numbers = rows[:, place.start]
        edges = np.unique(numbers)[1:]
        if len(edges) >= MOST_VALUES:
            marks = np.linspace(0, 1, MOST_VALUES + 1)[1:-1]
            edges = np.unique(np.quantile(numbers, marks, method="inverted_cdf"))
            edges = edges[edges > numbers.min()]
        part = np.searchsorted(edges, numbers, side="right")
        medians = [np.median(numbers[part == one]) for one in np.unique(part)]
        nothing = np.empty(0, dtype=np.int64)
        made = Values(place, np.array(medians)[:, None], edges, nothing)
    if len(made.blocks) < 2:
        raise ValidationError(f"`{feature[:100]}` has one value only, so there is nothing to guess")
    return made


@dataclass(frozen=True, slots=True)
class Guesses:
    """Whether each guess was right.

    Attributes:
        without: (rows,) of the guess that knows the label and other people, not the model.
        helped: attacker → (rows,).
    """

    without: NDArray[np.bool_]
    helped: dict[str, NDArray[np.bool_]]

    def parts(self, first: int) -> "tuple[Guesses, Guesses]":
        """Those about the first rows, so many, and about all others."""
        kept = [
            Guesses(self.without[at], {name: right[at] for name, right in self.helped.items()})
            for at in (slice(0, first), slice(first, None))
        ]
        return kept[0], kept[1]


def guess(
    target: Target, values: Values, known: tuple[Rows, Truth], rows: Rows, truth: Truth, seed: int
) -> Guesses:
    """Guess the feature of rows.

    Two attackers: `bayes` weighs how likely a value is among others by how likely the model makes
    the label for it (Fredrikson et al., "Privacy in pharmacogenetics", 2014, section 4; Yeom et
    al., 2018, adversary 4); `learned` learns from people it knows what the model's answers say.

    Args:
        known: other people, with the feature and their labels.
        rows, truth: whose feature is guessed; what they hold of it is not looked at by the guesses.
    """
    known_values = values.of(known[0])
    common = known_values >= 0
    known, known_values = (known[0][common], known[1][common]), known_values[common]

    def learned(inputs: Rows, asked: Rows) -> NDArray[np.float64]:
        return _learned(inputs, known_values, asked, len(values.blocks), seed)

    is_true = values.of(rows)
    bare, asked = _without(known[0], values), _without(rows, values)
    labelled = np.column_stack([bare, _coded(known[1], target.classes)])
    asked_labelled = np.column_stack([asked, _coded(truth, target.classes)])
    about, told = _answers(target, values, known[0]), _answers(target, values, rows)
    without = learned(labelled, asked_labelled)
    bayes = learned(bare, asked) * _likelihood(told, truth)
    joined = learned(
        np.column_stack([labelled, about.reshape(len(about), -1)]),
        np.column_stack([asked_labelled, told.reshape(len(told), -1)]),
    )
    return Guesses(
        without.argmax(axis=1) == is_true,
        {"bayes": bayes.argmax(axis=1) == is_true, "learned": joined.argmax(axis=1) == is_true},
    )


def advantage(
    helped: NDArray[np.bool_], without: NDArray[np.bool_], confidence: float = 0.95
) -> tuple[float, float, float]:
    """How many more guesses are right, as a share, with bounds.

    The rows are the same, so what counts is where the two differ: Agresti & Min, "Simple improved
    confidence intervals for comparing matched proportions", 2005 (a half added to each cell).
    """
    count = len(helped)
    more, fewer = int((helped & ~without).sum()), int((~helped & without).sum())
    value = (more - fewer) / count
    more_half, fewer_half, total = more + 0.5, fewer + 0.5, count + 2.0
    middle = (more_half - fewer_half) / total
    spread = np.sqrt((more_half + fewer_half) / total - middle**2) / np.sqrt(total)
    reach = float(stats.norm.ppf((1 + confidence) / 2) * spread)
    return value, max(-1.0, middle - reach), min(1.0, middle + reach)


def _learned(
    inputs: Rows, known: Labels, asked: Rows, values: int, seed: int
) -> NDArray[np.float64]:
    """(rows, values): how likely each is, by a forest, made as unsure as its own errors are.

    A forest that has nothing to learn from is still sure of something; its probabilities are taken
    to the power that fits what its trees say of rows they did not see (temperature scaling: Guo et
    al., "On calibration of modern neural networks", 2017).
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        _TREES, min_samples_leaf=3, oob_score=True, n_jobs=1, random_state=seed
    ).fit(inputs, known)
    unseen = np.log(np.maximum(np.nan_to_num(forest.oob_decision_function_), _LEAST))
    right = np.searchsorted(forest.classes_, known)[:, None]

    def error(power: float) -> float:
        scaled = power * unseen
        top = np.log(np.exp(scaled).sum(axis=1))
        return float((top - np.take_along_axis(scaled, right, axis=1)[:, 0]).mean())

    power = min(_POWERS, key=error)
    made = np.full((len(asked), values), _LEAST)
    made[:, forest.classes_] = np.maximum(forest.predict_proba(asked), _LEAST) ** power
    return made


def _answers(target: Target, values: Values, rows: Rows) -> Scores:
    """(rows, values, classes): the model's answer with each value in place of the row's own."""
    tried = np.repeat(rows, len(values.blocks), axis=0)
    tried[:, values.place] = np.tile(values.blocks, (len(rows), 1))
    return target.scores(tried).reshape(len(rows), len(values.blocks), target.classes)


def _likelihood(told: Scores, truth: Truth) -> NDArray[np.float64]:
    """(rows, values): how likely the model makes what is true."""
    if told.shape[2] == 1:
        squares = (told[:, :, 0] - truth[:, None]) ** 2
        spread = float(np.median(squares)) or 1.0
        return np.asarray(np.exp(-squares / (2 * spread)) + _LEAST)
    places = truth.astype(np.int64)[:, None, None]
    return np.maximum(np.take_along_axis(told, places, axis=2)[:, :, 0], _LEAST)


def _without(rows: Rows, values: Values) -> Rows:
    keep = np.ones(rows.shape[1], dtype=bool)
    keep[values.place] = False
    return rows[:, keep]


def _coded(truth: Truth, classes: int) -> NDArray[Any]:
    return truth[:, None] if classes == 1 else np.eye(classes)[truth.astype(np.int64)]
