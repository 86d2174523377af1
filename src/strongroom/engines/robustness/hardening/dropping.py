"""Training without the features on which an attack hangs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.recipes import Recipe
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Predict, Rows, Scores, Truth
from strongroom.errors import ValidationError


@dataclass(frozen=True, slots=True)
class Without:
    """A recipe whose models neither see nor answer to some features.

    The rows keep their width: each dropped coordinate is set to 0, in training and in questions.
    """

    recipe: Recipe
    space: Space
    features: tuple[str, ...]

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.features) - set(self.space.places)):
            raise ValidationError(f"there is no feature `{unknown[0][:100]}`")
        if set(self.features) >= set(self.space.places):
            raise ValidationError("a model needs a feature that is not dropped")

    @property
    def name(self) -> str:
        """For the report."""
        return f"{self.recipe.name} without {', '.join(self.features)}"

    @property
    def is_own(self) -> bool:
        """It is another recipe than that of the attacked model."""
        return False

    @property
    def classes(self) -> int:
        """Places of the scores."""
        return self.recipe.classes

    def fit(self, rows: Rows, labels: Truth, seed: int) -> Predict:
        """A model of what is left of the rows."""
        model = self.recipe.fit(self._bare(rows), labels, seed)

        def predict(asked: Rows) -> Scores:
            return model(self._bare(asked))

        return predict

    def _bare(self, rows: Rows) -> Rows:
        made = rows.copy()
        for name in self.features:
            made[:, self.space.places[name]] = 0.0
        return made


def leant_on(space: Space, origins: Rows, moved: Rows) -> dict[str, float]:
    """How much of the attack each feature carries: its share of the squared moves, largest first.

    Args:
        origins, moved: (rows, width), of attacks that were won. Each row weighs the same.
    """
    squares = (moved - origins) ** 2
    lengths = squares.sum(axis=1, keepdims=True)
    shares = (squares / np.where(lengths > 0, lengths, 1.0)).mean(axis=0) if len(squares) else None
    found = {
        one.name: 0.0 if shares is None else float(shares[space.places[one.name]].sum())
        for one in space.features
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def chosen(shares: dict[str, float], *, most: int, kept: Sequence[str] = ()) -> tuple[str, ...]:
    """Features to drop: those that carry more than twice an even part, but for those to keep.

    Args:
        most: features, at most; never all of them.
    """
    even = 1.0 / max(len(shares), 1)
    heavy = [name for name, share in shares.items() if share > 2 * even and name not in kept]
    return tuple(heavy[: min(most, len(shares) - 1)])
