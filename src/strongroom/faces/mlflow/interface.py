"""The page and the files of MLflow's user interface, with our preferences before its scripts."""

from pathlib import Path

import mlflow.server
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from strongroom.errors import NotFoundError
from strongroom.faces.mlflow import answers

PREFERENCES = "strongroom-preferences.js"
_SCRIPT = Path(__file__).with_name("preferences.js")


class Interface:
    """The files that MLflow was installed with, and one of our own among them."""

    def __init__(self) -> None:
        folder = Path(mlflow.server.__file__).parent / mlflow.server.REL_STATIC_DIR
        # MLflow's own way to serve them leaves files open.
        self._files = StaticFiles(directory=folder)
        tag = f'<head><script src="static-files/{PREFERENCES}"></script>'
        # Before the scripts of the page, which come once all of it is there.
        self._page = (folder / "index.html").read_text("utf-8").replace("<head>", tag, 1)

    def page(self) -> Response:
        """The one page that it has."""
        return HTMLResponse(self._page)

    async def file(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file below `static-files/`. Raises: NotFoundError."""
        send = answers.with_headers(send, answers.ASSET_HEADERS)
        if path == PREFERENCES:
            await FileResponse(_SCRIPT, media_type="text/javascript")(scope, receive, send)
            return
        try:
            await self._files({**scope, "path": f"/{path}", "root_path": ""}, receive, send)
        except HTTPException:
            raise NotFoundError("the interface has no such file") from None
