"""Audits of the trainers as they are installed here, on made-up rows: no data is touched or paid.

What is audited is the code that trains, with the libraries under it, at the epsilon that is asked
for. `additive` and `network` are audited in one training with many canaries. `boosting` puts rare
categories together, and would hide canaries behind each other: it is trained many times on a few
rows, with one canary or none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.training import sgd
from strongroom.engines.privacy.dp.training.additive import train_additive
from strongroom.engines.privacy.dp.training.auditing import Audit, audit, audit_by_repeating
from strongroom.engines.privacy.dp.training.coding import TARGET_UNIT, Coded
from strongroom.engines.privacy.dp.training.domain import Category, Choice, Domain
from strongroom.engines.privacy.dp.training.explainable import train_explainable
from strongroom.engines.privacy.dp.training.network import NetworkModel
from strongroom.engines.privacy.dp.training.running import Method

_DOMAIN = Domain((Category("group", ("a", "b")),), Choice("answer", ("no", "yes")))
"""One column beside the canaries' own: the less else a row changes, the more an audit sees."""
_FEW = 6
"""Rows beside the canary where one is trained at a time."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done; the more, the smaller the leaks that are seen.

    Attributes:
        rows: made up, among which canaries hide.
        canaries: in one training, a multiple of 4.
        trials: trainings with one canary or none, a multiple of 4.
        steps: of the network; None: those that it is trained by.
    """

    rows: int = 300
    canaries: int = 2_000
    trials: int = 200
    steps: sgd.Steps | None = None


def audit_trainer(
    method: Method, epsilon: float, delta: float,
    *, coins: np.random.Generator, effort: Effort | None = None, confidence: float = 0.999,
) -> Audit:  # fmt: skip
    """A lower bound on what a trainer tells of one row, beside the epsilon that it claims.

    Args:
        coins: tossed for who takes part, and for the made-up rows.
        confidence: that the bound holds; an honest trainer is refuted with the chance of the rest.

    Raises: ValidationError, MissingExtraError.
    """
    effort = effort or Effort()
    if method is Method.BOOSTING:
        return audit_by_repeating(
            lambda is_there: _boosted(epsilon, delta, is_there=is_there), epsilon, delta,
            trials=effort.trials, coins=coins, confidence=confidence,
        )  # fmt: skip

    def train(coded: Coded, domain: Domain) -> NDArray[np.float64]:
        if method is Method.ADDITIVE:
            model = train_additive(coded, domain, epsilon, delta).model
            return np.array(model.terms[-1].scores[:-1])
        network = sgd.train_network(coded, domain, epsilon, delta, steps=effort.steps).model
        return _effects(network)

    return audit(
        train, _made_up(effort.rows, coins), _DOMAIN, epsilon, delta,
        canaries=effort.canaries, coins=coins, confidence=confidence,
    )  # fmt: skip


def _made_up(rows: int, coins: np.random.Generator) -> Coded:
    """Rows of which column and target are the toss of a coin."""
    group = coins.integers(0, 2, rows).astype(np.int32)
    return Coded((group,), (3,), coins.integers(0, 2, rows) * TARGET_UNIT)


def _boosted(epsilon: float, delta: float, *, is_there: bool) -> float:
    """The score of a row that alone has its category, after a training with or without it."""
    others = np.full(_FEW, 1, np.int32)
    target = (np.arange(_FEW) % 2) * TARGET_UNIT
    if is_there:
        others, target = np.append(others, np.int32(0)), np.append(target, TARGET_UNIT)
    model = train_explainable(Coded((others,), (3,), target), _DOMAIN, epsilon, delta).model
    return model.terms[0].scores[0]


def _effects(model: NetworkModel) -> NDArray[np.float64]:
    """What the category of each canary adds to the score of a row that is otherwise unknown."""
    hidden = model.bias + np.sum([term.weights[-1] for term in model.terms[:-1]], axis=0)
    own = model.terms[-1].weights
    scores = np.maximum(hidden + own, 0) @ model.last
    return np.asarray(scores[:-1] - scores[-1])
