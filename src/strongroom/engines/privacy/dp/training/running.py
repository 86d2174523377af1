"""Train a model on a table with a promise to each person, and say how it was done.

The record is kept with the model: what was promised, by which mechanism, what each person could
contribute, what was taken for public. It holds no seed: who knew one could take the noise away.
"""

from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.training import additive, explainable, sgd
from strongroom.engines.privacy.dp.training.coding import Coded, coded_table
from strongroom.engines.privacy.dp.training.contributions import check_rows_each
from strongroom.engines.privacy.dp.training.domain import Amount, Domain
from strongroom.engines.privacy.dp.training.model import ENDING, AdditiveModel
from strongroom.engines.privacy.dp.training.network import NetworkModel

DEFAULT_DELTA = 1e-6
RECORD_NAME = "privacy.json"
MODEL_NAME = f"model{ENDING}"
ONNX_NAME = "model.onnx"


class Method(StrEnum):
    """What is learned."""

    ADDITIVE = "additive"  # a table a column: the default
    BOOSTING = "boosting"  # the same kind of model, by interpret
    NETWORK = "network"  # one hidden layer, by Opacus; the extra `torch`


class Origin(StrEnum):
    """Where bounds and categories come from."""

    DECLARED = "declared"
    READ_OFF = "read off the data: epsilon does not cover them"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        subject: the column that says whom a row is about; empty: each row is a person.
        rows_each: the most rows of one person.
    """

    epsilon: float
    delta: float = DEFAULT_DELTA
    method: Method = Method.ADDITIVE
    subject: str = ""
    rows_each: int = 1
    origin: Origin = Origin.DECLARED


@dataclass(frozen=True, slots=True)
class PrivateModel:
    """A model, what it cost, and its record."""

    model: AdditiveModel | NetworkModel
    cost: Cost
    record: dict[str, Any]

    def files(self) -> dict[str, bytes]:
        """What is kept of it: the model as data, and its record."""
        import json

        record = json.dumps(self.record, indent=2, ensure_ascii=False).encode()
        if isinstance(self.model, AdditiveModel):
            return {MODEL_NAME: self.model.to_json().encode(), RECORD_NAME: record}
        from strongroom.engines.privacy.dp.training.onnx_form import onnx_bytes

        return {ONNX_NAME: onnx_bytes(self.model), RECORD_NAME: record}


def train(table: pa.Table, domain: Domain, wish: Wish) -> PrivateModel:
    """Train a model.

    Raises: ValidationError, MissingExtraError; none of them because of a value in the table.
    """
    coded = coded_table(table, domain, wish.subject)
    match wish.method:
        case Method.ADDITIVE:
            return _additive(coded, domain, wish)
        case Method.BOOSTING:
            return _boosting(coded, domain, wish)
        case Method.NETWORK:
            return _network(coded, domain, wish)


def price(wish: Wish) -> Cost:
    """What a training will cost, before it is known to anybody but the wish.

    Raises: ValidationError, for an epsilon, a delta or a number of rows out of range.
    """
    check_rows_each(wish.rows_each)
    match wish.method:
        case Method.ADDITIVE:
            return additive.price(wish.epsilon, wish.delta)
        case Method.BOOSTING:
            return explainable.price(wish.epsilon, wish.delta)
        case Method.NETWORK:
            return sgd.price(wish.epsilon, wish.delta, wish.rows_each)


def _additive(coded: Coded, domain: Domain, wish: Wish) -> PrivateModel:
    trained = additive.train_additive(
        coded, domain, wish.epsilon, wish.delta, rows_each=wish.rows_each
    )
    plan = trained.plan
    assert plan is not None  # noqa: S101 # of this trainer
    return PrivateModel(trained.model, trained.cost, _record(domain, wish, trained.cost) | {
        "mechanism": "gradient descent on all rows, discrete Gaussian noise of OpenDP",
        "clipping": "none needed: an error is at most 1, and a row is in one bin of each block",
        "sampling": 1.0,
        "steps": plan.rounds,
        "rho": trained.rho,
        "accountant": "zCDP, turned into epsilon by privacy loss distributions",
        "parameters": {"rate": plan.rate, "momentum": plan.momentum,
                       "share for the number of rows": additive.COUNT_SHARE},
        "rows, with noise": trained.rows,
        "limits": [],
        "libraries": _versions("opendp", "dp-accounting"),
    })  # fmt: skip


def _boosting(coded: Coded, domain: Domain, wish: Wish) -> PrivateModel:
    trained = explainable.train_explainable(
        coded, domain, wish.epsilon, wish.delta, rows_each=wish.rows_each
    )
    return PrivateModel(trained.model, trained.cost, _record(domain, wish, trained.cost) | {
        "mechanism": "explainable boosting of interpret, Gaussian noise",
        "clipping": "none needed: an error is at most 1, and a row is in one bin of each column",
        "sampling": 1.0,
        "steps": explainable.ROUNDS * len(domain.features),
        "noise multiplier": trained.cost.events[0].values[0],
        "accountant": "Gaussian, by privacy loss distributions",
        "parameters": {"rate": explainable.RATE, "rounds": explainable.ROUNDS},
        "limits": ["the number of rows is taken for public", _FLOATS],
        "libraries": _versions("interpret-core", "dp-accounting"),
    })  # fmt: skip


def _network(coded: Coded, domain: Domain, wish: Wish) -> PrivateModel:
    steps = sgd.Steps()
    trained = sgd.train_network(
        coded, domain, wish.epsilon, wish.delta, rows_each=wish.rows_each, steps=steps
    )
    return PrivateModel(trained.model, trained.cost, _record(domain, wish, trained.cost) | {
        "mechanism": "DP-SGD of Opacus, Gaussian noise on Poisson samples",
        "clipping": steps.clipping,
        "sampling": steps.sampling,
        "steps": steps.steps,
        "noise multiplier": trained.noise_multiplier,
        "accountant": "privacy loss distributions"
        + (", as a mixture of Gaussians" if wish.rows_each > 1 else ""),
        "parameters": {"rate": steps.rate, "hidden": steps.hidden},
        "limits": [_FLOATS, "the noise comes from PyTorch's generator, seeded by the system"],
        "libraries": _versions("opacus", "torch", "dp-accounting"),
    })  # fmt: skip


_FLOATS = "the noise is a floating-point Gaussian, whose lowest bits are not protected"


def _record(domain: Domain, wish: Wish, cost: Cost) -> dict[str, Any]:
    unit = f"a person, as `{wish.subject}` tells them" if wish.subject else "a row"
    return {
        "method": wish.method.value,
        "epsilon": wish.epsilon,
        "delta": wish.delta,
        "unit": unit,
        "rows of one unit at most": wish.rows_each,
        "neighbours": "with and without all rows of one unit",
        "cost": cost.to_json(),
        "public": wish.origin.value,
        "target": domain.target.name,
        "task": "regression" if isinstance(domain.target, Amount) else "classification",
        "columns": len(domain.features),
    }


def _versions(*names: str) -> dict[str, str]:
    return {name: version(name) for name in names}
