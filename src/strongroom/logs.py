"""The server's structured log: one JSON object a line to stderr, secrets taken out.

It is for the operator, not for the auditor: what must be provable is in the log of `gate/audit`.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import IO, Any

import structlog

_SECRET = re.compile(
    r"sr[ksli]_[A-Za-z0-9_-]{4,}"  # API keys, console sessions, one-time links, invitations
    r"|(?i:\b(?:bearer|basic)\s+[A-Za-z0-9+/=_.~-]{8,})"  # Authorization headers
    r"|(?i:([?&](?:token|key|link)=)[^&\s\"]+)"  # one-time links
    r"|(?i:/sign-in/[A-Za-z0-9_-]{8,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_SECRET_NAMES = re.compile(r"(?i)(secret|password|passphrase|authorization|cookie|api_?key)")
_HIDDEN = "[hidden]"


def hide_secrets(text: str) -> str:
    """`text` with everything that looks like a credential replaced by `[hidden]`."""
    return _SECRET.sub(_HIDDEN, text)


def _clean(value: object) -> object:
    if isinstance(value, str):
        return hide_secrets(value)
    if isinstance(value, dict):
        return {
            key: _HIDDEN if _SECRET_NAMES.search(str(key)) else _clean(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def _without_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    event.pop("color_message", None)  # uvicorn says the same once more, with colours
    cleaned = _clean(dict(event))
    return cleaned if isinstance(cleaned, dict) else {}


def configure(level: str, stream: IO[str] | None = None) -> None:
    """Send our log and that of the libraries through one JSON formatter.

    Args:
        level: debug, info, warning or error.
        stream: where lines go; standard error unless given.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_secrets,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every look at the tables
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
