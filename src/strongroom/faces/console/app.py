"""The console: pages drawn on the server, for people with a browser and without scripts."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from strongroom.errors import CallerError, SignInError, StrongroomError
from strongroom.faces.console import assessments, pages, rendering, sessions
from strongroom.faces.console.pages import Page
from strongroom.faces.console.sessions import SignsIn
from strongroom.faces.console.visits import Visit
from strongroom.faces.credentials import require_own_origin, session_secret
from strongroom.gate.access.types import ANONYMOUS, Principal
from strongroom.gate.declaration import BoundOperation
from strongroom.gate.operation import Gate, new_request_id
from strongroom.settings import Settings

SIGN_IN_PATH = "/sign-in"
"""The address of a one-time link: `/sign-in?link=TOKEN`."""


def routes(
    operations: list[BoundOperation], gate: Gate, sign_in: SignsIn, settings: Settings
) -> list[BaseRoute]:
    """The console's routes, to be served over TLS at the root of the origin.

    Args:
        operations: what pages may call.
        gate: decides on and records each call.
        sign_in: knows sessions and one-time links.
        settings: of the server.
    """
    return _Console(operations, gate, sign_in, settings).routes()


class _Console:
    def __init__(
        self, operations: list[BoundOperation], gate: Gate, sign_in: SignsIn, settings: Settings
    ) -> None:
        self._offered = {bound.declared.name: bound for bound in operations}
        self._gate = gate
        self._sign_in = sign_in
        self._session_seconds = settings.session_hours * 3600

    def routes(self) -> list[BaseRoute]:
        """All routes, each with exactly its method."""
        return [
            _route("/", "GET", self._page(_home)),
            _route(SIGN_IN_PATH, "GET", self.show_sign_in),
            _route(SIGN_IN_PATH, "POST", self.redeem),
            _route("/sign-out", "POST", self.sign_out),
            _route("/w/{workspace}/log", "GET", self._page(_log)),
            _route("/w/{workspace}/log/{index}", "GET", self._page(_entry)),
            _route("/w/{workspace}/log/{index}/receipt", "GET", self.receipt),
            _route("/w/{workspace}/data/{name}/report", "GET", self.report),
            _route("/w/{workspace}/models/{name}/{version}/assessment/{kind}", "GET",
                   partial(self.assessment, read=assessments.report_of_version)),
            _route("/w/{workspace}/data/{name}/{version}/assessment/{kind}", "GET",
                   partial(self.assessment, read=assessments.report_of_dataset)),
            _route("/w/{workspace}/data/{name}/{version}/quarantine/{kind}", "GET",
                   partial(self.assessment, read=assessments.suspects,
                           filename="quarantine.csv", media_type="text/csv")),
            _route("/w/{workspace}/people", "GET", self._page(_people)),
            *(
                route
                for kind in pages.KINDS.values()
                for route in (
                    _route(f"/w/{{workspace}}/{kind.word}", "GET",
                           self._page(partial(_things, kind=kind))),
                    _route(f"/w/{{workspace}}/{kind.word}/{{parts:path}}", "GET",
                           self._page(partial(_thing, kind=kind))),
                    _route(f"/w/{{workspace}}/{kind.word}/{{parts:path}}", "POST",
                           partial(self.act, kind=kind)),
                )
            ),
            _route("/console/console.css", "GET", _css),
            _route("/console/icon.svg", "GET", _icon),
            _route("/favicon.ico", "GET", _icon),
        ]  # fmt: skip

    # ---- pages ----

    def _page(self, draw: Callable[[Visit, Request], Page]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return await self._within(request, partial(self._draw, draw))

        return answer

    def _draw(
        self, draw: Callable[[Visit, Request], Page], visit: Visit, request: Request
    ) -> Response:
        drawn = draw(visit, request)
        if request.query_params.get("format") == "json":
            calls = [
                {"operation": made.operation, "answer": made.value, "receipt": made.receipt}
                for made in visit.made
            ]
            headers = {**rendering.HEADERS}
            return JSONResponse({"title": drawn.title, "calls": calls}, headers=headers)
        return rendering.page(
            drawn.template, made=visit.made, title=drawn.title, person=visit.principal,
            crumbs=drawn.crumbs, **drawn.context,
        )  # fmt: skip

    async def _within(
        self, request: Request, work: Callable[[Visit, Request], Response]
    ) -> Response:
        """`work` in a thread, for the signed-in person; errors as pages."""
        request_id = _request_id(request)
        principal = ANONYMOUS

        def run() -> Response:
            nonlocal principal
            principal = self._identify(request.headers, _address(request))
            return work(Visit(self._gate, self._offered, principal, request_id), request)

        try:
            return await anyio.to_thread.run_sync(run)
        except StrongroomError as error:
            return _error(request, error, request_id, principal)

    def _identify(self, headers: Headers, address: str) -> Principal:
        principal = self._sign_in.identify(session_secret(headers) or None, address)
        if principal is ANONYMOUS:
            raise SignInError("nobody is signed in")
        return principal

    async def receipt(self, request: Request) -> Response:
        """A receipt as a file."""

        def give(visit: Visit, request: Request) -> Response:
            name, text = pages.receipt(
                visit, request.path_params["workspace"], request.path_params["index"]
            )
            headers = {
                **rendering.HEADERS, "Content-Disposition": f'attachment; filename="{name}"',
            }  # fmt: skip
            return Response(text, 200, headers, "text/plain; charset=utf-8")

        return await self._within(request, give)

    async def report(self, request: Request) -> Response:
        """The findings of a dataset as a file: its style is its own, which pages here forbid."""

        def give(visit: Visit, request: Request) -> Response:
            name, content = pages.report(
                visit, request.path_params["workspace"], request.path_params["name"]
            )
            return _file(name, content)

        return await self._within(request, give)

    async def assessment(
        self, request: Request, read: Callable[..., bytes], filename: str = "assessment.html",
        media_type: str = "text/html; charset=utf-8",
    ) -> Response:  # fmt: skip
        """What an assessment of a model version or a dataset found, as a file."""

        def give(visit: Visit, request: Request) -> Response:
            named = {word: request.path_params[word] for word in ("name", "version", "kind")}
            content = read(visit, request.path_params["workspace"], **named)
            return _file(filename, content, media_type)

        return await self._within(request, give)

    async def act(self, request: Request, kind: pages.Kind) -> Response:
        """Press a button on the page of a thing, then show the page again."""
        try:
            form = await self._form(request)
        except StrongroomError as error:
            return _error(request, error, _request_id(request), ANONYMOUS)
        verb = form.pop("verb", "")

        def press(visit: Visit, request: Request) -> Response:
            workspace = request.path_params["workspace"]
            pages.act(visit, workspace, kind, _parts(request), verb, form)
            return _see(str(request.url.path))

        return await self._within(request, press)

    # ---- sign in and out ----

    async def show_sign_in(self, request: Request) -> Response:
        """A button: following a link spends nothing, so previews cannot use it up."""
        _name(request, "console.sign_in")
        link = request.query_params.get("link", "")[:256]
        return rendering.page("sign_in.html", title="Sign in", link=link, fault="", person=None,
                              crumbs=())  # fmt: skip

    async def redeem(self, request: Request) -> Response:
        """Spend the link and begin a session."""
        _name(request, "console.sign_in")
        try:
            form = await self._form(request)
            address = _address(request)
            link = form.get("link", "")
            begun = await anyio.to_thread.run_sync(self._sign_in.sign_in, link, address)
        except StrongroomError as error:
            return _error(request, error, _request_id(request), ANONYMOUS)
        response = _see("/")
        sessions.keep(response, begun.secret, self._session_seconds)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        _name(request, "console.sign_out")
        try:
            await self._form(request)
            secret = session_secret(request.headers)
            await anyio.to_thread.run_sync(self._sign_in.sign_out, secret, _address(request))
        except SignInError:
            pass  # it had ended already
        except StrongroomError as error:
            return _error(request, error, _request_id(request), ANONYMOUS)
        response = _see(SIGN_IN_PATH)
        sessions.drop(response)
        return response

    async def _form(self, request: Request) -> dict[str, str]:
        require_own_origin("https", request.headers)
        return await sessions.read_form(request)


def _file(name: str, content: bytes, media_type: str = "text/html; charset=utf-8") -> Response:
    """A file to download."""
    headers = {**rendering.HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, 200, headers, media_type)


def _home(visit: Visit, request: Request) -> Page:  # noqa: ARG001 # as the other pages
    return pages.home(visit)


def _things(visit: Visit, request: Request, kind: pages.Kind) -> Page:
    return pages.things(visit, request.path_params["workspace"], kind)


def _thing(visit: Visit, request: Request, kind: pages.Kind) -> Page:
    return pages.thing(visit, request.path_params["workspace"], kind, _parts(request))


def _log(visit: Visit, request: Request) -> Page:
    return pages.log(visit, request.path_params["workspace"], _query(request))


def _entry(visit: Visit, request: Request) -> Page:
    return pages.entry(visit, request.path_params["workspace"], request.path_params["index"])


def _people(visit: Visit, request: Request) -> Page:
    return pages.people(visit, request.path_params["workspace"], _query(request))


def _route(path: str, method: str, endpoint: Callable[..., Any]) -> Route:
    async def named(request: Request) -> Response:
        _name(request, "console")
        response: Response = await endpoint(request)
        return response

    route = Route(path, named, methods=[method])
    route.methods = {method}
    return route


def _name(request: Request, operation: str) -> None:
    """What this request counts as in the metrics."""
    request.state.operation = operation


def _parts(request: Request) -> list[str]:
    return str(request.path_params["parts"]).split("/")


def _query(request: Request) -> Mapping[str, str]:
    pairs = request.query_params.multi_items()
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise CallerError("the address has a field twice")
    return {name: value[:512] for name, value in fields.items()}


def _see(address: str) -> RedirectResponse:
    """After a form: look there (303, so that reloading does not send it again)."""
    return RedirectResponse(address, 303, rendering.HEADERS)


def _request_id(request: Request) -> str:
    """The id that the outermost layer gave, or one of our own."""
    given = getattr(request.state, "request_id", "")
    return str(given) or new_request_id()


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _error(
    request: Request, error: StrongroomError, request_id: str, principal: Principal
) -> Response:
    """An error as a page, or as a problem document where JSON was asked for."""
    if request.query_params.get("format") == "json":
        problem = {
            "type": "about:blank", "status": error.status, "detail": error.message,
            "code": error.code, "next_step": error.next_step, "request_id": request_id,
        }  # fmt: skip
        if error.entry is not None:
            problem["log_entry"] = error.entry
        return JSONResponse(problem, error.status, rendering.HEADERS, "application/problem+json")
    if isinstance(error, SignInError):
        response: Response = rendering.page(
            "sign_in.html", 401, title="Sign in", link="", person=None, crumbs=(),
            fault="" if error.message == "nobody is signed in" else _fault(error),
        )  # fmt: skip
        response.headers["WWW-Authenticate"] = 'Bearer realm="strongroom"'
        return response
    person = None if principal is ANONYMOUS else principal
    return rendering.page(
        "error.html", error.status, title="Not possible", error=error, request_id=request_id,
        person=person, crumbs=(("Workspaces", "/"),),
    )  # fmt: skip


def _fault(error: SignInError) -> str:
    """Why it failed; with what to do, where that is not simply to sign in."""
    usual = error.next_step == type(error).next_step
    return error.message if usual else f"{error.message}: {error.next_step}"


async def _css(request: Request) -> Response:
    current = request.query_params.get("v") == rendering.CSS_VERSION
    kept = "public, max-age=31536000, immutable" if current else "no-cache"
    headers = {**rendering.HEADERS, "Cache-Control": kept}
    return Response(rendering.CSS, 200, headers, "text/css; charset=utf-8")


async def _icon(request: Request) -> Response:  # noqa: ARG001 # the same for everyone
    headers = {**rendering.HEADERS, "Cache-Control": "public, max-age=86400"}
    return Response(rendering.ICON, 200, headers, "image/svg+xml")
