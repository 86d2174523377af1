"""ART's adversarial trainer, by the interpreter named by `PEERS_PYTHON`.

Run as a script it needs adversarial-robustness-toolbox and scikit-learn, and nothing of ours.
"""

# mypy: ignore-errors
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np


def weights(rows: np.ndarray, labels: np.ndarray, radius: float) -> dict:
    """Weights of a logistic regression, plain and trained by ART. Raises: ImportError."""
    python = os.environ.get("PEERS_PYTHON", "")
    if not python:
        raise ImportError("PEERS_PYTHON names no interpreter that has ART")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npz"
        np.savez(file, rows=rows, labels=labels, radius=radius)
        done = subprocess.run(
            [python, str(Path(__file__)), str(file)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise ImportError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Train on half natural, half attacked rows, three times over; answer with the weights."""
    warnings.filterwarnings("ignore")
    from art.attacks.evasion import ProjectedGradientDescent
    from art.defences.trainer import AdversarialTrainer
    from art.estimators.classification import SklearnClassifier
    from sklearn.linear_model import LogisticRegression

    arrays = np.load(sys.argv[1])
    rows, labels, radius = arrays["rows"], arrays["labels"], float(arrays["radius"])
    truth = np.eye(int(labels.max()) + 1)[labels]
    found = {}
    for title in ("plain", "trained"):
        start = time.process_time()
        model = LogisticRegression(C=10.0, max_iter=1_000)
        wrapped = SklearnClassifier(model, clip_values=(0.0, 1.0))
        wrapped.fit(rows, truth)
        if title == "trained":
            attack = ProjectedGradientDescent(
                wrapped, norm=2, eps=radius, eps_step=radius / 4, max_iter=10, verbose=False
            )
            # ART hands a model of scikit-learn its own options, which that refuses.
            wrapped.fit = lambda x, y, bare=wrapped.fit, **_: bare(x, y)
            trainer = AdversarialTrainer(wrapped, attack, ratio=0.5)
            # One batch of all rows: a model of scikit-learn forgets the batch before.
            trainer.fit(rows, truth, batch_size=len(rows), nb_epochs=3)
        found[title] = {
            "slopes": model.coef_.tolist(), "biases": model.intercept_.tolist(),
            "seconds": time.process_time() - start,
        }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
