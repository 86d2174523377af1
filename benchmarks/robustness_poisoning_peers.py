"""Run by the interpreter of `PEERS_PYTHON`: what peers find in `robustness_poisoning`'s tables.

Needs cleanlab and adversarial-robustness-toolbox, and nothing of ours. Takes a folder of `.npz`
files with rows and labels, writes beside each which rows each peer flags, and its CPU-seconds.
Cleanlab gets out-of-fold probabilities of a forest, as its tutorials do. ART's defences get the
hidden layer of a network (scikit-learn's, 64 units) and are told the true share of poison.
"""

# mypy: ignore-errors
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np


def cleanlab(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows that confident learning flags."""
    from cleanlab.filter import find_label_issues
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    forest = RandomForestClassifier(100, random_state=0)
    scores = cross_val_predict(forest, rows, labels, cv=folds, method="predict_proba")
    return find_label_issues(labels, scores)


class Network:
    """A network of one hidden layer, as ART's defences ask it."""

    layer_names = ("hidden",)

    def __init__(self, rows: np.ndarray, labels: np.ndarray) -> None:
        from sklearn.neural_network import MLPClassifier

        self.model = MLPClassifier((64,), max_iter=60, random_state=0).fit(rows, labels)
        self.nb_classes = int(labels.max()) + 1

    def get_activations(self, rows: np.ndarray, *_: object, **__: object) -> np.ndarray:
        """The hidden layer."""
        return np.maximum(rows @ self.model.coefs_[0] + self.model.intercepts_[0], 0)


def spectral(network: Network, rows: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """ART's SpectralSignatureDefense."""
    from art.defences.detector.poison import SpectralSignatureDefense

    targets = np.eye(network.nb_classes)[labels]
    defence = SpectralSignatureDefense(
        network, rows, targets, expected_pp_poison=share, batch_size=len(rows)
    )
    return np.asarray(defence.detect_poison()[1]) == 0


def clusters(network: Network, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """ART's ActivationDefence, with its defaults."""
    from art.defences.detector.poison import ActivationDefence

    defence = ActivationDefence(network, rows, np.eye(network.nb_classes)[labels])
    return np.asarray(defence.detect_poison(nb_clusters=2, nb_dims=10, reduce="PCA")[1]) == 0


def main(folder: str) -> None:
    """Answer every table of a folder."""
    warnings.simplefilter("ignore")
    for file in sorted(Path(folder).glob("*.npz")):
        given = np.load(file)
        rows, labels, share = given["rows"], given["labels"], float(given["share"])
        ways = {"cleanlab": lambda rows=rows, labels=labels: cleanlab(rows, labels)}
        if given["is_trigger"]:
            spread = rows.std(axis=0)
            even = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)
            network = Network(even, labels)
            ways["ART spectral"] = lambda e=even, y=labels, n=network, s=share: spectral(n, e, y, s)
            ways["ART clusters"] = lambda e=even, y=labels, n=network: clusters(n, e, y)
        answers = {}
        for name, way in ways.items():
            start = time.process_time()
            try:
                flagged = np.flatnonzero(way()).tolist()
            except Exception as error:  # noqa: BLE001 # a peer's failure is its figure
                print(f"{name}: {error}", file=sys.stderr)
                continue
            answers[name] = (flagged, time.process_time() - start)
        file.with_suffix(".json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1])
