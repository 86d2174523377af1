"""The table of the model registry: what each of its methods needs, and how it is recorded.

A method that is not here is refused: prompts, webhooks, renaming (a model's name is part of its
signed record).
"""

from collections.abc import Sequence

from strongroom.faces.mlflow.caller import Caller, present_call
from strongroom.faces.mlflow.foreign import Foreign
from strongroom.faces.mlflow.guard import Arguments, EntitiesOf, Rule
from strongroom.faces.mlflow.sources import Source, try_resolve
from strongroom.faces.mlflow.tracking_rules import in_workspace
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.operation import Admission

HARMLESS = frozenset({"list_webhooks_by_event"})
"""Overridden: nobody can make a webhook, so there is none to be told."""


def model(caller: Caller, name: object) -> Entity:
    """A registered model of the caller's workspace."""
    return caller.entity("Model", str(name)[:256])


def _of_model(_store: object, caller: Caller, arguments: Arguments) -> Sequence[Entity]:
    return [model(caller, arguments["name"])]


def _source(arguments: Arguments) -> Source | None:
    call = present_call()
    return None if call is None else try_resolve(call, str(arguments["source"]))


def _of_source(_store: object, caller: Caller, arguments: Arguments) -> Sequence[Entity]:
    found = _source(arguments)
    return [] if found is None else [caller.entity("Experiment", found.place.experiment)]


def _of_copied(_store: object, caller: Caller, arguments: Arguments) -> Sequence[Entity]:
    found = _source(arguments)
    return [] if found is None or not found.version_of else [model(caller, found.version_of)]


def _seen(admission: Admission, caller: Caller, page: Foreign) -> Foreign:
    """Of a page of models or versions those that the caller may read."""
    allowed: dict[str, bool] = {}
    for it in page:
        if it.name not in allowed:
            allowed[it.name] = admission.allows("readModel", model(caller, it.name))
    return type(page)([it for it in page if allowed[it.name]], page.token)


def _read(entities: EntitiesOf = _of_model, **more: Foreign) -> Rule:
    return Rule("readModel", entities, AuditClass.DATASTORE_ACTIVITY, **more)


def _register(**more: Foreign) -> Rule:
    return Rule("registerModel", _of_model, AuditClass.AI_OPERATION, writes=True, **more)


def _delete() -> Rule:
    return Rule("deleteModel", _of_model, AuditClass.ENTITY_MANAGEMENT, writes=True)


RULES: dict[str, Rule] = {
    "create_registered_model": _register(),
    "update_registered_model": _register(),
    "set_registered_model_tag": _register(),
    "delete_registered_model_tag": _register(),
    "set_registered_model_alias": _register(),
    "delete_registered_model_alias": _register(),
    "delete_registered_model": _delete(),
    "get_registered_model": _read(),
    "search_registered_models": _read(in_workspace, filter=_seen),
    "get_latest_versions": _read(),
    "create_model_version": _register(
        also=(("readArtifact", _of_source), ("readModel", _of_copied))
    ),
    "update_model_version": _register(),
    "transition_model_version_stage": _register(),
    "set_model_version_tag": _register(),
    "delete_model_version_tag": _register(),
    "delete_model_version": _delete(),
    "get_model_version": _read(),
    "get_model_version_by_alias": _read(),
    "get_model_version_download_uri": _read(),
    "search_model_versions": _read(in_workspace, filter=_seen),
}
