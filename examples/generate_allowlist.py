# ruff: noqa: INP001, E501 - a script of its own; lists of examples read better in one line
"""Writes the allow-list of pickled callables from models that the libraries really save.

    python examples/generate_allowlist.py [--check]

Fits every scikit-learn estimator it can, builds arrays, sparse matrices, frames and dates, saves
each with `pickle` at protocols 0 to 5 and with joblib, and records what the symbolic machine sees
them call. Names that are known to be dangerous are never recorded. Read the difference before
you keep it: every line is something that a model may do unasked.
"""

import argparse
import datetime as dt
import decimal
import fractions
import io
import pickle
import sys
import types
import uuid
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import scipy.interpolate
import scipy.sparse
import scipy.spatial
import scipy.special
import scipy.stats
from scipy.stats._distr_params import distcont, distdiscrete
from sklearn import (
    datasets,
    feature_selection,
    gaussian_process,
    metrics,
    model_selection,
    multiclass,
    pipeline,
    preprocessing,
)
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401 # they join all_estimators
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import BallTree, KDTree, KernelDensity, KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from sklearn.utils._param_validation import Options
from sklearn.utils._test_common.instance_generator import _construct_instances

from strongroom.engines.scanning.allowlist import STRICT_NAMES, canonical, use_of
from strongroom.engines.scanning.dangers import danger
from strongroom.engines.scanning.joblib_arrays import read_array
from strongroom.engines.scanning.pickle_machine import PickleMachine
from strongroom.engines.scanning.reading import Limits, Reader
from strongroom.engines.scanning.symbols import Call, Made, Symbol

TARGET = Path(__file__).parents[1] / "src/strongroom/engines/scanning/allowed_callables.py"
HEADER = '''"""Uses that honest pickles make; written by examples/generate_allowlist.py, read by people.

Module → exact name → uses, in the alphabet of `symbols.kind_of`.
"""


def _uses(*uses: str) -> frozenset[str]:
    return frozenset(uses)


# May be referred to, not called.
_NAMED = _uses()
# Made by `cls.__new__(cls)`, then given its attributes.
_OBJECT = _uses("new()", "build(dict)")

ALLOWED: dict[str, dict[str, frozenset[str]]] = {
'''


class Recorder:
    """A watcher that keeps every use."""

    def __init__(self) -> None:
        self.uses: dict[str, set[str]] = defaultdict(set)

    def on_global(self, symbol: Symbol, offset: int) -> None:  # noqa: ARG002, D102 # see Watcher
        symbol = canonical(symbol)
        self.uses[f"{symbol.module}:{symbol.name}"]  # creates the entry

    def on_call(self, call: Call) -> None:  # noqa: D102 # see Watcher
        target = call.target.target if isinstance(call.target, Made) else call.target
        if not isinstance(target, Symbol):
            raise TypeError(f"{call.how} on a computed target")
        target = canonical(target)
        if f"{target.module}:{target.name}" in ("copyreg:_reconstructor", "copyreg:__newobj__"):
            made = call.args[0] if call.args else None
            if not isinstance(made, Symbol):
                raise TypeError("reconstructs a computed class")
            target, call = canonical(made), Call("new", made, (), call.offset)
        self.uses[f"{target.module}:{target.name}"].add(use_of(call))

    def on_oddity(self, rule_id: str, says: str, offset: int) -> None:  # noqa: ARG002, D102 # see Watcher
        raise ValueError(f"{rule_id}: {says}")

    def may_be_text(self, value: object) -> bool:  # noqa: D102 # see Watcher
        return isinstance(value, str)

    def on_bytes(self, reader: Reader, size: int) -> None:  # noqa: D102 # see Watcher
        pass

    def on_array(self, wrapper: Made, reader: Reader) -> None:  # noqa: D102 # see Watcher
        read_array(wrapper, reader, lambda: self.follow(reader))

    def follow(self, reader: Reader) -> None:
        """Runs the machine over one stream."""
        limits = Limits()
        PickleMachine(reader, self, limits, inline_arrays=True).run(limits.opcodes)

    def record(self, value: object) -> None:
        """Saves `value` in every way and follows each."""
        forms = [pickle.dumps(value, protocol) for protocol in range(6)]
        for compress in (0, 3):
            buffer = io.BytesIO()
            joblib.dump(value, buffer, compress=compress)
            if not compress:
                forms.append(buffer.getvalue())
        for form in forms:
            self.follow(Reader(io.BytesIO(form)))


def estimators() -> Iterator[Any]:
    """Every estimator of scikit-learn, unfitted and fitted on whatever suits it."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x, y = x[:120, :6], y[:120]
    targets = (y, x[:, 0], np.column_stack([y, y]), np.column_stack([x[:, 0], x[:, 1]]))
    texts = ["red green blue", "green blue grey", "blue grey pink"] * 40
    scaled = preprocessing.StandardScaler().fit_transform(x)
    words = [["red", "blue"], ["green"]] * 60
    inputs = (x, np.abs(x), x[:, 0], texts, [{"a": 1.0, "b": "x"}] * 120, (x > 1).astype(int), y,
              scaled, scaled @ scaled.T, words)  # fmt: skip
    for name, cls in all_estimators():
        instances: list[Any] = []
        try:
            instances = list(_construct_instances(cls))
        except Exception as error:  # noqa: BLE001 # some need arguments; they are told below
            print(f"{name}: not built: {error}", file=sys.stderr)  # noqa: T201 # a script
        for instance in instances[:6]:
            yield instance
            for features in inputs:
                fitted = _fit(instance, features, targets)
                if fitted is not None:
                    yield fitted
                    break
            else:
                print(f"{name}: not fitted", file=sys.stderr)  # noqa: T201 # a script


def _fit(instance: Any, features: Any, targets: tuple[Any, ...]) -> Any:  # noqa: ANN401 # estimators
    for target in (*targets, None):
        try:
            if target is None:
                return clone(instance).fit(features)
            return clone(instance).fit(features, target)
        except Exception:  # noqa: BLE001, S112 # it wants other data; try the next
            continue
    return None


def options() -> Iterator[Any]:
    """Every estimator under each word that its loss may be, and with the quantile that some ask for."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x = preprocessing.StandardScaler().fit_transform(x[:60, :4])
    targets = (y[:60], x[:, 0], np.abs(x[:, 0]) + 1)
    few = {"n_estimators": 3, "n_init": 1, "max_iter": 20, "quantile": 0.5}
    for _, cls in all_estimators():
        for key in ("loss", "loss_function"):
            allowed = getattr(cls, "_parameter_constraints", {}).get(key)
            words = {
                word for one in allowed if isinstance(one, Options) for word in one.options
                if isinstance(word, str)
            } if isinstance(allowed, list) else set()  # fmt: skip
            for word in sorted(words):
                try:
                    known = cls().get_params()
                    small = {name: value for name, value in few.items() if name in known}
                    model = cls(**{**small, key: word})
                except Exception:  # noqa: BLE001 # it needs other estimators; see composites
                    break
                for target in targets:
                    fitted = _fit(model, np.abs(x), (target,))
                    if fitted is not None:
                        yield fitted


def functions() -> Iterator[Any]:
    """Functions and types that people give to estimators: named by the model, not called by it."""
    yield [make_column_selector("^a", dtype_include=np.number), make_column_selector("b")]
    yield [np.number, np.generic, np.integer, np.signedinteger, np.unsignedinteger, np.inexact,
           np.floating, np.complexfloating, np.flexible, np.character]  # fmt: skip
    yield [feature_selection.chi2, feature_selection.f_classif, feature_selection.f_regression,
           feature_selection.r_regression, feature_selection.mutual_info_classif,
           feature_selection.mutual_info_regression]  # fmt: skip
    ends = ("_score", "_loss", "_error", "_deviance")
    yield [getattr(metrics, name) for name in metrics.__all__ if name.endswith(ends)]
    yield list(metrics.pairwise.PAIRWISE_KERNEL_FUNCTIONS.values())
    yield [value for value in metrics.pairwise.PAIRWISE_DISTANCE_FUNCTIONS.values() if value]
    yield [np.nan_to_num, np.round, np.ravel, np.reshape, np.transpose, np.squeeze, np.atleast_2d,
           np.mean, np.median, np.std, np.var, np.sum, np.min, np.max, np.diff, np.cumsum, np.digitize,
           np.hstack, np.vstack, np.column_stack, np.concatenate, np.real, np.imag, np.angle,
           np.nanmean, np.nanmedian, np.argmax, np.argmin, np.sort, np.isclose]  # fmt: skip
    yield [value for value in vars(scipy.special).values() if isinstance(value, np.ufunc)]


def composites() -> Iterator[Any]:
    """Pipelines and searches as people build them."""
    frame = pd.DataFrame({"age": [30.0, 41.0, None, 55.0] * 10, "sex": ["f", "m", "f", None] * 10})
    target = [0, 1, 1, 0] * 10
    columns = ColumnTransformer(
        [
            (
                "number",
                pipeline.make_pipeline(SimpleImputer(), preprocessing.StandardScaler()),
                ["age"],
            ),
            ("word", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["sex"]),
        ]
    )
    yield pipeline.Pipeline([("columns", columns), ("model", LogisticRegression())]).fit(
        frame, target
    )
    yield columns.fit(frame)
    x, y = datasets.load_iris(return_X_y=True)
    forest = RandomForestClassifier(n_estimators=5, random_state=np.random.RandomState(1))
    yield forest.fit(x, y)
    yield model_selection.GridSearchCV(
        LogisticRegression(),
        {"C": [0.1, 1.0]},
        scoring=metrics.make_scorer(metrics.f1_score, average="macro"),
    ).fit(x, y)
    yield model_selection.RandomizedSearchCV(
        LogisticRegression(), {"C": scipy.stats.loguniform(0.1, 10)}, n_iter=2, random_state=0
    ).fit(x, y)
    yield VotingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier())]).fit(x, y)
    yield StackingClassifier([("a", LogisticRegression())], cv=3).fit(x, y)
    yield TransformedTargetRegressor(func=np.log1p, inverse_func=np.expm1).fit(x, y)
    for function in (
        np.log1p,
        np.log,
        np.sqrt,
        np.exp,
        np.abs,
        np.square,
        np.sin,
        np.tanh,
        np.clip,
    ):
        yield preprocessing.FunctionTransformer(function)
    for loss in ("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", "huber",
                 "squared_error", "epsilon_insensitive", "squared_epsilon_insensitive"):  # fmt: skip
        yield SGDClassifier(loss=loss).fit(x, y)
    yield pipeline.make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(
        ["red blue", "green grey"], [0, 1]
    )
    yield multiclass._ConstantPredictor().fit(x, y[:1])  # noqa: SLF001 # classes with one value
    yield CountVectorizer(ngram_range=(1, 2)).fit(["red blue", "green grey"])
    kernels = gaussian_process.kernels
    for kernel in (
        kernels.ConstantKernel() * kernels.RBF() + kernels.WhiteKernel(),
        kernels.Matern() ** 2, kernels.RationalQuadratic(), kernels.ExpSineSquared(),
        kernels.DotProduct(), kernels.PairwiseKernel(),
        kernels.CompoundKernel([kernels.RBF()]),
    ):  # fmt: skip
        yield gaussian_process.GaussianProcessRegressor(kernel, optimizer=None)
        yield kernel
    for metric in ("euclidean", "manhattan", "chebyshev", "minkowski", "haversine", "hamming"):
        data = x[:, :2]
        yield BallTree(data, metric=metric)
        if metric in KDTree.valid_metrics:
            yield KDTree(data, metric=metric)
        for algorithm in ("brute", "ball_tree"):
            yield KNeighborsClassifier(metric=metric, algorithm=algorithm).fit(data, y)
    yield KernelDensity().fit(x)
    yield list(metrics._scorer._SCORERS.values())  # noqa: SLF001 # every scorer by name
    yield [
        model_selection.KFold(3), model_selection.StratifiedKFold(3, shuffle=True, random_state=1),
        model_selection.GroupKFold(3), model_selection.ShuffleSplit(3), model_selection.LeaveOneOut(),
        model_selection.TimeSeriesSplit(3), model_selection.StratifiedShuffleSplit(3),
        model_selection.RepeatedKFold(), model_selection.PredefinedSplit([0, 1]),
    ]  # fmt: skip


def arrays() -> Iterator[Any]:
    """NumPy and SciPy values."""
    for kind in "?bBhHiIlLqQefdgFDG":
        yield np.zeros(3, kind)
        yield np.dtype(kind).type(1)
        yield np.asfortranarray(np.ones((2, 3), kind))
    yield np.array(["a", "bc"])
    yield np.array([b"a", b"bc"])
    yield np.array(["2020-01-01"], "datetime64[ns]")
    yield np.array([1], "timedelta64[s]")
    yield np.array([None, "a", 1], dtype=object)
    yield np.array([(1, 2.0, "a")], dtype=[("x", "i4"), ("y", "f8"), ("z", "U3")])
    yield np.array([(1, None)], dtype=[("x", "i4"), ("y", object)])
    yield np.rec.array([(1, 2.0)], dtype=[("x", "i4"), ("y", "f8")])
    yield np.ma.masked_array([1.0, 2.0], [True, False])
    yield np.matrix([[1, 2]])
    yield np.array(3.5)
    yield np.arange(10, dtype=">i4")
    yield np.datetime64("2020-01-01")
    yield np.timedelta64(3, "D")
    yield np.str_("a")
    yield np.bytes_(b"a")
    yield [
        np.float64,
        np.int64,
        np.float32,
        np.int32,
        np.bool_,
        np.object_,
        np.ndarray,
        float,
        int,
        str,
    ]
    yield [
        np.dtype("f8"),
        np.dtype("U5"),
        np.dtype("O"),
        np.dtype(("i4", (2, 2))),
        np.dtype("M8[us]"),
    ]
    yield [np.random.RandomState(1), np.random.default_rng(1)]
    for generator in (
        np.random.PCG64,
        np.random.MT19937,
        np.random.Philox,
        np.random.SFC64,
        np.random.PCG64DXSM,
    ):
        yield np.random.Generator(generator(1))
        yield generator(1)
    yield np.random.SeedSequence(1)
    yield [value for value in vars(np).values() if isinstance(value, np.ufunc)]
    for maker in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia"):
        yield getattr(scipy.sparse, f"{maker}_matrix")(np.eye(3))
        yield getattr(scipy.sparse, f"{maker}_array")(np.eye(3))
    yield [scipy.stats.uniform(0, 1), scipy.stats.norm(), scipy.stats.randint(1, 5),
           scipy.stats.loguniform(1, 2), scipy.stats.expon(), scipy.stats.beta(1, 2)]  # fmt: skip
    for name, arguments in distcont + distdiscrete:
        if isinstance(name, str):
            yield getattr(scipy.stats, name)(*arguments)
    x = np.linspace(0, 1, 5)
    grid = np.random.default_rng(0).normal(size=(12, 2))
    yield [
        scipy.stats.gaussian_kde(grid.T),
        scipy.spatial.cKDTree(grid),
        scipy.spatial.KDTree(grid),
    ]
    yield [scipy.interpolate.interp1d(x, x), scipy.interpolate.RBFInterpolator(grid, grid[:, 0]),
           scipy.interpolate.RegularGridInterpolator((x, x), np.outer(x, x)),
           scipy.interpolate.NearestNDInterpolator(grid, grid[:, 0])]  # fmt: skip
    yield scipy.interpolate.Akima1DInterpolator(x, x)
    yield scipy.interpolate.CubicSpline(x, x)
    yield scipy.interpolate.PchipInterpolator(x, x)
    yield scipy.interpolate.BSpline([0, 1, 2, 3], [1, 2], 1)


def frames() -> Iterator[Any]:
    """Values of pandas."""
    frame = pd.DataFrame(
        {
            "i": [1, 2, 3],
            "f": [1.0, None, 3.0],
            "s": ["a", None, "c"],
            "b": [True, False, True],
            "d": pd.date_range("2020-01-01", periods=3),
            "z": pd.date_range("2020-01-01", periods=3, tz="UTC"),
            "t": pd.to_timedelta([1, 2, 3], "D"),
            "p": pd.period_range("2020-01", periods=3, freq="M"),
            "c": pd.Categorical(["x", "y", "x"]),
            "o": pd.Categorical([1, 2, 1], ordered=True),
            "n": pd.array([1, None, 3], "Int64"),
            "g": pd.array([1.5, None, 3], "Float64"),
            "k": pd.array([True, None, False], "boolean"),
            "v": pd.interval_range(0, 3),
            "w": pd.array(["a", "b", None], "string"),
            "e": pd.arrays.SparseArray([0, 0, 1]),
        }
    )
    yield frame
    yield frame.set_index(["i", "s"])
    yield frame.dtypes
    for column in frame:
        yield frame[column]
        yield pd.Index(frame[column])
        yield frame[[column]]
    yield pd.DataFrame(np.ones((2, 2)))
    yield pd.DataFrame({"a": np.array([1, "x"], dtype=object)})
    yield pd.Series([1.0, 2.0], index=pd.date_range("2020-01-01", periods=2, freq="D"), name="x")
    yield pd.Series(["a", "b"], dtype=object)
    yield [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-01", tz="UTC"), pd.Timedelta("1D"),
           pd.Period("2020-01", "M"), pd.NaT, pd.NA, pd.Interval(0, 1)]  # fmt: skip
    yield [pd.offsets.Day(2), pd.offsets.MonthEnd(), pd.offsets.BusinessDay(), pd.offsets.Hour(1),
           pd.offsets.Minute(), pd.offsets.Week(weekday=1), pd.offsets.YearEnd(), pd.offsets.QuarterEnd()]  # fmt: skip
    for unit in ("s", "ms", "us", "ns"):
        yield pd.Series(pd.date_range("2020-01-01", periods=2)).astype(f"datetime64[{unit}]")


def plain() -> Iterator[Any]:
    """Values of the standard library that models carry."""
    utc = dt.UTC
    yield [dt.datetime(2020, 1, 1, tzinfo=utc), dt.date(2020, 1, 1), dt.time(1),
           dt.timedelta(1), dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))]  # fmt: skip
    yield [
        decimal.Decimal("1.5"),
        fractions.Fraction(1, 3),
        uuid.UUID(int=1),
        1j,
        range(3),
        slice(1, 2),
    ]
    yield types.SimpleNamespace(a=1)
    yield [
        Counter("aab"),
        OrderedDict(a=1),
        deque([1], 5),
        deque([1]),
        {1},
        frozenset({1}),
        b"x",
        bytearray(b"x"),
    ]
    yield [dt.datetime(2020, 1, 1)]  # noqa: DTZ001 # naive ones are pickled too


def render(recorder: Recorder) -> str:
    """The module's text."""
    modules: dict[str, list[str]] = {}
    for key, found in sorted(recorder.uses.items()):
        module, name = key.split(":", 1)
        if key in STRICT_NAMES:
            continue
        why = danger(Symbol(module, name))
        if why is not None:
            print(f"left out: {key}: {why.does}", file=sys.stderr)  # noqa: T201 # a script
            continue
        modules.setdefault(module, []).append(f'        "{name}": {_uses_text(found)},\n')
    body = (f'    "{module}": {{\n{"".join(names)}    }},\n' for module, names in modules.items())
    return HEADER + "".join(body) + "}\n"


def _uses_text(found: set[str]) -> str:
    if not found:
        return "_NAMED"
    if found == {"new()", "build(dict)"}:
        return "_OBJECT"
    return "_uses(\n" + "".join(f'            "{use}",\n' for use in sorted(found)) + "        )"


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="fail if the list would change")
    check = parser.parse_args().check
    warnings.simplefilter("ignore")
    np.random.seed(0)  # scikit-learn's default source of chance
    recorder = Recorder()
    for values in (estimators(), options(), functions(), composites(), arrays(), frames(), plain()):
        for value in values:
            try:
                recorder.record(value)
            except Exception as error:  # noqa: BLE001 # told, and looked at by a person
                kind = type(value).__name__
                print(f"{kind}: not recorded: {error!r}"[:300], file=sys.stderr)  # noqa: T201 # a script
    text = render(recorder)
    if check:
        sys.exit(0 if TARGET.read_text() == text else "the allow-list is out of date")
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
