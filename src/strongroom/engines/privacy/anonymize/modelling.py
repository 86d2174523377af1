"""What a model learns from the table before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.anonymize.coding import texts_of
from strongroom.errors import ValidationError

MAX_ROWS = 50_000
_FOLDS = 3


@dataclass(frozen=True, slots=True)
class ModelAccuracy:
    """Accuracy of a logistic regression that guesses one column from others, cross-validated.

    Attributes:
        before: learned and tested on the table as it came.
        after: on the anonymized one.
        baseline: of always guessing the commonest value.
    """

    target: str
    before: float
    after: float
    baseline: float


def model_accuracy(
    before: pa.Table, after: pa.Table, target: str, features: Sequence[str], *, seed: int
) -> ModelAccuracy:
    """How well `target` is guessed from `features`, before and after.

    Args:
        before, after: each with these columns; a sample is taken of long ones.
    Raises: ValidationError: the target has one value, or too few rows of one.
    """
    scores = [_score(table, target, features, seed) for table in (before, after)]
    counts = texts_of(target, before.column(target)).counts
    return ModelAccuracy(target, scores[0], scores[1], float(counts.max() / counts.sum()))


def _score(table: pa.Table, target: str, features: Sequence[str], seed: int) -> float:
    # Their import takes longer than most searches, and few ask for a model.
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    if table.num_rows > MAX_ROWS:
        chosen = np.random.default_rng(seed).choice(table.num_rows, MAX_ROWS, replace=False)
        table = table.take(np.sort(chosen))
    wanted = texts_of(target, table.column(target)).codes
    common = np.isin(wanted, np.flatnonzero(np.bincount(wanted) >= _FOLDS))
    if len(np.unique(wanted[common])) < 2:
        raise ValidationError(f"`{target}` has fewer than two values that a model could tell")
    columns = np.stack([texts_of(name, table.column(name)).codes for name in features], axis=1)
    encoder = OneHotEncoder(handle_unknown="ignore", min_frequency=5)
    model = make_pipeline(
        ColumnTransformer([("values", encoder, list(range(len(features))))]),
        LogisticRegression(max_iter=200, tol=1e-3),
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    return float(np.mean(cross_val_score(model, columns[common], wanted[common], cv=folds)))
