"""What MLflow finds through its entry points for URIs `strongroom://…`.

MLflow loads this module while its own are being imported, so nothing of MLflow is imported here
before it is asked for. Outside of a server that mounted MLflow there is nothing to find.
"""

from strongroom.faces.mlflow.foreign import Foreign


def tracking_store(store_uri: str = "", artifact_uri: str = "", **_: object) -> Foreign:  # noqa: ARG001 # MLflow's signature
    """The store of experiments, runs and logged models."""
    from strongroom.faces.mlflow.house import mounted

    return mounted().tracking_store


def registry_store(store_uri: str = "", **_: object) -> Foreign:  # noqa: ARG001 # MLflow's signature
    """The store of registered models and their versions."""
    from strongroom.faces.mlflow.house import mounted

    return mounted().registry_store


def workspace_store(workspace_uri: str = "", **_: object) -> Foreign:  # noqa: ARG001 # MLflow's signature
    """The workspaces, as MLflow may see them."""
    from strongroom.faces.mlflow.house import mounted

    return mounted().workspace_store


def artifact_repository(artifact_uri: str, *_: object, **__: object) -> Foreign:
    """The files below `artifact_uri`."""
    from strongroom.faces.mlflow.repository import SealedArtifactRepository

    return SealedArtifactRepository(artifact_uri)
