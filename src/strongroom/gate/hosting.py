"""Records of what is done on the host itself, by whoever can open the home folder."""

import time

from strongroom.gate.audit.types import AuditClass, Detail, Event, Outcome
from strongroom.gate.operation import new_request_id


def host_event(
    operation: str,
    *,
    resource_type: str = "Server",
    resource: str = "server",
    audit_class: AuditClass = AuditClass.APPLICATION_LIFECYCLE,
    outcome: Outcome = Outcome.ALLOWED,
    reason: str = "",
    **details: Detail,
) -> Event:
    """An event of now, by the host."""
    return Event(
        time=time.time(), workspace="", actor_kind="host", actor="", operation=operation,
        action="", resource_type=resource_type, resource=resource, audit_class=audit_class,
        request_id=new_request_id(), outcome=outcome, reason=reason, details=details,
    )  # fmt: skip
