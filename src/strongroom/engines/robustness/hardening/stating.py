"""How a model was fitted, as plain data: a kind, its settings, how numbers are scaled.

A recipe that is stated crosses from the sandbox of a model that nobody trusts to one in which none
of its code runs. So what is read is believed of nobody: kinds are those of a list, settings those
that the kind knows, and no number is larger than a fit can bear.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KINDS: Mapping[str, str] = {
    "LogisticRegression": "sklearn.linear_model",
    "MLPClassifier": "sklearn.neural_network",
    "DecisionTreeClassifier": "sklearn.tree",
    "RandomForestClassifier": "sklearn.ensemble",
    "ExtraTreesClassifier": "sklearn.ensemble",
    "GradientBoostingClassifier": "sklearn.ensemble",
    "HistGradientBoostingClassifier": "sklearn.ensemble",
    "KNeighborsClassifier": "sklearn.neighbors",
    "GaussianNB": "sklearn.naive_bayes",
}
"""Kind → its module: what ONNX has a form for and hardening has been measured on."""
SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")

_NOT_STATED = frozenset({"n_jobs", "verbose", "random_state", "warm_start"})
"""Settings that say nothing of the model, or that hardening sets itself."""
_MOST: Mapping[str, int] = {
    "n_estimators": 1_000, "max_iter": 5_000, "n_neighbors": 10_000, "max_fun": 50_000,
    "max_bins": 255,
}  # fmt: skip
_MOST_OTHERWISE = 1_000_000
_MOST_LAYERS, _MOST_UNITS = 8, 1_024
_MOST_SETTINGS = 100
_MOST_LETTERS = 60
_ENCODERS = frozenset({"OneHotEncoder", "SimpleImputer", "OrdinalEncoder"})

Setting = bool | int | float | str | None | list[int]


@dataclass(frozen=True, slots=True)
class Stated:
    """A recipe as plain data.

    Attributes:
        kind: of `KINDS`.
        settings: those that differ from what the kind has by itself, or all.
        scaler: of `SCALERS`; empty: numbers are taken as they are.
        is_own: it is how the model was fitted, as far as it says.
    """

    kind: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    scaler: str = ""
    is_own: bool = False

    def document(self) -> dict[str, Any]:
        """As plain JSON, for `read`."""
        return {"kind": self.kind, "settings": dict(self.settings), "scaler": self.scaler}

    def estimator(self, seed: int) -> Any:  # noqa: ANN401 # scikit-learn has no types
        """An unfitted estimator of scikit-learn, in one thread.

        Fitting it raises ValueError where the kind takes no settings like these.
        """
        made = _kind(self.kind)()
        settings: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self.settings.items()
        }
        fixed = {"random_state": seed, "n_jobs": 1}
        if self.kind == "LogisticRegression":
            del fixed["n_jobs"]  # it has no effect there any more, and warns
        known = made.get_params()
        return made.set_params(**settings, **{k: v for k, v in fixed.items() if k in known})

    def scaling(self) -> Any:  # noqa: ANN401 # as above
        """An unfitted scaler; None: there is none."""
        if not self.scaler:
            return None
        return getattr(importlib.import_module("sklearn.preprocessing"), self.scaler)()


REFERENCES: Mapping[str, Stated] = {
    "forest": Stated("RandomForestClassifier", {"n_estimators": 100}),
    "boosting": Stated("HistGradientBoostingClassifier", {"early_stopping": False}),
    "logistic": Stated("LogisticRegression", {"max_iter": 1_000}, "MinMaxScaler"),
}
"""As `recipes.reference`, for models of which nobody knows how they were fitted."""


def state(model: Any) -> dict[str, Any]:  # noqa: ANN401 # any model
    """What `read` takes, of a model of scikit-learn; `kind` is empty where it cannot be stated.

    It runs beside the model. Steps before the last may scale numbers, fill in what is missing and
    encode categories; a model behind other steps is not one of `KINDS`.
    """
    steps = [one for _, one in getattr(model, "steps", [("model", model)])]
    final, scalers = steps[-1], []
    for step in steps[:-1]:
        found = _scalers(step)
        if found is None:
            return {"kind": ""}
        scalers += found
    kind = type(final).__name__
    is_known = type(final).__module__.startswith("sklearn.") and kind in KINDS
    if not is_known or len(set(scalers)) > 1:
        return {"kind": ""}
    own = final.get_params(deep=False)
    usual = type(final)().get_params(deep=False)
    settings = {
        name: _plain(value)
        for name, value in own.items()
        if name not in _NOT_STATED and repr(value) != repr(usual.get(name))
    }
    if not all(_is_bearable(name, value) for name, value in settings.items()):
        return {"kind": ""}
    return {"kind": kind, "settings": settings, "scaler": scalers[0] if scalers else ""}


def _plain(value: Any) -> Any:  # noqa: ANN401 # any setting
    if isinstance(value, tuple):
        return list(value)
    is_number = type(value).__module__ == "numpy" and getattr(value, "size", 0) == 1
    return value.item() if is_number else value


def _scalers(step: Any) -> list[str] | None:  # noqa: ANN401 # any step
    """Names of the scalers in a step; None where it holds something else."""
    name = type(step).__name__
    if step is None or step == "passthrough" or step == "drop" or name in _ENCODERS:
        return []
    if name in SCALERS:
        return [name]
    inner: Sequence[Any] | None = None
    if name == "Pipeline":
        inner = [one for _, one in step.steps]
    elif name == "ColumnTransformer":
        inner = [one for _, one, _ in step.transformers]
    if inner is None:
        return None
    found: list[str] = []
    for one in inner:
        more = _scalers(one)
        if more is None:
            return None
        found += more
    return found


def read(found: Mapping[str, Any]) -> Stated | None:
    """The recipe that a model states; None where it states none, or none that can be fitted."""
    kind, settings, scaler = found.get("kind"), found.get("settings"), found.get("scaler")
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(settings, Mapping):
        return None
    if (
        not isinstance(scaler, str)
        or scaler not in {"", *SCALERS}
        or len(settings) > _MOST_SETTINGS
    ):
        return None
    known = _kind(kind)().get_params()
    if not all(
        name in known and name not in _NOT_STATED and _is_bearable(name, value)
        for name, value in settings.items()
    ):
        return None
    return Stated(kind, dict(settings), scaler, is_own=True)


def _is_bearable(name: str, value: object) -> bool:
    if isinstance(value, list):
        return 0 < len(value) <= _MOST_LAYERS and all(
            type(one) is int and 0 < one <= _MOST_UNITS for one in value
        )
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, str):
        return len(value) <= _MOST_LETTERS
    if type(value) not in {int, float}:
        return False
    most = _MOST_UNITS if name == "hidden_layer_sizes" else _MOST.get(name, _MOST_OTHERWISE)
    assert isinstance(value, int | float)  # noqa: S101 # looked at above
    return -_MOST_OTHERWISE <= value <= most


def _kind(name: str) -> Any:  # noqa: ANN401 # a class of scikit-learn
    return getattr(importlib.import_module(KINDS[name]), name)
