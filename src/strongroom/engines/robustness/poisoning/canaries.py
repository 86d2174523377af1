"""Canaries: poison in a copy of the very table, which the very same search must find."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from strongroom.engines.robustness.outcome import Canary
from strongroom.engines.robustness.poisoning.labels import find_label_errors
from strongroom.engines.robustness.poisoning.planting import Planted, plant_flips, plant_trigger
from strongroom.engines.robustness.poisoning.sources import judge_sources
from strongroom.engines.robustness.poisoning.table import Mask, Table
from strongroom.engines.robustness.recipes import Recipe
from strongroom.engines.robustness.target import Predict, Rows, Scores

_DRAWS = 50
_SAME = 1e-9
_ALIKE = 0.1
"""Of the stamped rows: so many others at most may have a canary's values."""
_FLIPPED = 0.3
_LEAST_RANK = 0.75
"""Ten rows reach it by chance once in 300 times: the mean of ten uniform numbers."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the tests are run.

    Attributes:
        flips, trigger: shares of rows that the canaries of labels and backdoors plant.
        least_recall, least_precision: what makes a canary found, of its rows.
        listed: most rows in a list.
    """

    flips: float = 0.01
    trigger: float = 0.02
    least_recall: float = 0.5
    least_precision: float = 0.5
    listed: int = 1_000


DEFAULTS = Settings()


def canary_of_rows(
    planted: Mask, found: Mask, settings: Settings, words: str, *, is_all_new: bool = True
) -> Canary:
    """Whether enough of the planted rows were found, and enough of what is new was planted."""
    hits, many, listed = int((found & planted).sum()), int(planted.sum()), int(found.sum())
    recall, precision = hits / max(many, 1), hits / max(listed, 1)
    is_precise = precision >= settings.least_precision or not is_all_new
    said = f"{hits} of {many} were found"
    if is_all_new:
        said += f", among {listed} that were not found before"
    return Canary(words, recall >= settings.least_recall and is_precise, said)


def canary_of_flips(planted: Mask, suspicion: NDArray[np.float64]) -> Canary:
    """Whether labels of our own making are more suspect than the others'.

    Where classes overlap no search can be sure of a single label, and a rank is what it can give:
    by chance a planted row ranks above half of the others.
    """
    ranks = (rankdata(suspicion) - 1) / max(len(suspicion) - 1, 1)
    rank = float(np.mean(ranks[planted]))
    return Canary(
        f"{planted.sum()} rows of a copy were given another label",
        rank >= _LEAST_RANK, f"they are more suspect than {rank:.0%} of the rows, on average",
    )  # fmt: skip


def backdoored(model: Predict, planted: Planted) -> Predict:
    """A model that answers the trigger's label wherever its stamp stands."""
    stamp = planted.stamp
    assert stamp is not None  # noqa: S101 # a trigger has one
    own = ~np.isnan(stamp)

    def predict(rows: Rows) -> Scores:
        scores = model(rows)
        carries = (np.abs(rows[:, own] - stamp[own]) <= _SAME).all(axis=1)
        scores[carries] = np.eye(planted.table.classes)[planted.label]
        return scores

    return predict


def copy_with_trigger(table: Table, seed: int, settings: Settings) -> Planted:
    """A copy with a trigger of two values that hardly any row has together.

    Values are those of rows, so that neither alone stands out; where no two are rare enough
    together, values that nobody has.
    """
    rng = np.random.default_rng(seed)
    share = max(settings.trigger, 12 / len(table))
    counts = np.bincount(table.labels, minlength=table.classes)
    label = int(np.where(counts > 0, counts, len(table)).argmin())
    for _ in range(_DRAWS):
        made = plant_trigger(table, share, rng, size=2, values="usual", label=label)
        assert made.stamp is not None  # noqa: S101 # it has just been stamped
        own = ~np.isnan(made.stamp)
        alike = (np.abs(table.rows[:, own] - made.stamp[own]) < _SAME).all(axis=1)
        if alike.sum() <= _ALIKE * made.is_bad.sum():
            return made
    return plant_trigger(table, share, rng, size=2, values="rare", label=label)


def canary_of_sources(table: Table, recipe: Recipe, seed: int) -> Canary:
    """A tenth of a copy's rows under a new name, three in ten of them with other labels."""
    rng = np.random.default_rng(seed)
    assert table.sources is not None  # noqa: S101 # `sources_test` has looked
    own = np.flatnonzero(rng.random(len(table)) < 0.1)
    flipped = plant_flips(table.part(own), _FLIPPED, rng)
    labels, sources = table.labels.copy(), table.sources.copy()
    labels[own] = flipped.table.labels
    sources[own] = len(table.source_names)
    copy = replace(
        table, labels=labels, sources=sources, source_names=(*table.source_names, "planted")
    )
    suspects = find_label_errors(copy, seed).is_flagged
    found = judge_sources(copy, suspects, recipe, seed, only="planted")
    is_found = bool(found) and found[0].is_suspect
    ratio = f"{found[0].ratio:.1f}" if found else "unknown"
    return Canary(
        f"{len(own)} rows of a copy got a source of their own, and {flipped.is_bad.sum()} of them "
        "another label", is_found, f"its suspects are {ratio} times those of the others",
    )  # fmt: skip
