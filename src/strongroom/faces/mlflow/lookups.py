"""Which experiment of the caller's workspace a run, logged model or trace belongs to.

Asked within an open call. What lies in another workspace is not found.
"""

from collections.abc import Callable, Iterable

from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlLoggedModel,
    SqlRun,
    SqlTraceInfo,
)
from sqlalchemy import ColumnElement, select

from strongroom.errors import InternalError
from strongroom.faces.mlflow.caller import present_call
from strongroom.faces.mlflow.foreign import Foreign

Parents = Callable[[Iterable[str]], dict[str, str]]

MAX_IDS = 10_000
"""Ids in one question: more come from no client of MLflow."""


def experiments_of_runs(run_ids: Iterable[str]) -> dict[str, str]:
    """Id of the experiment, by id of the run, for those that are there."""
    return _parents(SqlRun.run_uuid, SqlRun.experiment_id, run_ids)


def experiments_of_logged_models(model_ids: Iterable[str]) -> dict[str, str]:
    """Id of the experiment, by id of the logged model, for those that are there."""
    return _parents(SqlLoggedModel.model_id, SqlLoggedModel.experiment_id, model_ids)


def experiments_of_traces(trace_ids: Iterable[str]) -> dict[str, str]:
    """Id of the experiment, by id of the trace, for those that are there."""
    return _parents(SqlTraceInfo.request_id, SqlTraceInfo.experiment_id, trace_ids)


def trace_exists_elsewhere(trace_id: str, experiment_id: str) -> bool:
    """Whether a trace of this id is in another experiment, of whatever workspace."""
    query = select(SqlTraceInfo.experiment_id).where(SqlTraceInfo.request_id == trace_id)
    found = _session().execute(query).scalar_one_or_none()
    return found is not None and str(found) != str(experiment_id)


def experiment_by_name(name: str) -> str | None:
    """Id of the experiment with that name."""
    query = select(SqlExperiment.experiment_id).where(
        SqlExperiment.name == name, SqlExperiment.workspace == _workspace()
    )
    found = _session().execute(query).scalar_one_or_none()
    return None if found is None else str(found)


def _parents(key: Foreign, parent: Foreign, ids: Iterable[str]) -> dict[str, str]:
    wanted = sorted({str(it) for it in ids})[:MAX_IDS]
    found: dict[str, str] = {}
    for start in range(0, len(wanted), 500):
        inside: ColumnElement[bool] = key.in_(wanted[start : start + 500])
        query = (
            select(key, parent)
            .join(SqlExperiment, SqlExperiment.experiment_id == parent)
            .where(inside, SqlExperiment.workspace == _workspace())
        )
        found.update({str(row[0]): str(row[1]) for row in _session().execute(query)})
    return found


def _session() -> Foreign:
    call = present_call()
    if call is None:
        raise InternalError("looked up outside of a call")
    return call.session


def _workspace() -> str:
    call = present_call()
    if call is None:
        raise InternalError("looked up outside of a call")
    return call.caller.workspace
