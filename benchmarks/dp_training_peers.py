"""Peers of `dp_training`: Opacus as its tutorials train, and diffprivlib by another interpreter.

diffprivlib does not import beside a scikit-learn of 1.9: the interpreter named by `PEERS_PYTHON`
runs this file as a script and needs diffprivlib and nothing of ours. Both see the rows as numbers:
amounts laid on 0 to 1 by their public bounds, a column for each category.
"""

# mypy: ignore-errors
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

HIDDEN, BATCH, EPOCHS, CLIP, RATE = 64, 512, 10, 1.0, 0.01


def opacus_scores(
    rows: np.ndarray, truth: np.ndarray, fresh: np.ndarray, epsilon: float, delta: float
) -> np.ndarray:
    """A network with one hidden layer, by `make_private_with_epsilon` over a loader of batches.

    Raises: ImportError, where there is no Opacus.
    """
    import torch
    from opacus import PrivacyEngine

    torch.set_num_threads(1)  # threads that wait for each other would count as CPU time
    data = torch.utils.data.TensorDataset(
        torch.tensor(rows, dtype=torch.float32), torch.tensor(truth, dtype=torch.float32)
    )
    torch.manual_seed(int.from_bytes(os.urandom(4), "little"))
    network = torch.nn.Sequential(
        torch.nn.Linear(rows.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1)
    )
    network, optimizer, loader = PrivacyEngine(accountant="prv").make_private_with_epsilon(
        module=network, optimizer=torch.optim.Adam(network.parameters(), lr=RATE),
        data_loader=torch.utils.data.DataLoader(data, batch_size=BATCH), epochs=EPOCHS,
        target_epsilon=epsilon, target_delta=delta, max_grad_norm=CLIP,
    )  # fmt: skip
    loss = torch.nn.BCEWithLogitsLoss()
    for _ in range(EPOCHS):
        for batch, right in loader:
            optimizer.zero_grad()
            loss(network(batch).squeeze(1), right).backward()
            optimizer.step()
    with torch.no_grad():
        return network(torch.tensor(fresh, dtype=torch.float32)).squeeze(1).numpy()


def diffprivlib_scores(
    rows: np.ndarray, truth: np.ndarray, fresh: np.ndarray, epsilon: float
) -> np.ndarray:
    """Scores of its logistic regression. Raises: ImportError."""
    python = os.environ.get("PEERS_PYTHON", "")
    if not python:
        raise ImportError("PEERS_PYTHON names no interpreter that has diffprivlib")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npz"
        np.savez(file, rows=rows, truth=truth, fresh=fresh)
        done = subprocess.run(
            [python, str(Path(__file__)), str(file), str(epsilon)], capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    if done.returncode:
        raise ImportError((done.stderr.strip().splitlines() or ["it failed"])[-1])
    return np.array(json.loads(done.stdout))


def main(file: str, epsilon: str) -> list:
    """Learn and score by diffprivlib: zero-mean logistic regression (Chaudhuri et al. 2011)."""
    from diffprivlib.models import LogisticRegression

    warnings.simplefilter("ignore")
    given = np.load(file)
    # A row has one 1 for each of 8 columns of categories, and 6 amounts of at most 1.
    norm = float(np.sqrt(14))
    machine = LogisticRegression(epsilon=float(epsilon), data_norm=norm, max_iter=1_000)
    machine.fit(given["rows"], given["truth"])
    return machine.predict_proba(given["fresh"])[:, 1].tolist()


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
