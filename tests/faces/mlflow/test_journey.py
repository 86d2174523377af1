"""The stock MLflow client, unmodified, against the server, under a Data Scientist's key."""

import os
import subprocess
import sys
from pathlib import Path

from tests.faces.mlflow.ward import Ward


def test_a_data_scientist_works_with_the_stock_client(ward: Ward, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if "MLFLOW" not in name} | {
        "MLFLOW_TRACKING_URI": ward.url,
        "MLFLOW_TRACKING_TOKEN": ward.keys["olga"],
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    script = Path(__file__).with_name("journey.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(tmp_path)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert "traces:" in done.stdout
    mine = [it for it in ward.events() if it.actor == ward.people["olga"].id]
    assert {"mlflow.log_batch", "mlflow.start_trace"} & {it.operation for it in mine}
