"""The table of the tracking store: what each of its methods needs, and how it is recorded.

A method that is not here is refused. docs/mlflow.md lists what is offered.
"""

from collections.abc import Callable, Iterable, Sequence

from strongroom.faces.mlflow import lookups
from strongroom.faces.mlflow.caller import Caller
from strongroom.faces.mlflow.foreign import Foreign
from strongroom.faces.mlflow.guard import Arguments, EntitiesOf, Rule
from strongroom.gate.access.types import Entity, workspace_entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.operation import Admission

UNKNOWN = "unknown"
"""Stands in for the id of a thing that is not there."""

HARMLESS = frozenset(
    {
        "end_async_logging",
        "flush_async_logging",
        "resolve_trace_archival_config",
        "sanitize_metric_value",
        "shut_down_async_logging",
    }
)
"""Pure functions, and those that look after a queue that nothing can be put into."""


def in_workspace(_store: object, caller: Caller, _arguments: Arguments) -> Sequence[Entity]:
    """The workspace itself: for searches, and for what is yet to be created."""
    return [workspace_entity(caller.workspace)]


def experiment(caller: Caller, experiment_id: object) -> Entity:
    """An experiment; an id that cannot be one does not get into the log."""
    text = str(experiment_id)
    plain = text.isascii() and text.isdecimal() and len(text) < 20
    return caller.entity("Experiment", text if plain else UNKNOWN)


def _experiments(caller: Caller, ids: Iterable[object]) -> Sequence[Entity]:
    found = [experiment(caller, it) for it in ids]
    return found or [workspace_entity(caller.workspace)]


def _listed(value: object) -> list[Foreign]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload] # MLflow passes lists


def of_experiment(argument: str = "experiment_id") -> EntitiesOf:
    """The experiment, or experiments, whose ids the argument holds."""
    return lambda _store, caller, arguments: _experiments(caller, _listed(arguments[argument]))


def _by_parent(
    parents: lookups.Parents, argument: str, read: Callable[[Foreign], Foreign]
) -> EntitiesOf:
    def entities(_store: object, caller: Caller, arguments: Arguments) -> Sequence[Entity]:
        ids = [str(read(it)) for it in _listed(arguments[argument])]
        found = parents(ids)
        return _experiments(caller, [found.get(it, UNKNOWN) for it in ids])

    return entities


def of_run(argument: str = "run_id", read: Callable[[Foreign], Foreign] = str) -> EntitiesOf:
    """The experiments of the runs that the argument names."""
    return _by_parent(lookups.experiments_of_runs, argument, read)


def of_logged_model(
    argument: str = "model_id", read: Callable[[Foreign], Foreign] = str
) -> EntitiesOf:
    """The experiments of the logged models that the argument names."""
    return _by_parent(lookups.experiments_of_logged_models, argument, read)


def of_trace(argument: str = "trace_id") -> EntitiesOf:
    """The experiments of the traces that the argument names."""
    return _by_parent(lookups.experiments_of_traces, argument, str)


def _named(_store: object, caller: Caller, arguments: Arguments) -> Sequence[Entity]:
    return [experiment(caller, lookups.experiment_by_name(arguments["experiment_name"]))]


def _of_new_trace(_store: object, caller: Caller, arguments: Arguments) -> Sequence[Entity]:
    return [experiment(caller, arguments["trace_info"].experiment_id)]


def _searched_traces(_store: object, caller: Caller, arguments: Arguments) -> Sequence[Entity]:
    ids = _listed(arguments["experiment_ids"]) + _listed(arguments["locations"])
    return _experiments(caller, ids)


def _seen_experiments(admission: Admission, caller: Caller, page: Foreign) -> Foreign:
    """Of a page of experiments those that the caller may read; the token to the next page stays."""
    seen = [
        it
        for it in page
        if admission.allows("readExperiment", experiment(caller, it.experiment_id))
    ]
    return type(page)(seen, page.token)


def _read(entities: EntitiesOf, **more: Foreign) -> Rule:
    return Rule("readExperiment", entities, AuditClass.DATASTORE_ACTIVITY, **more)


def _write(entities: EntitiesOf, **more: Foreign) -> Rule:
    return Rule("writeExperiment", entities, AuditClass.AI_OPERATION, writes=True, **more)


def _delete(entities: EntitiesOf) -> Rule:
    return Rule("deleteExperiment", entities, AuditClass.ENTITY_MANAGEMENT, writes=True)


RULES: dict[str, Rule] = {
    # experiments
    "create_experiment": _write(in_workspace),
    "rename_experiment": _write(of_experiment()),
    "set_experiment_tag": _write(of_experiment()),
    "delete_experiment_tag": _write(of_experiment()),
    "delete_experiment": _delete(of_experiment()),
    "restore_experiment": _delete(of_experiment()),
    "get_experiment": _read(of_experiment()),
    "get_experiment_by_name": _read(_named),
    "search_experiments": _read(in_workspace, filter=_seen_experiments),
    # runs
    "create_run": _write(of_experiment()),
    "update_run_info": _write(of_run()),
    "delete_run": _write(of_run()),
    "restore_run": _write(of_run()),
    "log_batch": _write(of_run()),
    "log_metric": _write(of_run()),
    "log_param": _write(of_run()),
    "set_tag": _write(of_run()),
    "delete_tag": _write(of_run()),
    "record_logged_model": _write(of_run()),
    "log_inputs": _write(
        of_run(), also=(("readExperiment", of_logged_model("models", lambda it: it.model_id)),)
    ),
    "log_outputs": _write(
        of_run(), also=(("readExperiment", of_logged_model("models", lambda it: it.model_id)),)
    ),
    "get_run": _read(of_run()),
    "search_runs": _read(of_experiment("experiment_ids")),
    "get_metric_history": _read(of_run()),
    "get_metric_history_bulk": _read(of_run("run_ids")),
    "get_metric_history_bulk_interval": _read(of_run("run_ids")),
    "get_metric_history_bulk_interval_from_steps": _read(of_run()),
    "get_max_step_for_metric": _read(of_run()),
    # Not public, but a handler calls it.
    "_search_datasets": _read(of_experiment("experiment_ids")),
    # logged models
    "create_logged_model": _write(
        of_experiment(), also=(("readExperiment", of_run("source_run_id")),)
    ),
    "finalize_logged_model": _write(of_logged_model()),
    "log_logged_model_params": _write(of_logged_model()),
    "set_logged_model_tags": _write(of_logged_model()),
    "delete_logged_model_tag": _write(of_logged_model()),
    "set_model_versions_tags": _write(of_logged_model()),
    "delete_logged_model": _write(of_logged_model()),
    "get_logged_model": _read(of_logged_model()),
    "search_logged_models": _read(of_experiment("experiment_ids")),
    # traces
    "start_trace": _write(_of_new_trace),
    "set_trace_tag": _write(of_trace()),
    "delete_trace_tag": _write(of_trace()),
    "delete_traces": _write(of_experiment()),
    "get_trace_info": _read(of_trace()),
    "batch_get_trace_infos": _read(of_trace("trace_ids")),
    "search_traces": _read(_searched_traces),
    "query_trace_metrics": _read(of_experiment("experiment_ids")),
}
