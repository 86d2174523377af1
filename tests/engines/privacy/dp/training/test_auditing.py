"""An audit passes an honest trainer and fails one that draws no noise."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta
from tests.engines.privacy.dp.training.people import TOWNS, people

from strongroom.engines.privacy.dp.training import additive
from strongroom.engines.privacy.dp.training.additive import Plan, train_additive
from strongroom.engines.privacy.dp.training.auditing import Audit, audit, lower_bound, p_value
from strongroom.engines.privacy.dp.training.coding import Coded, coded_table
from strongroom.engines.privacy.dp.training.domain import Category, Choice, Domain
from strongroom.errors import ValidationError

DELTA = 1e-6
# One column beside the canaries' own: the less else a row changes, the more an audit sees.
SMALL = Domain((Category("town", TOWNS),), Choice("rich", ("no", "yes")))
CODED = coded_table(people(300), SMALL)


def _audit(epsilon: float, seed: int) -> Audit:
    def train(coded: Coded, domain: Domain) -> NDArray[np.float64]:
        model = train_additive(coded, domain, epsilon, DELTA, plan=Plan(10, 1.0)).model
        return np.array(model.terms[-1].scores[:-1])

    return audit(
        train, CODED, SMALL, epsilon, DELTA,
        canaries=2_000, coins=np.random.default_rng(seed), confidence=0.999,
    )  # fmt: skip


def test_an_honest_trainer_is_not_refuted_and_the_audit_sees_something() -> None:
    found = _audit(8.0, 1)
    assert not found.refutes
    # A blind audit would be right in half of its guesses; this one sees that canaries matter.
    assert found.right > 0.55 * found.guesses


def test_a_trainer_without_noise_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additive, "gaussian", lambda *_: lambda values: values)
    found = _audit(1.0, 2)
    assert found.refutes
    assert found.right == found.guesses


@pytest.mark.parametrize(("guesses", "right"), [(100, 80), (500, 300), (40, 40)])
def test_without_delta_the_bound_is_that_of_clopper_and_pearson(guesses: int, right: int) -> None:
    risk = 0.05
    least = beta.ppf(risk, right, guesses - right + 1)
    expected = np.log(least / (1 - least))
    assert lower_bound(guesses, guesses, right, 0.0, risk) == pytest.approx(expected, abs=1e-3)


def test_delta_weakens_the_bound() -> None:
    assert p_value(100, 50, 45, 1.0, 1e-3) > p_value(100, 50, 45, 1.0, 0.0)
    assert lower_bound(100, 50, 45, 1e-4, 0.05) < lower_bound(100, 50, 45, 0.0, 0.05)


def test_few_right_guesses_prove_nothing() -> None:
    assert lower_bound(100, 50, 25, 0.0, 0.05) == 0
    assert lower_bound(100, 50, 0, 0.0, 0.05) == 0


@pytest.mark.parametrize("canaries", [0, 2, 10])
def test_canaries_come_in_fours(canaries: int) -> None:
    with pytest.raises(ValidationError):
        audit(
            lambda *_: np.zeros(canaries),
            CODED,
            SMALL,
            1,
            DELTA,
            canaries=canaries,
            coins=np.random.default_rng(0),
        )
