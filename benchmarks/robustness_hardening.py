"""Ways of hardening: what each changes of robust accuracy and membership, and what it costs.

Breast cancer and digits (900 rows) of scikit-learn; 60 % of the rows are trained on. A forest of 30
trees, a network of 32 units and a logistic regression, each as it was, fitted anew with another
seed (the control) and hardened. `VICTIMS` rows (40) are attacked by HopSkipJump and trimming, some
1,000 queries a row; membership is LiRA with 16 shadow fits of the recipe of the model at hand.
Training with privacy (epsilon 2, bounds read off the data) knows two classes only: breast cancer.

Peer: ART's `AdversarialTrainer` over its logistic regression (of scikit-learn's kinds the one it
has gradients for), attacks and radius as for ours, by the interpreter named by `PEERS_PYTHON`; its
weights are attacked by the same attack as ours.
"""

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning

from benchmarks import robustness_hardening_peers
from strongroom.engines.privacy.dp.training.drafting import drafted
from strongroom.engines.privacy.dp.training.model import AdditiveModel
from strongroom.engines.privacy.dp.training.running import Wish, train
from strongroom.engines.robustness.hardening.columns import ColumnRecipe
from strongroom.engines.robustness.hardening.comparing import paired_gain, robust_accuracy
from strongroom.engines.robustness.hardening.stating import Stated
from strongroom.engines.robustness.hardening.ways import (
    Options,
    Way,
    fit_again,
    usual_radius,
)
from strongroom.engines.robustness.membership.attacks import lira
from strongroom.engines.robustness.membership.evidence import gather
from strongroom.engines.robustness.membership.pool import pooled
from strongroom.engines.robustness.membership.rates import auc, tpr_at
from strongroom.engines.robustness.outcome import Measure
from strongroom.engines.robustness.recipes import Recipe
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import (
    Labels,
    OutputForm,
    Predict,
    Rows,
    Scores,
    Target,
)
from strongroom.errors import ValidationError

VICTIMS = int(os.environ.get("VICTIMS", "40"))
FITS = 16
EPSILON = 2.0
RECIPES = {
    "forest": Stated("RandomForestClassifier", {"n_estimators": 30}),
    "network": Stated("MLPClassifier", {"hidden_layer_sizes": [32], "max_iter": 300}),
    "logistic": Stated("LogisticRegression", {"C": 10.0, "max_iter": 1_000}),
}


@dataclass(frozen=True, slots=True)
class Data:
    """Rows of a set, in its space."""

    name: str
    space: Space
    trained: tuple[Rows, Labels]
    held: tuple[Rows, Labels]
    radius: float

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(str(one) for one in np.unique(self.trained[1]))


def main() -> None:
    """Run each way on each model of each set."""
    import warnings

    warnings.simplefilter("ignore", ConvergenceWarning)
    for data in (_breast_cancer(), _digits()):
        for name, stated in RECIPES.items():
            _one(data, name, ColumnRecipe(stated, data.space, data.classes))
        _peer(data)


def _breast_cancer() -> Data:
    rows, labels = load_breast_cancer(return_X_y=True)
    return _split("breast cancer", rows, labels, 0.1)


def _digits() -> Data:
    rows, labels = load_digits(return_X_y=True)
    return _split("digits", rows[:900], labels[:900], 0.5)


def _split(name: str, rows: Rows, labels: Labels, radius: float) -> Data:
    varied = np.ptp(rows, axis=0) > 0
    rows = rows[:, varied]
    low, span = rows.min(axis=0), np.ptp(rows, axis=0)
    points = (rows - low) / span
    order = np.random.default_rng(1).permutation(len(points))
    cut = int(0.6 * len(points))
    first, last = order[:cut], order[cut:]
    space = Space([Feature(f"x{at}") for at in range(points.shape[1])])
    labels = labels.astype(np.int64)
    return Data(name, space, (points[first], labels[first]), (points[last], labels[last]), radius)


def _one(data: Data, name: str, recipe: ColumnRecipe) -> None:
    own = usual_radius(*data.trained, 1)
    print(f"\n{data.name}, {name}; robust within {data.radius:g}, trained within {own:.3f}")
    rows, labels = data.trained
    before = recipe.fit(rows, labels, 7)
    right = before(data.held[0]).argmax(axis=1) == data.held[1]
    _show(data, "as it was", before, recipe, right, 0.0)
    for way in (Way.RETRAINED, Way.ADVERSARIAL, Way.REGULARISED, Way.DROPPING):
        start = time.process_time()
        try:
            made = fit_again(way, recipe, rows, labels, Options(), seed=1)
        except ValidationError as error:
            print(f"  {way.value:14}{error.message}")
            continue
        title = "control" if way is Way.RETRAINED else way.value
        spent = time.process_time() - start
        _show(data, title, made.model, made.recipe, right, spent)
        print(f"  {'':14}{made.says[0]}")
    for title, form in (("1 decimal", OutputForm(decimals=1)), ("labels", OutputForm("labels"))):
        _show(data, title, before, recipe, right, 0.0, form)
    if name == "logistic" and len(data.classes) == 2:
        _private(data, right)


def _private(data: Data, right: "np.ndarray[Any, Any]") -> None:
    rows, labels = data.trained
    names = [one.name for one in data.space.features]
    table = pa.table(
        {name: rows[:, at] for at, name in enumerate(names)}
        | {"y": np.array(["no", "yes"])[labels]}
    )
    start = time.process_time()
    found = train(table, drafted(table, "y").domain, Wish(EPSILON))
    spent = time.process_time() - start
    model = found.model
    assert isinstance(model, AdditiveModel)  # noqa: S101 # the default method's

    def predict(asked: Rows) -> Scores:
        given = pa.table({name: asked[:, at] for at, name in enumerate(names)})
        yes = model.predict(given)
        return np.column_stack([1 - yes, yes])

    _show(data, "private", predict, None, right, spent)


def _show(
    data: Data, title: str, model: Predict, recipe: Recipe | None,
    before: "np.ndarray[Any, Any]", seconds: float, form: OutputForm | None = None,
) -> None:  # fmt: skip
    held, truth = data.held
    form = form or OutputForm()
    right = model(held).argmax(axis=1) == truth
    gain = paired_gain(before, right)
    told = ""
    if form.shows == "probabilities":
        pool = pooled(data.trained, data.held, classes=len(data.classes), seed=1)
        target = Target(model, classes=len(data.classes), form=form)
        found = gather(pool, target, recipe, fits=FITS, seed=1)
        assert found.shadows is not None  # noqa: S101 # just gathered
        scores = lira(found.own, found.shadows.matrix(), found.shadows.design.is_in())
        area, rate = auc(scores, pool.is_member), tpr_at(scores, pool.is_member, 0.01)
        told = (
            f"  AUC {area.value:.3f} ({area.low:.3f}-{area.high:.3f})"
            f"  TPR {rate.value:.3f} ({rate.low:.3f}-{rate.high:.3f})"
        )
    sturdy = "      (the same labels)"
    if form == OutputForm():
        audit = robust_accuracy(
            data.space, held[:VICTIMS], truth[:VICTIMS], data.radius, seed=1, pool=held
        )
        sturdy = f"  robust {_told(audit(model))}"
    print(f"  {title:14}accuracy {right.mean():.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
          f"{sturdy}{told}  {seconds:.1f} s", flush=True)  # fmt: skip


def _told(one: Measure) -> str:
    return f"{one.value:.2f} ({one.low:.2f}-{one.high:.2f})"


def _peer(data: Data) -> None:
    radius = usual_radius(*data.trained, 1)
    try:
        found = robustness_hardening_peers.weights(*data.trained, radius)
    except ImportError as error:
        print(f"  no peer: {error}")
        return
    before = ColumnRecipe(RECIPES["logistic"], data.space, data.classes).fit(*data.trained, 7)
    right = before(data.held[0]).argmax(axis=1) == data.held[1]
    for title in ("plain", "trained"):
        slopes, biases = np.array(found[title]["slopes"]), np.array(found[title]["biases"])

        def predict(rows: Rows, slopes: Rows = slopes, biases: Rows = biases) -> Scores:
            margins = rows @ slopes.T + biases
            if margins.shape[1] == 1:
                margins = np.column_stack([-margins / 2, margins / 2])
            raised = np.exp(margins - margins.max(axis=1, keepdims=True))
            return np.asarray(raised / raised.sum(axis=1, keepdims=True))

        seconds = float(found[title]["seconds"])
        _show(data, f"ART {title}", predict, None, right, seconds)


if __name__ == "__main__":
    main()
