"""`strongroom attack --keep`, killed by SIGKILL between two shadow models: the rest is fitted."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier
from tests.faces.cli.conftest import Offline

from strongroom.engines.robustness.membership import shadows

ATTACK = (
    "attack", "tree.joblib", "--data", "trained.csv", "--held-out", "others.csv", "--label", "ill",
    "--test", "membership.lira", "--test", "membership.rmia", "--json",
)  # fmt: skip
DYING = """
import os, signal, sys
from strongroom.faces.cli import attack_shown, main
keep, times = attack_shown.keep, []
def dying(*arguments):
    keep(*arguments)
    times.append(1)
    if len(times) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
attack_shown.keep = dying
main.run()
"""


def test_only_what_is_missing_is_fitted_after_a_kill(
    offline: Offline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for name in ("trained", "others"):
        rows = pd.DataFrame({"age": rng.uniform(18, 90, 200), "dose": rng.integers(1, 9, 200)})
        rows["ill"] = (rng.random(200) < rows.age / 108).astype(int)
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        if name == "trained":
            tree = DecisionTreeClassifier(random_state=0).fit(rows[["age", "dose"]], rows["ill"])
            joblib.dump(tree, tmp_path / "tree.joblib")
    done = subprocess.run(
        [sys.executable, "-c", DYING, *ATTACK, "--keep", "kept"], cwd=tmp_path,
        capture_output=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0  # it tells of rows: nobody else's
    fitted, fit = list[int](), shadows.shadow_scores

    def counted(plan: Any, number: int, *rest: Any) -> Any:  # noqa: ANN401 # as the function
        fitted.append(number)
        return fit(plan, number, *rest)

    monkeypatch.setattr(shadows, "shadow_scores", counted)
    _, out, _ = offline(*ATTACK, "--keep", "kept")
    found = json.loads(out)
    own = [number for number in fitted if number >= 5]
    # Canaries have fits of their own, of all sixteen numbers each.
    assert (len(fitted) % 16, len(own) % 11) == (11, 0)
    assert any("a part of membership.shadows" in one for one in found["remarks"])
    assert [one["status"] is not None for one in found["tests"]] == [True, True]
    assert not (tmp_path / "kept").exists()
