"""What a data scientist does with the stock MLflow client; run as a program of its own.

Argument: a folder for files. The server is named by MLFLOW_TRACKING_URI, the key by
MLFLOW_TRACKING_TOKEN. Prints a line per step and seconds it took; any failure ends it.
"""

import hashlib
import os
import pickle
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

FOLDER = Path(sys.argv[1])
BIG = 64 * 2**20


class Trojan:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


client = MlflowClient()
began = time.monotonic()


def step(name: str) -> None:
    global began  # noqa: PLW0603 # a stop watch
    print(f"{name}: {time.monotonic() - began:.2f} s", flush=True)  # noqa: T201 # the program's output
    began = time.monotonic()


step("import")

# Experiments.
experiment = mlflow.set_experiment("biopsies")
client.set_experiment_tag(experiment.experiment_id, "ward", "7")
assert client.get_experiment_by_name("biopsies").tags == {"ward": "7"}
assert "biopsies" in [it.name for it in client.search_experiments()]
assert "biopsies" in [it.name for it in client.search_experiments(filter_string="name LIKE 'bio%'")]
assert not client.search_experiments(filter_string="name LIKE 'BIO%'")
step("experiments")

# Runs, parameters, metrics, batches, search.
with mlflow.start_run(run_name="first") as run:
    mlflow.log_param("depth", 3)
    mlflow.log_metric("auc", 0.9, step=1)
    mlflow.log_metrics({"auc": 0.95, "loss": 0.1}, step=2)
    mlflow.set_tags({"kind": "trial", "mlflow.user": "somebody else"})
    with mlflow.start_run(run_name="child", nested=True):
        mlflow.log_metric("auc", 0.5)
client.log_batch(
    run.info.run_id,
    metrics=[
        Metric("many", value=i / 10, timestamp=1_700_000_000_000 + i, step=i) for i in range(500)
    ],
    params=[Param(f"p{i}", str(i)) for i in range(50)],
    tags=[RunTag("batch", "yes")],
)
seen = client.get_run(run.info.run_id)
assert seen.data.metrics["auc"] == 0.95
assert seen.data.params["depth"] == "3"
assert seen.data.params["p49"] == "49"
assert seen.data.tags["batch"] == "yes"
assert seen.data.tags["mlflow.user"] == "Olga", seen.data.tags
assert seen.info.user_id == "Olga"
assert len(client.get_metric_history(run.info.run_id, "many")) == 500
found = mlflow.search_runs(filter_string="metrics.auc > 0.9 and params.depth = '3'")
assert list(found["run_id"]) == [run.info.run_id]
assert len(mlflow.search_runs(search_all_experiments=True)) == 2
step("runs")

# Artifacts, small and large.
note = FOLDER / "note.txt"
note.write_text("hello")
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.log_artifact(str(note), "notes")
    mlflow.log_text("räksmörgås", "notes/unicode name.txt")
    mlflow.log_dict({"a": 1}, "config.json")
assert {it.path for it in client.list_artifacts(run.info.run_id)} == {"notes", "config.json"}
assert len(client.list_artifacts(run.info.run_id, "notes")) == 2
assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/unicode name.txt") == "räksmörgås"
step("artifacts")
big = FOLDER / "big.bin"
rng = np.random.default_rng(0)
with big.open("wb") as file:
    for _ in range(BIG // 2**20):
        file.write(rng.bytes(2**20))
digest = hashlib.sha256(big.read_bytes()).hexdigest()
step("make 64 MB")
client.log_artifact(run.info.run_id, str(big), "large")
step("upload 64 MB")
got = Path(client.download_artifacts(run.info.run_id, "large/big.bin", str(FOLDER)))
step("download 64 MB")
assert hashlib.sha256(got.read_bytes()).hexdigest() == digest
client.delete_run(run.info.run_id)
client.restore_run(run.info.run_id)
step("check")

# Datasets as inputs.
table = load_breast_cancer(as_frame=True).frame
with mlflow.start_run(run_name="data"):
    mlflow.log_input(
        mlflow.data.from_pandas(table.head(20), name="biopsies", targets="target"), "training"
    )
assert client.search_runs([experiment.experiment_id], "datasets.name = 'biopsies'")[
    0
].inputs.dataset_inputs
step("datasets")

# Logged models and the registry.
rows, labels = StandardScaler().fit_transform(table.drop(columns="target")), table["target"]
model = LogisticRegression().fit(rows, labels)
with mlflow.start_run(run_name="model") as trained:
    # What a model needs MLflow finds out in another process, which takes seconds; it does so below,
    # where the model is logged by itself.
    logged = mlflow.sklearn.log_model(
        model, name="classifier", input_example=rows[:2], pip_requirements=["scikit-learn"]
    )
    mlflow.log_metric("accuracy", float(model.score(rows, labels)), model_id=logged.model_id)
step("log model")
assert client.get_logged_model(logged.model_id).source_run_id == trained.info.run_id
assert [
    it.model_id
    for it in mlflow.search_logged_models(
        output_format="list", filter_string="metrics.accuracy > 0.9"
    )
] == [logged.model_id]
client.set_logged_model_tags(logged.model_id, {"stage": "trial"})
again = mlflow.sklearn.load_model(logged.model_uri)
assert (again.predict(rows) == model.predict(rows)).all()
step("load logged model")
version = mlflow.register_model(logged.model_uri, "tumour")
assert client.get_model_version("tumour", version.version).status == "READY"
step("register")
client.set_registered_model_alias("tumour", "champion", version.version)
client.set_registered_model_tag("tumour", "team", "oncology")
client.set_model_version_tag("tumour", version.version, "checked", "yes")
client.update_model_version("tumour", version.version, description="first")
best = mlflow.sklearn.load_model("models:/tumour@champion")
assert (best.predict(rows) == model.predict(rows)).all()
assert client.get_model_version_by_alias("tumour", "champion").version == version.version
assert mlflow.pyfunc.load_model(f"models:/tumour/{version.version}").predict(rows[:2]).shape == (2,)
assert [it.name for it in client.search_registered_models()] == ["tumour"]
assert [it.version for it in client.search_model_versions("name = 'tumour'")] == [version.version]
step("registry")
copied = client.copy_model_version("models:/tumour@champion", "tumour-copy")
assert (copied.name, copied.version) == ("tumour-copy", 1) or str(copied.version) == "1"
step("copy")

# A model that does not pass its checks.
with mlflow.start_run(run_name="evil") as evil:
    trojan = FOLDER / "model.pkl"
    trojan.write_bytes(pickle.dumps(Trojan()))
    mlflow.log_artifact(str(trojan), "bad")
client.create_registered_model("trojan")
reason = ""
try:
    client.create_model_version("trojan", f"{evil.info.artifact_uri}/bad", evil.info.run_id)
except MlflowException as error:
    reason = str(error)
assert "system" in reason, reason
assert client.get_model_version("trojan", "1").status == "FAILED_REGISTRATION"
step("refused model")

# Autologging.
mlflow.sklearn.autolog(log_datasets=True, silent=True)
with mlflow.start_run(run_name="auto") as auto:
    LogisticRegression(C=0.5).fit(rows, labels)
mlflow.sklearn.autolog(disable=True)
data = client.get_run(auto.info.run_id).data
assert data.params["C"] == "0.5"
assert "training_score" in data.metrics
step("autolog")

# Traces.
with mlflow.start_span("asked") as span:
    span.set_inputs({"question": 1})
mlflow.flush_trace_async_logging()
assert len(mlflow.search_traces(locations=[experiment.experiment_id], include_spans=False)) == 1
step("traces")
assert isinstance(table, pd.DataFrame)
