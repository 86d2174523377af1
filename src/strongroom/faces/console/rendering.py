"""Templates: everything escaped, nothing undefined, no script and no inline style."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from strongroom.engines.privacy.report.drawing import inks
from strongroom.engines.privacy.report.page import DRAWING_CSS
from strongroom.engines.privacy.report.wording import percent
from strongroom.faces.console.visits import Made

STATIC = Path(__file__).parent / "static"
CSS = (STATIC / "console.css").read_bytes() + DRAWING_CSS.encode()
CSS_VERSION = hashlib.sha256(CSS).hexdigest()[:16]
ICON = (STATIC / "icon.svg").read_bytes()

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    # Not `no-referrer`: under it browsers send `Origin: null` with a form (Fetch, 4.1), and the
    # check of the Origin could not tell our own forms from others.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

STATES = {
    "good": {
        "approved",
        "allowed",
        "ok",
        "succeeded",
        "active",
        "clean",
        "done",
        "ready",
        "passed",
    },
    "bad": {
        "rejected",
        "refused",
        "failed",
        "malicious",
        "revoked",
        "expired",
        "broken",
        "invalid",
    },
    "wait": {
        "quarantined",
        "checked",
        "queued",
        "running",
        "waiting",
        "review",
        "unreadable",
        "pending",
    },
}


def state_class(value: object) -> str:
    """The class of a badge for a state; empty for a word that is none."""
    for name, words in STATES.items():
        if isinstance(value, str) and value.lower() in words:
            return name
    return ""


def moment(value: object) -> str:
    """A time to the second, in UTC; other values as they are."""
    try:
        if isinstance(value, float | int) and not isinstance(value, bool) and value > 1e9:
            from datetime import UTC

            return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
        if isinstance(value, str) and len(value) >= 19 and value[10] == "T":
            return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError):
        pass
    return str(value)


def label(name: str) -> str:
    """A field's name in words."""
    return {"facts": "provenance"}.get(name, name.replace("_", " "))


def is_time(name: str) -> bool:
    """Whether a field holds a time, by its name."""
    return name in {"at", "time", "since", "until"} or name.endswith(("_at", "_until"))


def short(value: Any) -> str:  # noqa: ANN401 # JSON
    """A value in the cell of a table."""
    if value is None or value == "" or value == [] or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        parts = [_spoken(one) for one in value[:8]]
        return "; ".join(parts) + ("; …" if len(value) > len(parts) else "")
    if isinstance(value, Mapping):
        return ", ".join(f"{label(str(k))} {short(v)}" for k, v in list(value.items())[:8])
    return str(value)


def _spoken(one: Any) -> str:  # noqa: ANN401 # JSON
    if isinstance(one, Mapping):
        if "title" in one and "share" in one:
            return f"{one['title'] or one.get('type', '')} {percent(float(one['share']))}"
        for name in ("says", "detail", "name"):
            if name in one:
                return str(one[name])
    return short(one)


def is_rows(value: object) -> bool:
    """Whether the value is a list of objects, which becomes a table."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def is_plain(value: object) -> bool:
    """Whether the value fits on one line."""
    return not isinstance(value, Mapping) and not is_rows(value)


def columns_of(rows: list[Mapping[str, Any]]) -> list[str]:
    """Names of the columns of a table, each once."""
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    return list(names)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("strongroom.faces.console"), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        moment=moment, label=label, short=short, state_class=state_class, columns_of=columns_of,
        pretty=lambda value: json.dumps(value, indent=2, ensure_ascii=False),
    )  # fmt: skip
    environment.tests.update(rows=is_rows, plain=is_plain, time_name=is_time)
    environment.globals.update(css_version=CSS_VERSION, inks=inks)
    return environment


_templates = _environment()


def page(
    template: str, status: int = 200, *, made: list[Made] | None = None, **context: object
) -> HTMLResponse:
    """A page as an answer, with the console's headers."""
    text = _templates.get_template(template).render(made=made or [], **context)
    return HTMLResponse(text, status, HEADERS)
