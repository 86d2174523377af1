"""Wrong numbers in the rows of regressions, and labels flipped out of one class: what is found.

Numbers of some rows are replaced by those half of all numbers away. Tables come from scikit-learn
or are drawn; the search was chosen on `friedman`, `skewed` and `tails`, the others report. Labels:
tables of scikit-learn and drawn ones, of which digits was tuned on; half of a class or less is
given the next label, and the vote of neighbours stands beside (Peri et al., "Deep k-NN defense
against clean-label data poisoning attacks", 2020, here on the features themselves, with as many
neighbours as a class has rows).
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.neighbors import NearestNeighbors

from strongroom.engines.robustness.poisoning.folds import standardized
from strongroom.engines.robustness.poisoning.labels import FLAGGED, find_label_errors
from strongroom.engines.robustness.poisoning.mistakes import wrongness
from strongroom.engines.robustness.poisoning.numbers import find_number_errors
from strongroom.engines.robustness.poisoning.numbers_assessment import plant_numbers
from strongroom.engines.robustness.poisoning.planting import plant_flips
from strongroom.engines.robustness.poisoning.table import Mask, Table
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Rows

SHARES = (0.0, 0.01, 0.05, 0.1)
Numbers = NDArray[np.float64]


def main() -> None:
    """Print all of it."""
    print("numbers: precision/recall at 1, 5 and 10 %, and what is flagged where all are right")
    for name, (rows, numbers) in regressions().items():
        told, started = [], time.process_time()
        for share in SHARES:
            changed, is_bad = numbers, np.zeros(len(numbers), dtype=bool)
            if share:
                changed, is_bad = plant_numbers(numbers, share, np.random.default_rng(0))
            told.append(_told(find_number_errors(rows, changed, 0).is_flagged, is_bad))
        seconds = (time.process_time() - started) / len(SHARES)
        print(f"  {name:<10} {', '.join(told[1:])}; honest {told[0]}; {seconds:.1f} s each",
              flush=True)  # fmt: skip
    print("labels out of one class, 5 % of the table: with anchors, without, neighbours' vote")
    for name, make in classes().items():
        table = make()
        for share in (0.0, 0.05):
            planted, is_bad = table, np.zeros(len(table), dtype=bool)
            if share:
                made = plant_flips(table, share, np.random.default_rng(0), "targeted")
                planted, is_bad = made.table, made.is_bad
            found = find_label_errors(planted, 0)
            without = wrongness(found.scores, planted.labels)[0] >= FLAGGED
            vote = _neighbours(planted.rows, planted.labels)
            print(f"  {name:<14} {'flipped' if share else 'honest':<8} "
                  f"{', '.join(_told(one, is_bad) for one in (found.is_flagged, without, vote))}",
                  flush=True)  # fmt: skip


def regressions() -> dict[str, tuple[Rows, Numbers]]:
    """Rows and numbers."""
    rng = np.random.default_rng(5)
    rows = rng.random((2_000, 8))
    noise = 0.15 * rng.normal(size=2_000) * (1 + rows[:, 3])
    skewed = np.exp(2 * rows[:, 0] + rows[:, 1] * rows[:, 2] + noise)
    tails = 10 * rows[:, 0] + 5 * rows[:, 1] * rows[:, 2] + 0.5 * rng.standard_t(3, size=2_000)
    return {
        "friedman": datasets.make_friedman1(1_500, 10, noise=1.0, random_state=1),
        "skewed": (rows, skewed),
        "tails": (rows, tails),
        "linear": datasets.make_regression(1_500, 12, n_informative=6, noise=10, random_state=3),
        "friedman 3": datasets.make_friedman3(1_500, noise=0.1, random_state=2),
        "diabetes": datasets.load_diabetes(return_X_y=True),
    }  # fmt: skip


def classes() -> dict[str, Callable[[], Table]]:
    """Tables of classes."""

    def drawn(count: int, apart: float, seed: int, clusters: int) -> Callable[[], Table]:
        return lambda: _table(*datasets.make_classification(
            2_500, 20, n_informative=8, n_redundant=4, n_classes=count, class_sep=apart,
            n_clusters_per_class=clusters, flip_y=0, random_state=seed,
        ))  # fmt: skip

    made: dict[str, Callable[[], Table]] = {
        name: lambda name=name: _table(*getattr(datasets, f"load_{name}")(return_X_y=True))  # type: ignore[misc] # each its own name
        for name in ("digits", "wine", "iris")
    }
    return {
        **made, "five classes": drawn(5, 1.6, 11, 1), "seven classes": drawn(7, 2.2, 5, 2),
        "five, nearer": drawn(5, 1.4, 4, 2),
    }  # fmt: skip


def _table(rows: Rows, labels: Labels) -> Table:
    spread = np.ptp(rows, axis=0)
    scaled = (rows - rows.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    return Table.of(Space.box(rows.shape[1]), scaled, labels.astype(np.int64))


def _neighbours(rows: Rows, labels: Labels) -> Mask:
    plain = standardized(rows)
    count = len(rows) // len(np.unique(labels))
    _, near = NearestNeighbors(n_neighbors=count + 1).fit(plain).kneighbors(plain)
    votes = np.stack([(labels[near[:, 1:]] == one).sum(axis=1) for one in np.unique(labels)])
    return np.asarray(votes.argmax(axis=0) != labels)


def _told(flagged: Mask, is_bad: Mask) -> str:
    if not is_bad.any():
        return f"{flagged.mean():.2%}"
    hits = int((flagged & is_bad).sum())
    return f"{hits / max(int(flagged.sum()), 1):.2f}/{hits / int(is_bad.sum()):.2f}"


if __name__ == "__main__":
    main()
