"""MLflow's user interface in a browser, for a signed-in person."""

import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, sync_playwright
from tests.faces.mlflow.ward import Ward

from strongroom.faces.mlflow.routes import RouteTable

PREFERENCES = "strongroom-preferences.js"

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
            route.fulfill(response=route.fetch(headers=headers, max_retries=3))

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


PAGES = (
    "/", "/experiments", "/experiments/{e}", "/experiments/{e}/runs", "/experiments/{e}/models",
    "/experiments/{e}/traces", "/experiments/{e}/datasets", "/experiments/{e}/judges",
    "/experiments/{e}/playground", "/experiments/{e}/evaluation-runs",
    "/experiments/{e}/runs/{r}", "/experiments/{e}/runs/{r}/artifacts",
    "/experiments/{e}/runs/{r}/traces", "/models", "/prompts", "/settings/general",
    "/settings/llm-connections", "/settings/webhooks", "/account",
)  # fmt: skip


TELEMETRY = "Information about UI telemetry"
ASSISTANT = "[data-component-id='mlflow.assistant.chat_panel.close']"

UNWANTED = (
    "there is nothing here", "ENDPOINT_NOT_FOUND", "Failed to load", "Unable to",
    TELEMETRY,
)  # fmt: skip


def test_no_page_shows_an_error_for_what_is_not_offered(ward: Ward, page: Page) -> None:
    experiment = ward.experiment("alice", "walked through")
    run_id = ward.run("alice", experiment)["run_id"]
    in_vain: list[tuple[int, str]] = []
    said: list[str] = []
    page.on(
        "response", lambda it: in_vain.append((it.status, it.url)) if it.status >= 400 else None
    )
    # A film on MLflow's own site is kept out by the Content-Security-Policy, as it should be.
    page.on(
        "console",
        lambda it: (
            said.append(it.text)
            if it.type == "error" and "https://mlflow.org/" not in it.text
            else None
        ),
    )
    page.on("pageerror", lambda it: said.append(str(it)))
    shown: dict[str, str] = {}
    for path in PAGES:
        there = path.format(e=experiment, r=run_id)
        page.goto(f"{ward.url}/mlflow/?workspace=clinic#{there}?workspace=clinic")
        page.locator("h1, h2, h3, table").first.wait_for(timeout=30_000)
        page.wait_for_timeout(1_000)  # some lists are asked for only then
        text = page.locator("body").inner_text()
        for words in UNWANTED:
            if words in text:
                shown[path] = words
        if page.locator(ASSISTANT).count():
            shown[path] = "the assistant"
    assert shown == {}
    assert in_vain == []
    assert said == []
    # The gateway is not even offered in the menu.
    assert page.get_by_text("AI Gateway").count() == 0


def test_what_is_not_shown_is_what_the_interface_would_show(ward: Ward, page: Page) -> None:
    """Without our preferences, and a browser that was never here."""
    browser = page.context.browser
    assert browser is not None
    cookie = f"{ward.cookie}={ward.sessions['alice']}"

    def signed_in(route: Route) -> None:
        if PREFERENCES in route.request.url:
            route.fulfill(body="", content_type="text/javascript")
        else:
            headers = {**route.request.headers, "cookie": cookie}
            route.fulfill(response=route.fetch(headers=headers, max_retries=3))

    context = browser.new_context()
    context.route("**/*", signed_in)
    other = context.new_page()
    other.goto(f"{ward.url}/mlflow/?workspace=clinic#/?workspace=clinic")
    other.get_by_text(TELEMETRY).first.wait_for(timeout=30_000)
    other.locator(ASSISTANT).first.wait_for(timeout=30_000)
    context.close()


def test_our_preferences_are_a_file_like_the_interfaces_own(ward: Ward) -> None:
    answer = ward.call("", "GET", f"/mlflow/static-files/{PREFERENCES}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    page = ward.call("alice", "GET", "/mlflow/").text
    assert page.index(PREFERENCES) < page.index("static/js/main.")
