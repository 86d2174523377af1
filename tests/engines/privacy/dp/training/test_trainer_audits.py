"""Every trainer passes its audit, and one that is broken does not."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from strongroom.engines.privacy.dp.training import additive, explainable, sgd
from strongroom.engines.privacy.dp.training.auditing import Audit, audit_by_repeating
from strongroom.engines.privacy.dp.training.noise import gaussian
from strongroom.engines.privacy.dp.training.running import Method
from strongroom.engines.privacy.dp.training.trainer_audits import Effort, audit_trainer
from strongroom.errors import InternalError, ValidationError

DELTA = 1e-6
# Few and large steps, on a network as small as can be: an audit asks how noise is drawn.
STEPS = sgd.Steps(hidden=8, sampling=0.5, steps=10, rate=0.3)
SMALL = Effort(rows=60, canaries=1_000, trials=80, steps=STEPS)


def _audit(method: Method, seed: int, epsilon: float = 1.0) -> Audit:
    coins = np.random.default_rng(seed)
    return audit_trainer(method, epsilon, DELTA, coins=coins, effort=SMALL)


@pytest.fixture
def opacus() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("opacus", reason="the extra `torch` is not installed")


@pytest.fixture
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise is made for as many rounds as there are."""
    monkeypatch.setattr(explainable, "ROUNDS", 20)


# ---- additive ----


def test_the_additive_trainer_is_not_refuted() -> None:
    found = _audit(Method.ADDITIVE, 1)
    assert not found.refutes
    assert found.guesses == 500


def test_an_additive_trainer_with_too_little_noise_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additive, "gaussian", lambda s, rho: gaussian(max(s // 32, 1), rho))
    assert _audit(Method.ADDITIVE, 2).refutes


# ---- boosting ----


def _quieter(monkeypatch: pytest.MonkeyPatch, times: float) -> None:
    """The library draws less noise than it was asked for, and says that it drew it."""
    from interpret.glassbox._ebm import _ebm

    real: Callable[..., float] = _ebm.calc_gdp_noise_multi
    monkeypatch.setattr(_ebm, "calc_gdp_noise_multi", lambda **asked: real(**asked) / times)


@pytest.mark.usefixtures("few_rounds")
def test_boosting_is_not_refuted() -> None:
    found = _audit(Method.BOOSTING, 3)
    assert not found.refutes
    assert found.guesses == 40


@pytest.mark.usefixtures("few_rounds")
def test_boosting_that_draws_too_little_noise_is(monkeypatch: pytest.MonkeyPatch) -> None:
    _quieter(monkeypatch, 200)
    monkeypatch.setattr(explainable, "_precision", lambda *_: 0.0)
    assert _audit(Method.BOOSTING, 4).refutes


@pytest.mark.usefixtures("few_rounds")
def test_boosting_that_says_so_does_not_even_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _quieter(monkeypatch, 4)
    with pytest.raises(InternalError, match="less noise"):
        _audit(Method.BOOSTING, 5)


# ---- network ----


@pytest.mark.usefixtures("opacus")
def test_the_network_is_not_refuted() -> None:
    found = _audit(Method.NETWORK, 6)
    assert not found.refutes
    assert found.guesses == 500


@pytest.mark.usefixtures("opacus")
def test_a_network_with_too_little_noise_is(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = sgd._learned

    def quieter(torch: Any, coded: Any, blocks: Any, steps: Any, noise: float, **more: Any) -> Any:  # noqa: ANN401 # torch's own types
        return real(torch, coded, blocks, steps, noise / 100, **more)

    monkeypatch.setattr(sgd, "_learned", quieter)
    assert _audit(Method.NETWORK, 7).refutes


@pytest.mark.usefixtures("opacus")
def test_a_network_whose_library_draws_no_noise_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from opacus.optimizers import DPOptimizer

    def silent(self: Any) -> None:  # noqa: ANN401 # torch's own types
        for parameter in self.params:
            parameter.grad = parameter.summed_grad.view_as(parameter)

    monkeypatch.setattr(DPOptimizer, "add_noise", silent)
    found = _audit(Method.NETWORK, 8)
    assert found.refutes
    assert found.right > 0.95 * found.guesses


# ---- repeating ----


def test_trials_that_tell_all_are_refuted_and_those_that_tell_nothing_are_not() -> None:
    coins, noise = np.random.default_rng(9), np.random.default_rng(10)
    told = audit_by_repeating(lambda there: float(there), 1.0, 0.0, trials=40, coins=coins)
    assert told.refutes
    assert told.right == told.guesses == 20
    blind = audit_by_repeating(lambda _: noise.normal(), 0.01, 0.0, trials=40, coins=coins)
    assert not blind.refutes


def test_trials_come_in_fours() -> None:
    with pytest.raises(ValidationError):
        audit_by_repeating(lambda _: 0.0, 1.0, 0.0, trials=6, coins=np.random.default_rng(0))
