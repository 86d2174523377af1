"""Run by the interpreter of `PEERS_PYTHON`: HopSkipJump of the Adversarial Robustness Toolbox.

`ROWS.npz MODEL COUNT` fits the same model to the same rows (scikit-learn of the same release gives
the same model; the scores printed tell), attacks the first rows and prints one JSON object. Needs
`art` and scikit-learn and nothing of ours.
"""

# mypy: ignore-errors
import json
import sys
import time
import warnings

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier


def fitted(kind: str, rows: np.ndarray, labels: np.ndarray) -> object:
    """The attacked model; `benchmarks.robustness_evasion` uses this too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "network":
            return MLPClassifier((100,), max_iter=400, random_state=0).fit(rows, labels)
        return RandomForestClassifier(100, n_jobs=1, random_state=0).fit(rows, labels)


def main(file: str, kind: str, count: str) -> None:
    """Attack in L2 with the toolbox's defaults but ten rounds in place of fifty."""
    from art.attacks.evasion import HopSkipJump
    from art.estimators.classification import SklearnClassifier

    data = np.load(file)
    model = fitted(kind, data["fit"], data["fit_labels"])
    rows, labels = data["rows"][: int(count)], data["labels"][: int(count)]
    asked = 0
    inner = model.predict_proba

    def counted(points: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += len(points)
        return inner(points)

    print_scores = float(np.abs(inner(data["rows"])[:, 0]).sum())
    model.predict_proba = counted
    np.random.seed(0)  # the toolbox draws from there
    attack = HopSkipJump(
        SklearnClassifier(model, clip_values=(0.0, 1.0)), targeted=False, norm=2, max_iter=10,
        verbose=False,
    )  # fmt: skip
    started = time.process_time()
    made = attack.generate(rows.astype(np.float32))
    seconds = time.process_time() - started
    is_found = model.predict(made) != labels
    distances = np.where(is_found, np.linalg.norm(made - rows, axis=1), -1.0)
    print(json.dumps({
        "seconds": seconds / len(rows), "queries": asked / len(rows),
        "distances": distances.tolist(), "scores": print_scores,
    }))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
