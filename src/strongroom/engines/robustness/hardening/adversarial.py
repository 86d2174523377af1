"""Training on what fooled the model, with the right label.

Source: Madry, Makelov, Schmidt, Tsipras & Vladu, "Towards deep learning models resistant to
adversarial attacks", 2018 (train on the worst points of a radius); Kantchelian, Tygar & Joseph,
"Evasion and hardening of tree ensemble classifiers", 2016, section 5 (by adding rows, round after
round, which any kind of model can be trained on).

A row whose label is wrong gets wrong neighbours by it: look for label errors first.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump
from strongroom.engines.robustness.evasion.hunt import Hunt
from strongroom.engines.robustness.evasion.trimming import trim
from strongroom.engines.robustness.recipes import Recipe
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Predict, Rows, Target, Truth
from strongroom.errors import ValidationError

_BEYOND = (1.0, 1.25)
"""Times the nearest wrong answer's distance at which rows are added, where the radius allows."""
_JUMPS = Jumps(rounds=3, first=40)


@dataclass(frozen=True, slots=True)
class AdversariallyTrained:
    """A recipe that fits, attacks what it fitted, adds what it found and fits again.

    Attributes:
        radius: L2 in the space within which rows are added; above about half the distance between
            classes, right labels stop being right.
        rounds: of attacking, 1 to 20. rows: attacked in each, 1 to 10,000.
        progress: told the share that is done.
    """

    recipe: Recipe
    space: Space
    radius: float
    rounds: int = 3
    rows: int = 300
    progress: Callable[[float], None] = lambda _: None

    @property
    def name(self) -> str:
        """For the report."""
        return f"{self.recipe.name}, adversarially trained within {self.radius:g}"

    @property
    def is_own(self) -> bool:
        """It is another recipe than that of the attacked model."""
        return False

    @property
    def classes(self) -> int:
        """Places of the scores."""
        return self.recipe.classes

    def fit(self, rows: Rows, labels: Truth, seed: int) -> Predict:
        """The model of the last round; as the recipe fits it where nothing was found.

        Raises: ValidationError: a regression, which has no wrong answers to add.
        """
        if self.classes < 2:
            raise ValidationError("adversarial training is of models that answer with classes")
        labels = np.asarray(labels, dtype=np.int64)
        rng = np.random.default_rng(seed)
        added, right = rows[:0], labels[:0]
        model = self.recipe.fit(rows, labels, seed)
        whole = np.flatnonzero(np.isfinite(rows).all(axis=1))
        for turn in range(self.rounds):
            chosen = rng.permutation(whole)[: self.rows]
            if not len(chosen):
                break
            found, own = self._found(model, rows[chosen], labels[chosen], rng)
            added, right = np.concatenate([added, found]), np.concatenate([right, own])
            self.progress((turn + 0.5) / self.rounds)
            if not len(found):
                break
            model = self.recipe.fit(
                np.concatenate([rows, added]), np.concatenate([labels, right]), seed
            )
            self.progress((turn + 1) / self.rounds)
        return model

    def _found(
        self, model: Predict, rows: Rows, labels: Labels, rng: np.random.Generator
    ) -> tuple[Rows, Labels]:
        """Wrong answers within the radius, and their right labels."""
        hunt = Hunt(Target(model, classes=self.classes), self.space, rows, labels)
        hopskipjump(hunt, rng, pool=rows, jumps=_JUMPS)
        trim(hunt, rng, rounds=1)
        won = np.flatnonzero((hunt.distances > 0) & (hunt.distances <= self.radius))
        moves = hunt.best[won] - rows[won]
        reach = np.minimum(
            rng.uniform(*_BEYOND, len(won)), self.radius / np.maximum(hunt.distances[won], 1e-12)
        )
        made = self.space.project(rows[won] + reach[:, None] * moves, rows[won])
        valid = self.space.valid(made, rows[won])
        return made[valid], labels[won][valid]
