"""ART's membership attacks, by another interpreter: one that has it, named by `PEERS_PYTHON`.

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


def figures(rows, truth, model, models: int, fits: int) -> dict:  # noqa: ANN001 # as main calls it
    """Attack → AUC, TPR at 1 % and CPU-seconds of each attacked model. Raises: ImportError."""
    python = os.environ.get("PEERS_PYTHON", "")
    if not python:
        raise ImportError("PEERS_PYTHON names no interpreter that has ART")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npz"
        np.savez(file, rows=rows, truth=truth)
        kind = type(model).__name__
        done = subprocess.run(
            [python, str(Path(__file__)), str(file), kind, str(models), str(fits)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise ImportError((done.stderr.strip().splitlines() or ["it failed"])[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def _told(scores, is_member, cost: float) -> tuple:  # noqa: ANN001 # as `main` calls it
    from sklearn.metrics import roc_auc_score

    others = np.sort(scores[~is_member])[::-1]
    line = others[min(int(0.01 * len(others)), len(others) - 1)]
    return float(roc_auc_score(is_member, scores)), float((scores[is_member] > line).mean()), cost


def _attacked(rows, truth, model, seed: int, fits: int) -> dict:  # noqa: ANN001 # as `main` calls it
    from art.attacks.inference.membership_inference import (
        MembershipInferenceBlackBox,
        MembershipInferenceBlackBoxRuleBased,
        ShadowModels,
    )
    from art.estimators.classification import SklearnClassifier
    from sklearn.base import clone

    order = np.random.default_rng(seed).permutation(len(rows))
    rows, truth = rows[order], truth[order]
    half = len(rows) // 2
    classifier = SklearnClassifier(
        clone(model).set_params(random_state=seed).fit(rows[:half], truth[:half])
    )
    quarter = half // 2
    judged = np.r_[quarter:half, half + quarter : len(rows)]
    is_member = judged < half
    found = {}

    def scored(name: str, attack, start: float) -> None:  # noqa: ANN001 # as `main` calls it
        scores = attack.infer(rows[judged], truth[judged], probabilities=True)
        scores = scores[:, -1] if scores.ndim > 1 else scores
        found[name] = _told(np.asarray(scores).ravel(), is_member, time.process_time() - start)

    start = time.process_time()
    attack = MembershipInferenceBlackBox(classifier, attack_model_type="rf")
    attack.fit(
        rows[:quarter], truth[:quarter], rows[half : half + quarter], truth[half : half + quarter]
    )
    scored("black box, told half", attack, start)
    start = time.process_time()
    shadow = ShadowModels(
        SklearnClassifier(clone(model).fit(rows[:50], truth[:50])), num_shadow_models=fits,
        random_state=seed,
    )  # fmt: skip
    one_hot = np.eye(int(truth.max()) + 1)[truth]
    data = shadow.generate_shadow_dataset(rows, one_hot, member_ratio=0.5)
    (inside, inside_y, inside_p), (outside, outside_y, outside_p) = data
    attack = MembershipInferenceBlackBox(classifier, attack_model_type="rf")
    attack.fit(inside, inside_y, outside, outside_y, inside_p, outside_p)
    scored(f"black box, {fits} shadow models", attack, start)
    start = time.process_time()
    guess = MembershipInferenceBlackBoxRuleBased(classifier).infer(rows[judged], truth[judged])
    found["rule (label right)"] = _told(
        np.asarray(guess, dtype=float).ravel(), is_member, time.process_time() - start
    )
    return found


def _main(file: str, kind: str, models: int, fits: int) -> None:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    warnings.simplefilter("ignore")
    data = np.load(file)
    model = {
        "RandomForestClassifier": RandomForestClassifier(100, n_jobs=1),
        "LogisticRegression": LogisticRegression(max_iter=500),
    }[kind]
    found: dict = {}
    for seed in range(models):
        for name, one in _attacked(data["rows"], data["truth"], model, seed, fits).items():
            found.setdefault(name, []).append(one)
    print(json.dumps(found))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
