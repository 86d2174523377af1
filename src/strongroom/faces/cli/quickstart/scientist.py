"""What a data scientist runs: pandas, scikit-learn and the stock MLflow client, nothing of ours.

Run as a process of its own by the quickstart, and readable as an example: the environment says
where the server is and who is asking, as MLflow documents it (MLFLOW_TRACKING_URI,
MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_SERVER_CERT_PATH, MLFLOW_WORKSPACE), and STRONGROOM_SERVER
where rows are read.

    python -m strongroom.faces.cli.quickstart.scientist train OUTPUT.json
    python -m strongroom.faces.cli.quickstart.scientist smuggle OUTPUT.json
"""

import contextlib
import json
import os
import pickle
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import requests
import sklearn
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

DATASET = "biopsies"
MODEL = "diagnosis"
EXPERIMENT = "diagnosis"
TARGET = "diagnosis"
TIMEOUT_SECONDS = 60
REQUIREMENTS = [f"scikit-learn=={sklearn.__version__}"]
"""Said, so that MLflow need not load the model in another process to find out."""


def read_view() -> tuple[pd.DataFrame, str, str]:
    """The rows of the dataset as this person's role sees them, their address and digest."""
    address = (
        f"{os.environ['STRONGROOM_SERVER']}/api/v1/workspaces/"
        f"{os.environ['MLFLOW_WORKSPACE']}/data/{DATASET}/rows"
    )
    answer = requests.get(
        address,
        params={"format": "parquet"},
        headers={"Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}"},
        verify=os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"],
        timeout=TIMEOUT_SECONDS,
    )
    answer.raise_for_status()
    frame = pd.read_parquet(BytesIO(answer.content))
    return frame, address, answer.headers["Strongroom-Digest"]


def train() -> dict[str, Any]:
    """Train on the masked view, log the run, register the model; what came of it."""
    frame, address, digest = read_view()
    measured = [name for name in frame.columns if frame[name].dtype == "float64"]
    features, target = frame[measured], (frame[TARGET] == "malignant").astype(int)
    x_train, x_test, y_train, y_test = train_test_split(
        features, target, test_size=0.25, random_state=0, stratify=target
    )
    mlflow.set_experiment(EXPERIMENT)
    mlflow.autolog(disable=True)
    with mlflow.start_run() as run:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
        model.fit(x_train, y_train)
        probabilities = model.predict_proba(x_test)[:, 1]
        auc = float(roc_auc_score(y_test, probabilities))
        # MLflow keeps 36 characters of a digest; the whole one goes into a tag.
        data = mlflow.data.from_pandas(frame, source=address, name=DATASET, digest=digest[:36])
        mlflow.log_input(data, context="training", tags={"strongroom.digest": digest})
        mlflow.log_params({"max_iter": 1_000, "features": len(measured)})
        mlflow.log_metrics({"auc": auc, "rows": len(frame)})
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(x_test, model.predict(x_test)),
            input_example=x_test.head(5),
            pip_requirements=REQUIREMENTS,
        )
    registered = mlflow.register_model(logged.model_uri, MODEL)
    version = mlflow.MlflowClient().get_model_version(MODEL, registered.version)
    return {
        "columns": list(frame.columns),
        "rows": len(frame),
        "auc": auc,
        "run_id": run.info.run_id,
        "experiment_id": run.info.experiment_id,
        "version": str(version.version),
        "status": str(version.status),
        "features": measured,
        "example": x_test.head(3).to_numpy().tolist(),
        "probabilities": probabilities[:3].tolist(),
        "labels": model.predict(x_test.head(3)).tolist(),
    }


class Smuggled:
    """An object that runs a command when it is unpickled, as malicious model files do."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        """Tell pickle to call `os.system` when the file is loaded."""
        return os.system, (f"touch {self.mark}",)


def smuggle() -> dict[str, Any]:
    """Register a model whose pickle would run a command when loaded; what the registry said."""
    mlflow.set_experiment(EXPERIMENT)
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder) / "the-payload-ran"
        with mlflow.start_run():
            logged = mlflow.sklearn.log_model(
                LogisticRegression().fit([[0.0], [1.0]], [0, 1]),
                name="model",
                serialization_format="pickle",
                pip_requirements=REQUIREMENTS,
            )
            local = Path(mlflow.artifacts.download_artifacts(logged.model_uri, dst_path=folder))
            (local / "model.pkl").write_bytes(pickle.dumps(Smuggled(mark)))
            mlflow.log_artifacts(str(local), "smuggled")
            source = f"runs:/{mlflow.active_run().info.run_id}/smuggled"
        refusal = ""
        try:
            mlflow.register_model(source, f"{MODEL}-smuggled")
        except mlflow.exceptions.MlflowException as error:
            refusal = str(error)
        return {"refusal": refusal, "payload_ran": mark.exists()}


def main(verb: str, output: Path) -> None:
    """Run `verb` and write what came of it as JSON; MLflow's own words go to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        result = {"train": train, "smuggle": smuggle}[verb]()
    output.write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
