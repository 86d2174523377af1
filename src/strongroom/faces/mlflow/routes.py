"""The table of MLflow's routes: which are offered, and how each is served.

Whatever is not in `OFFERED` is refused and recorded. `REFUSED` only gives the reasons: a test
walks every route of the installed MLflow, and fails on one that is in neither or in both.
Whether the caller may do it on the very object is decided later, in the stores.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from strongroom.faces.mlflow.absent import ABSENT

UI_PREFIX = "/mlflow"
"""The user interface asks for all its things below here; there they have the same names."""

CLIENT_PREFIXES = ("/api/2.0/", "/api/3.0/", "/ajax-api/2.0/", "/ajax-api/3.0/")


def at_root(path: str) -> bool:
    """Whether MLflow's clients ask for this path outside of the user interface."""
    return path.startswith(CLIENT_PREFIXES) or path == "/version"


def owns(path: str) -> bool:
    """Whether a request for this path is to be given to `MlflowGate`."""
    return at_root(path) or path == UI_PREFIX or path.startswith(f"{UI_PREFIX}/")


class Kind(StrEnum):
    """How a route is served."""

    PASSED = "passed"
    """By MLflow, for a caller in a workspace."""
    SIGNED_IN = "signed_in"
    """By MLflow, for whoever is signed in; about no workspace."""
    PAGE = "page"
    """By us: the one page of MLflow's user interface."""
    ASSET = "asset"
    """By us: a file of that interface, the same for all; nobody need be signed in."""
    GRAPHQL = "graphql"
    """By MLflow, once the query was found to be one of its user interface's."""
    TRANSFER = "transfer"
    """By us: the bytes of artifacts, as streams."""
    PERSON = "person"
    """By us: who is signed in."""
    ABSENT = "absent"
    """By us: that there is none of it. The user interface asks of itself for what we refuse, and
    shows an error where the answer is one; see `absent.py`."""


ABOUT_THE_CALLER = frozenset({Kind.PAGE, Kind.PERSON, Kind.SIGNED_IN, Kind.ABSENT})
"""Kinds about nothing but who asks; only whether they are signed in is decided."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one template of paths; `<name>` stands for a part, `<path:name>` for many."""

    method: str
    template: str
    kind: Kind


def _both(version: str, kind: Kind, *lines: str) -> list[Route]:
    """Routes that are there for clients and, under another name, for the user interface."""
    return [
        Route(method, f"/{start}/{version}/{path}", kind)
        for method, path in (line.split() for line in lines)
        for start in ("api", "ajax-api")
    ]


def _only(kind: Kind, *lines: str) -> list[Route]:
    return [Route(method, path, kind) for method, path in (line.split() for line in lines)]


OFFERED: tuple[Route, ...] = (
    *_both(
        "2.0",
        Kind.PASSED,
        "POST mlflow/experiments/create",
        "POST mlflow/experiments/delete",
        "POST mlflow/experiments/delete-experiment-tag",
        "GET mlflow/experiments/get",
        "GET mlflow/experiments/get-by-name",
        "POST mlflow/experiments/restore",
        "GET mlflow/experiments/search",
        "POST mlflow/experiments/search",
        "POST mlflow/experiments/set-experiment-tag",
        "POST mlflow/experiments/update",
        "POST mlflow/runs/create",
        "POST mlflow/runs/delete",
        "POST mlflow/runs/delete-tag",
        "GET mlflow/runs/get",
        "POST mlflow/runs/log-batch",
        "POST mlflow/runs/log-inputs",
        "POST mlflow/runs/log-metric",
        "POST mlflow/runs/log-model",
        "POST mlflow/runs/log-parameter",
        "POST mlflow/runs/outputs",
        "POST mlflow/runs/restore",
        "POST mlflow/runs/search",
        "POST mlflow/runs/set-tag",
        "POST mlflow/runs/update",
        "GET mlflow/metrics/get-history",
        "GET mlflow/metrics/get-history-bulk-interval",
        "GET mlflow/artifacts/list",
        "POST mlflow/logged-models",
        "GET mlflow/logged-models/<model_id>",
        "PATCH mlflow/logged-models/<model_id>",
        "DELETE mlflow/logged-models/<model_id>",
        "GET mlflow/logged-models/<model_id>/artifacts/directories",
        "POST mlflow/logged-models/<model_id>/params",
        "PATCH mlflow/logged-models/<model_id>/tags",
        "DELETE mlflow/logged-models/<model_id>/tags/<tag_key>",
        "POST mlflow/logged-models/search",
        "POST mlflow/registered-models/create",
        "GET mlflow/registered-models/get",
        "GET mlflow/registered-models/search",
        "PATCH mlflow/registered-models/update",
        "DELETE mlflow/registered-models/delete",
        "GET mlflow/registered-models/get-latest-versions",
        "POST mlflow/registered-models/get-latest-versions",
        "POST mlflow/registered-models/set-tag",
        "DELETE mlflow/registered-models/delete-tag",
        "POST mlflow/registered-models/alias",
        "DELETE mlflow/registered-models/alias",
        "GET mlflow/registered-models/alias",
        "POST mlflow/model-versions/create",
        "GET mlflow/model-versions/get",
        "GET mlflow/model-versions/get-download-uri",
        "GET mlflow/model-versions/search",
        "PATCH mlflow/model-versions/update",
        "DELETE mlflow/model-versions/delete",
        "POST mlflow/model-versions/transition-stage",
        "POST mlflow/model-versions/set-tag",
        "DELETE mlflow/model-versions/delete-tag",
        "PATCH mlflow/traces/<request_id>/tags",
        "DELETE mlflow/traces/<request_id>/tags",
        "POST mlflow/traces/delete-traces",
    ),
    *_both(
        "3.0",
        Kind.PASSED,
        "POST mlflow/traces",
        "GET mlflow/traces/<trace_id>",
        "PATCH mlflow/traces/<trace_id>/tags",
        "DELETE mlflow/traces/<trace_id>/tags",
        "POST mlflow/traces/batchGetInfos",
        "POST mlflow/traces/delete-traces",
        "POST mlflow/traces/metrics",
        "POST mlflow/traces/search",
    ),
    *_only(
        Kind.PASSED,
        "GET /ajax-api/2.0/mlflow/metrics/get-history-bulk",
        "POST /ajax-api/2.0/mlflow/experiments/search-datasets",
    ),
    *_both(
        "3.0",
        Kind.SIGNED_IN,
        "GET mlflow/server-info",
        "GET mlflow/workspaces",
        "GET mlflow/workspaces/<workspace_name>",
    ),
    # Answers that telemetry is off (`mounting.ENVIRONMENT`); the user interface then sends none.
    *_only(Kind.SIGNED_IN, "GET /version", "GET /ajax-api/3.0/mlflow/ui-telemetry"),
    *_only(Kind.PAGE, "GET /"),
    *_only(Kind.ASSET, "GET /static-files/<path:path>"),
    *_only(Kind.GRAPHQL, "POST /graphql"),
    *_both(
        "2.0",
        Kind.TRANSFER,
        "GET mlflow-artifacts/artifacts",
        "GET mlflow-artifacts/artifacts/<path:artifact_path>",
        "PUT mlflow-artifacts/artifacts/<path:artifact_path>",
        "DELETE mlflow-artifacts/artifacts/<path:artifact_path>",
    ),
    *_only(
        Kind.TRANSFER,
        "GET /get-artifact",
        "GET /model-versions/get-artifact",
        "GET /ajax-api/2.0/mlflow/logged-models/<model_id>/artifacts/files",
        "GET /ajax-api/2.0/mlflow/get-trace-artifact",
        "GET /ajax-api/3.0/mlflow/get-trace-artifact",
    ),
    *_only(Kind.PERSON, "GET /ajax-api/2.0/mlflow/users/current"),
    *_only(Kind.ABSENT, *ABSENT),
)

_API = r"/(ajax-)?api/[23]\.0/mlflow"
REFUSED: tuple[tuple[str, str], ...] = (
    (rf"(POST|PUT|PATCH|DELETE) {_API}/assistant\b.*", "runs agents and jobs of its own"),
    (rf"GET {_API}/assistant/(?!config$|providers$).*", "runs agents and jobs of its own"),
    (rf"\w+ {_API}/(scheduler|issues|demo)\b.*", "runs agents and jobs of its own"),
    (r"\w+ /ajax-api/3\.0/(mlflow/)?jobs\b.*", "runs agents and jobs of its own"),
    (rf"\w+ {_API}/(gateway|mcp-servers|mcp-[\w-]+)\b.*", "reaches other services"),
    (rf"\w+ (/gateway/|{_API}/(gateway-proxy|prompt-optimization)).*", "reaches other services"),
    (rf"\w+ {_API}/webhooks\b.*", "sends what is here elsewhere"),
    (rf"\w+ {_API}/(scorers?|genai|runs/create-promptlab-run)\b.*", "runs code on the server"),
    (rf"\w+ {_API}/(label-schemas|review-queues?)\b.*", "not needed for models of tables"),
    (rf"\w+ {_API}/datasets/.*", "rows belong in the datasets of a workspace"),
    (rf"(POST|PATCH|DELETE) {_API}/workspaces\b.*", "workspaces are looked after elsewhere"),
    (rf"POST {_API}/registered-models/rename", "the name is part of the signed record"),
    (rf"\w+ {_API}-artifacts/(mpu|presigned)/.*", "clients fall back to plain requests"),
    (rf"POST {_API}/artifacts/presigned-(up|down)load-url", "clients fall back to plain requests"),
    (rf"POST {_API}/upload-artifact", "leaves clear temporary files"),
    (rf"\w+ {_API}/traces/<trace_id>/assessments.*", "not needed for models of tables"),
    (rf"POST {_API}/traces/(link-prompts|link-to-run|calculate-.*)", "not needed"),
    (rf"GET {_API}/traces/(batchGet|get)", "spans are files of the trace"),
    (r"(GET|POST) /(ajax-)?api/2\.0/mlflow/traces", "replaced by version 3.0"),
    (r"(GET|PATCH) /(ajax-)?api/2\.0/mlflow/traces/<request_id>(/info)?", "replaced by 3.0"),
    (rf"GET {_API}/(get-online-trace-details|unified-traces)", "not implemented in MLflow"),
    (r"POST /(ajax-)?api/2\.0mlflow/.*", "not implemented in MLflow"),
    (r"POST /ajax-api/3\.0/mlflow/ui-telemetry", "nothing is told to others"),
    (r"POST /v1/(traces|metrics)", "spans are files of the trace"),
    (r"GET /build/<path:filename>", "the same files are under static-files"),
    (r"GET /graphql", "queries are posted"),
    (r"GET /health", "the server has its own"),
)
"""Patterns of `METHOD template` that are refused on purpose, with the reason."""

_REASONS = tuple((re.compile(it), why) for it, why in REFUSED)


class RouteTable:
    """Finds the route of a request. A path is matched as a whole, decoded once."""

    def __init__(self, routes: Iterable[Route] = OFFERED) -> None:
        routes = tuple(routes)
        self._words = {
            word
            for route in routes
            for word in route.template.split("/")
            if word and "<" not in word
        }
        # What MLflow has and we refuse is worth knowing, too.
        self._words |= {word for it, _ in REFUSED for word in re.findall(r"[a-z][a-z0-9-]+", it)}
        self._plain: dict[tuple[str, str], Route] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Route]] = []
        for route in routes:
            if "<" not in route.template:
                self._plain[route.method, route.template] = route
            else:
                self._patterns.append((route.method, _pattern(route.template), route))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and the parts of the path that it names; None for one that is not offered."""
        if not path.isprintable() or "\\" in path or "//" in path:
            return None
        method = "GET" if method == "HEAD" else method
        plain = self._plain.get((method, path))
        if plain is not None:
            return plain, {}
        for its_method, pattern, route in self._patterns:
            if its_method == method and (match := pattern.fullmatch(path)):
                return route, match.groupdict()
        return None

    @staticmethod
    def why_refused(method: str, path: str) -> str:
        """The reason why a path of MLflow's is refused on purpose; empty for any other."""
        asked = f"{method} {path}"
        return next((why for it, why in _REASONS if it.fullmatch(asked)), "")

    def known_words(self, method: str, path: str) -> str:
        """Method and path for the record; words of no route become `…`: they may be anything."""
        parts = path.split("/")[:12]
        shown = [part if not part or part in self._words else "…" for part in parts]
        return f"{method if method.isalpha() and len(method) <= 16 else '…'} {'/'.join(shown)}"


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"<((?:path:)?\w+)>", template)
    text = ""
    for index, part in enumerate(parts):
        if index % 2 == 0:
            text += re.escape(part)
        elif part.startswith("path:"):
            text += f"(?P<{part.removeprefix('path:')}>.+)"
        else:
            text += f"(?P<{part}>[^/]+)"
    return re.compile(text)
