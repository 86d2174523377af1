"""DP-SGD with Opacus: a small network for tables; the extra `torch` (Abadi et al. 2016).

Each step takes every row with the same small chance, clips each row's gradient to a length, adds
Gaussian noise to the sum. The chance and the number of steps are fixed, not made from the number of
rows; Adam takes steps whose size does not depend on it either. So it need not be public.

Opacus draws its noise from PyTorch's generator, which starts every process from the same state:
anybody could compute that noise. Here each training has generators of its own, seeded by the
operating system; the seeds are not kept. They are no cryptographic generators, and the noise is a
floating-point Gaussian. The record of the model says so.

Several rows of one person are accounted for as a mixture: how many are in a step is binomial
(Ganesh 2024, "Tight group-level DP guarantees for DP-SGD with sampling via mixture of Gaussians").
"""

import math
import secrets
import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.accounting import epsilon as epsilon_of
from strongroom.engines.privacy.dp.training.additive import Block, blocks_of
from strongroom.engines.privacy.dp.training.coding import TARGET_UNIT, Coded
from strongroom.engines.privacy.dp.training.contributions import bounded
from strongroom.engines.privacy.dp.training.domain import Amount, Category, Domain
from strongroom.engines.privacy.dp.training.network import ColumnWeights, NetworkModel
from strongroom.engines.privacy.dp.training.noise import check_promise
from strongroom.errors import MissingExtraError, ValidationError


@dataclass(frozen=True, slots=True)
class Steps:
    """How it is learned. Fixed before the data is seen.

    Attributes:
        sampling: the chance of each row to be in a step.
        clipping: the length that a row's gradient is clipped to.
    """

    hidden: int = 16
    sampling: float = 0.02
    steps: int = 500
    clipping: float = 1.0
    rate: float = 0.005

    def __post_init__(self) -> None:
        if not (
            1 <= self.hidden <= 512
            and 0 < self.sampling <= 1
            and 1 <= self.steps <= 100_000
            and 0 < self.clipping <= 1e3
            and 0 < self.rate <= 1
        ):
            raise ValidationError("the steps of the training are out of their ranges")


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network and what it cost."""

    model: NetworkModel
    cost: Cost
    noise_multiplier: float


def train_network(
    coded: Coded, domain: Domain, epsilon: float, delta: float,
    *, rows_each: int = 1, steps: Steps | None = None,
) -> TrainedNetwork:  # fmt: skip
    """Learn a network that keeps (epsilon, delta) for each person.

    Raises:
        MissingExtraError: Opacus is not installed.
        ValidationError: for numbers out of range.
    """
    torch = _torch()
    steps = steps or Steps()
    check_promise(epsilon, delta)
    noise = noise_for(epsilon, delta, steps.sampling, steps.steps, rows_each)
    kept = bounded(coded, rows_each)
    blocks = blocks_of(domain, kept.places)
    network = _learned(torch, kept, blocks, steps, noise, is_choice=_is_choice(domain))
    cost = _cost(epsilon, delta, noise, steps, rows_each)
    return TrainedNetwork(_as_model(domain, kept.places, blocks, network), cost, noise)


def _is_choice(domain: Domain) -> bool:
    return not isinstance(domain.target, Amount)


def check_installed() -> None:
    """Find the libraries without loading them. Raises: MissingExtraError."""
    if find_spec("opacus") is None or find_spec("torch") is None:
        raise _missing()


def _torch() -> Any:  # noqa: ANN401 # an optional library
    try:
        import opacus  # noqa: F401 # is it there?
        import torch
    except ImportError:
        raise _missing() from None
    return torch


def _missing() -> MissingExtraError:
    return MissingExtraError(
        "networks with privacy need Opacus and PyTorch",
        next_step="install strongroom[torch], or take the method additive",
    )


# ---- what it costs ----


def price(epsilon: float, delta: float, rows_each: int) -> Cost:
    """What a training by the default steps costs. Raises: ValidationError."""
    check_promise(epsilon, delta)
    steps = Steps()
    noise = noise_for(epsilon, delta, steps.sampling, steps.steps, rows_each)
    return _cost(epsilon, delta, noise, steps, rows_each)


def noise_for(
    epsilon: float, delta: float, sampling: float, steps: int, rows_each: int = 1
) -> float:
    """The least noise multiplier, rounded up, that keeps (epsilon, delta) for each person.

    Raises: ValidationError, where not even much noise does.
    """
    low, high = 0.3, 0.6
    while _epsilon(high, delta, sampling, steps, rows_each) > epsilon:
        low, high = high, high * 2
        if high > 1e4:
            raise ValidationError("no noise is enough for so small an epsilon")
    while high - low > 0.002 * high:
        middle = (low + high) / 2
        fits = _epsilon(middle, delta, sampling, steps, rows_each) <= epsilon
        low, high = (low, middle) if fits else (middle, high)
    return high


def _cost(epsilon: float, delta: float, noise: float, steps: Steps, rows_each: int) -> Cost:
    if rows_each == 1:
        return Cost.subsampled_gaussian(noise, steps.sampling, steps.steps)
    return Cost.approximate(epsilon, delta)


@lru_cache(maxsize=256)
def _epsilon(noise: float, delta: float, sampling: float, steps: int, rows_each: int) -> float:
    if rows_each == 1:
        return epsilon_of(Cost.subsampled_gaussian(noise, sampling, steps), delta)
    from dp_accounting.pld import privacy_loss_distribution as pld
    from scipy.stats import binom

    counts = np.arange(rows_each + 1)
    chances = binom.pmf(counts, rows_each, sampling)
    one = pld.from_mixture_gaussian_mechanism(
        noise, [float(k) for k in counts], (chances / chances.sum()).tolist(),
        value_discretization_interval=1e-3,
    )  # fmt: skip
    return float(one.self_compose(steps).get_epsilon_for_delta(delta))


# ---- learning ----


def _learned(
    torch: Any,  # noqa: ANN401 # torch's own types
    coded: Coded, blocks: tuple[Block, ...], steps: Steps, noise: float,
    *, is_choice: bool,
) -> Any:  # noqa: ANN401 # torch's own types  # fmt: skip
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    places, weights = _inputs(coded, blocks)
    size = sum(block.size for block in blocks)
    target = torch.tensor(coded.target / TARGET_UNIT, dtype=torch.float32)
    chance, drawing, noising = (_generator(torch) for _ in range(3))
    network = torch.nn.Sequential(
        torch.nn.Linear(size, steps.hidden), torch.nn.ReLU(), torch.nn.Linear(steps.hidden, 1)
    )
    for parameter in network.parameters():
        bound = 1 / math.sqrt(steps.hidden)
        torch.nn.init.uniform_(parameter, -bound, bound, generator=chance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = GradSampleModule(network)
        optimizer = DPOptimizer(
            torch.optim.Adam(module.parameters(), lr=steps.rate),
            noise_multiplier=noise, max_grad_norm=steps.clipping,
            expected_batch_size=1, loss_reduction="sum", generator=noising,
        )  # fmt: skip
        loss = (torch.nn.BCEWithLogitsLoss if is_choice else torch.nn.MSELoss)(reduction="sum")
        for _ in range(steps.steps):
            drawn = torch.rand(coded.rows, dtype=torch.float64, generator=drawing) < steps.sampling
            at = drawn.nonzero().squeeze(1)
            rows = _multi_hot(torch, places[at.numpy()], weights, size)
            optimizer.zero_grad()
            loss(module(rows).squeeze(1), target[at]).backward()
            optimizer.step()
    return network


def _generator(torch: Any) -> Any:  # noqa: ANN401 # torch's own types
    generator = torch.Generator()
    generator.manual_seed(secrets.randbits(63))
    return generator


def _inputs(
    coded: Coded, blocks: tuple[Block, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Of each row the place in each block, among all of them, and the blocks' weights."""
    columns, start = [], 0
    for block in blocks:
        if block.feature < 0:
            within = np.zeros(coded.rows, np.int64)
        else:
            codes, last = coded.codes[block.feature], coded.places[block.feature] - 1
            within = np.where(codes == last, block.size - 1, codes // block.run)
        columns.append(start + within)
        start += block.size
    weights = np.array([block.weight for block in blocks], np.float32)
    scale = math.sqrt(len(blocks)) / float(np.linalg.norm(weights))
    return np.column_stack(columns), (weights * scale).astype(np.float32)


def _multi_hot(
    torch: Any,  # noqa: ANN401 # torch's own types
    places: NDArray[np.int64],
    weights: NDArray[np.float32],
    size: int,
) -> Any:  # noqa: ANN401 # torch's own types
    """Rows as the network takes them. Shape (rows, size)."""
    rows = torch.zeros((len(places), size))
    spread = torch.from_numpy(np.tile(weights, (len(places), 1)))
    return rows.scatter_(1, torch.from_numpy(places), spread)


def _as_model(
    domain: Domain,
    places: tuple[int, ...],
    blocks: tuple[Block, ...],
    network: Any,  # noqa: ANN401 # an optional library
) -> NetworkModel:
    first, _, last = network
    weights = np.array([block.weight for block in blocks], np.float64)
    weights *= math.sqrt(len(blocks)) / np.linalg.norm(weights)
    matrix = first.weight.detach().numpy().T.astype(np.float64)
    bias = first.bias.detach().numpy().astype(np.float64)
    tables = [np.zeros((count, matrix.shape[1])) for count in places]
    start = 0
    for block, weight in zip(blocks, weights, strict=True):
        own = matrix[start : start + block.size] * weight
        start += block.size
        if block.feature < 0:
            bias = bias + own[0]
        elif block.run == 1 and isinstance(domain.features[block.feature], Category):
            tables[block.feature] += own
        else:
            tables[block.feature][:-1] += np.repeat(own[:-1], block.run, axis=0)
            tables[block.feature][-1] += own[-1]
    unit, low = 1.0, 0.0
    if isinstance(domain.target, Amount):
        unit, low = domain.target.high - domain.target.low, domain.target.low
    terms = tuple(
        ColumnWeights(feature.name, table, (), feature.values)
        if isinstance(feature, Category)
        else ColumnWeights(feature.name, table, tuple(float(one) for one in feature.cuts()))
        for feature, table in zip(domain.features, tables, strict=True)
    )
    out = last.weight.detach().numpy()[0].astype(np.float64) * unit
    return NetworkModel(terms, bias, out, float(last.bias.detach()[0]) * unit + low, domain.target)
