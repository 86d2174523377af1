"""Verbs on the semantic types of a workspace's own."""

from collections.abc import Callable
from datetime import datetime

from strongroom.engines.privacy.discover.custom import MAX_FILE_CHARACTERS
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Limits, Route, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.services.data.bodies import text_of
from strongroom.services.data.catalog import Catalog
from strongroom.services.data.custom_types import WorkspaceTypes
from strongroom.services.data.types import CustomTypeShown, SetTypes, ShowTypes, TypesShown

_MAX_BYTES = 4 * MAX_FILE_CHARACTERS


class TypeOperations:
    """The part of the room of datasets that is about semantic types."""

    _catalog: Catalog
    _now: Callable[[], datetime]

    @operation(
        "data.types",
        action="readDataset",
        resource=in_workspace,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/data-types"),
        command=Command("data types"),
    )
    def types(self, call: Call, request: ShowTypes) -> TypesShown:
        """Show the semantic types that a workspace has beside the built-in ones."""
        with call.reading() as session:
            held = self._catalog.types.of(session, request.workspace)
        call.note(types=len(held.types))
        return _shown(held)

    @operation(
        "data.set_types",
        action="setDataTypes",
        resource=in_workspace,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/data-types"),
        command=Command("data set-types", body="file"),
        body=Body.STREAM,
        limits=Limits(body_bytes=_MAX_BYTES),
    )
    def set_types(self, call: Call, request: SetTypes) -> TypesShown:
        """Set the semantic types of a workspace, in place of those it had.

        The body is TOML, as docs/privacy.md describes it; a comment alone takes all away. Tables
        that are added from then on are searched with them, also content that is there already;
        findings that were made before stay. A file with a mistake changes nothing, nor does one
        without a type that a mask policy or a person's word on a column names.
        """
        text = text_of(call, _MAX_BYTES, "file of types")
        with call.transaction() as session:
            before = self._catalog.types.of(session, request.workspace)
            held = self._catalog.set_types(
                session, request.workspace, text, by=call.principal.id, now=self._now()
            )
            call.note(before=before.digest, after=held.digest, types=len(held.types))
        return _shown(held)


def _shown(held: WorkspaceTypes) -> TypesShown:
    return TypesShown(
        types=[
            CustomTypeShown(name=one.name, title=one.title, role=one.role.value)
            for one in held.types
        ],
        digest=held.digest,
        set_by=held.set_by,
        set_at=held.set_at,
        text=held.text,
    )
