"""A stated recipe over the columns of a table: its models take what the attacked model took.

Recipes of attacks live in the coordinates of a space; a model that is to be used takes values. This
one is fitted on points, and its model is a pipeline of scikit-learn over the values they stand for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from strongroom.engines.robustness.hardening.stating import Stated
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Predict, Rows, Scores, Truth
from strongroom.errors import ValidationError


@dataclass(frozen=True, slots=True)
class ColumnRecipe:
    """Fits a stated recipe on points of a space, by the values of its columns.

    Attributes:
        labels: names of the classes, in the order of the scores.
        dropped: features that its models do not take.
        fills: missing numbers become the median of their column.
        changed: what was changed of the recipe, for its name.
    """

    stated: Stated
    space: Space
    labels: tuple[str, ...]
    dropped: frozenset[str] = frozenset()
    fills: bool = False
    changed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise ValidationError("only models that answer with classes are hardened")
        if unknown := sorted(self.dropped - set(self.space.places)):
            raise ValidationError(f"there is no feature `{unknown[0][:100]}`")
        if not self.kept:
            raise ValidationError("a model needs a feature that is not dropped")

    @property
    def kept(self) -> tuple[Feature, ...]:
        """The features that its models take, in order."""
        return tuple(one for one in self.space.features if one.name not in self.dropped)

    @property
    def name(self) -> str:
        """For the report."""
        return " ".join([self.stated.kind, *self.changed])

    @property
    def kind(self) -> str:
        """The class of the estimator."""
        return self.stated.kind

    def setting(self, name: str) -> Any:  # noqa: ANN401 # each its own
        """What the recipe states, None for nothing."""
        return self.stated.settings.get(name)

    @property
    def is_own(self) -> bool:
        """It is how the attacked model was fitted, as far as that says."""
        return self.stated.is_own

    @property
    def classes(self) -> int:
        """Places of the scores."""
        return len(self.labels)

    def adjusted(self, parameters: Mapping[str, Any]) -> "ColumnRecipe":
        """The same with other settings."""
        settings = {**self.stated.settings, **parameters}
        told = ", ".join(f"{name}={value}" for name, value in parameters.items())
        stated = replace(self.stated, settings=settings)
        return replace(self, stated=stated, changed=(*self.changed, f"({told})"))

    def without(self, features: Sequence[str]) -> "ColumnRecipe":
        """The same, whose models do not take these features."""
        dropped = self.dropped | set(features)
        changed = (*self.changed, f"without {', '.join(sorted(features))}")
        return replace(self, dropped=dropped, changed=changed)

    def fit(self, rows: Rows, labels: Truth, seed: int) -> Predict:
        """A `ColumnModel`. Raises: ValidationError: a class has no row."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # has no types

        places = np.asarray(labels, dtype=np.int64)
        if len(np.unique(places)) < 2:
            raise ValidationError("the rows to train on are all of one class")
        names = class_values(self.labels)
        model = pipeline_of(self.stated, self.kept, seed, fills=self.fills)
        with threadpool_limits(1):
            model.fit(self.values(rows), names[places])
        own = {name: place for place, name in enumerate(names.tolist())}
        at = np.array([own[one] for one in model.classes_.tolist()], dtype=np.int64)
        return ColumnModel(self, model, at)

    def values(self, rows: Rows) -> Any:  # noqa: ANN401 # table or array
        """The values that points stand for, as the models take them: a frame where some are texts.

        Of numbers alone it is an array, in the order of `kept`.
        """
        if not any(one.levels for one in self.kept):
            at = [place for place, one in enumerate(self.space.features) if one in self.kept]
            return self.space.matrix(rows)[:, at]
        columns = self.space.decode(rows)
        return self.framed([columns[one.name] for one in self.kept])

    def framed(self, columns: Sequence[Any]) -> Any:  # noqa: ANN401 # as above
        """The columns of `kept` as the models take them."""
        if not any(one.levels for one in self.kept):
            return np.column_stack(columns).astype(np.float64)
        import pandas as pd

        return pd.DataFrame(dict(zip((one.name for one in self.kept), columns, strict=True)))


def pipeline_of(
    stated: Stated, features: Sequence[Feature], seed: int, *, fills: bool = False
) -> Any:  # noqa: ANN401 # scikit-learn has no types
    """An unfitted pipeline of scikit-learn over the values of features.

    Args:
        features: those with levels are texts; then it takes a frame, else an array in their order.
        fills: missing numbers become the median of their column.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    numbers = [("filling", SimpleImputer(strategy="median"))] if fills else []
    scaling = stated.scaling()
    if scaling is not None:
        numbers.append(("scaling", scaling))
    estimator = stated.estimator(seed)
    texts = [one for one in features if one.levels]
    if not texts:
        return Pipeline([*numbers, ("model", estimator)])
    parts: list[tuple[str, Any, list[str]]] = []
    if bare := [one.name for one in features if not one.levels]:
        parts.append(("numbers", Pipeline(numbers) if numbers else "passthrough", bare))
    encoder = OneHotEncoder(
        categories=[list(one.levels) for one in texts], handle_unknown="ignore",
        sparse_output=False,
    )  # fmt: skip
    parts.append(("categories", encoder, [one.name for one in texts]))
    return Pipeline([("columns", ColumnTransformer(parts)), ("model", estimator)])


@dataclass(frozen=True, slots=True)
class ColumnModel:
    """A model that was fitted over columns.

    Attributes:
        pipeline: of scikit-learn, fitted.
        places: of each class that it knows, in the scores.
    """

    recipe: ColumnRecipe
    pipeline: Any
    places: "np.ndarray[Any, np.dtype[np.int64]]"

    def __call__(self, rows: Rows) -> Scores:
        """Probabilities; classes that the training rows lacked get 0."""
        from threadpoolctl import threadpool_limits  # as above

        scores = np.zeros((len(rows), self.recipe.classes))
        if len(rows):
            with threadpool_limits(1):
                scores[:, self.places] = self.pipeline.predict_proba(self.recipe.values(rows))
        return scores


def class_values(names: Sequence[str]) -> "np.ndarray[Any, Any]":
    """Classes as their models name them: whole numbers where all are, else texts."""
    bare = [one.removesuffix(".0") for one in names]
    if all(one.lstrip("-").isdigit() and str(int(one)) == one for one in bare):
        return np.array([int(one) for one in bare], dtype=np.int64)
    return np.array(names, dtype=object)
