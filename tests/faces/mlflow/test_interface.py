"""MLflow's user interface in a browser, for a signed-in person."""

import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, sync_playwright
from tests.faces.mlflow.ward import Ward

from strongroom.faces.mlflow.routes import RouteTable

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def page(ward: Ward) -> Iterator[Page]:
    """A page of a browser in which Alice is signed in."""
    if BROWSER is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        context = browser.new_context()
        cookie = f"{ward.cookie}={ward.sessions['alice']}"

        def signed_in(route: Route) -> None:
            # Browsers keep `__Host-` cookies over TLS only, and this server speaks none.
            headers = {**route.request.headers, "cookie": cookie}
            route.fulfill(response=route.fetch(headers=headers))

        context.route("**/*", signed_in)
        yield context.new_page()
        browser.close()


def test_a_person_sees_their_experiments_and_runs(ward: Ward, page: Page) -> None:
    experiment = ward.experiment("alice", "shown in the browser")
    run_id = ward.run("alice", experiment, run_name="shown-run")["run_id"]
    ward.made(
        "alice", "runs/log-metric",
        {"run_id": run_id, "key": "accuracy", "value": 0.875, "timestamp": 1, "step": 0},
    )  # fmt: skip
    ward.experiment("bob", "not for this browser")
    said: list[str] = []
    answers: list[tuple[int, str]] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("response", lambda it: answers.append((it.status, it.url.removeprefix(ward.url))))
    page.goto(f"{ward.url}/mlflow/?workspace=clinic#/experiments?workspace=clinic")
    page.get_by_text("shown in the browser").first.wait_for(timeout=30_000)
    assert page.get_by_text("not for this browser").count() == 0
    shown = f"#/experiments/{experiment}/runs/{run_id}?workspace=clinic"
    page.goto(f"{ward.url}/mlflow/?workspace=clinic{shown}")
    page.get_by_text("0.875").first.wait_for(timeout=30_000)
    assert [it for it in said if "Content Security Policy" in it] == []
    # What the interface asks in vain is refused on purpose; all else is answered.
    table = RouteTable()
    asked_in_vain = [url for status, url in answers if status >= 400]
    assert [
        url
        for url in asked_in_vain
        if table.find("GET", urlsplit(url).path.removeprefix("/mlflow"))
        or table.find("POST", urlsplit(url).path.removeprefix("/mlflow"))
    ] == []
    assert all(status < 500 for status, _ in answers)
