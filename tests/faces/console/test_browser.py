"""The console in a real Chromium: what people see, by keyboard, with axe and the policy watched."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.faces.house import CSV, House

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")

PAGES = (
    "/",
    "/w/clinic/data",
    "/w/clinic/data/patients",
    "/w/clinic/data/missing",
    "/w/clinic/models",
    "/w/clinic/models/trap/1",
    "/w/clinic/jobs",
    "/w/clinic/log",
    "/w/clinic/people",
    "/w/clinic/people?action=addDataset",
    "/sign-in",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
def page(browser: Browser, house: House, faults: list[str]) -> Iterator[Page]:
    """A signed-in page; whatever the browser complains of is kept in `faults`."""
    with_session = context(browser)
    opened = watched(with_session, faults)
    opened.goto(f"{house.address}/sign-in?link={house.link()}")
    opened.get_by_role("button", name="Sign in").click()
    opened.wait_for_url(f"{house.address}/")
    yield opened
    with_session.close()


def context(browser: Browser, **options: str) -> BrowserContext:
    return browser.new_context(ignore_https_errors=True, **options)  # type: ignore[arg-type] # each option is a text


def watched(within: BrowserContext, faults: list[str]) -> Page:
    opened = within.new_page()
    # Violations of the content security policy come as console errors.
    opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    return opened


def expected(faults: list[str]) -> list[str]:
    """Faults beside those that an answer of 4xx leaves in the console."""
    return [fault for fault in faults if "Failed to load resource" not in fault]


def newest_entry(page: Page, house: House) -> str:
    page.goto(f"{house.address}/w/clinic/log")
    return str(page.locator("tbody a").first.get_attribute("href"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_passes_axe_and_the_policy(
    browser: Browser, house: House, faults: list[str], scheme: str
) -> None:
    within = context(browser, color_scheme=scheme)
    page = watched(within, faults)
    page.goto(f"{house.address}/sign-in?link={house.link()}")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{house.address}/")
    entry = newest_entry(page, house)
    for path in (*PAGES, entry):
        page.goto(house.address + path)
        results = Axe().run(page, options={"resultTypes": ["violations"]})
        assert results.violations_count == 0, f"{path}: {results.generate_report()}"
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth"), path
    assert expected(faults) == []
    within.close()


def test_the_policy_is_in_force(page: Page, house: House, faults: list[str]) -> None:
    """The check above would be worthless if violations went unnoticed."""
    page.goto(house.address)
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.body.append(s); document.body.setAttribute('style', 'color: red'); }"
    )
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in fault for fault in faults)


def test_the_cookie_is_unreachable_and_the_session_ends(page: Page, house: House) -> None:
    assert page.evaluate("document.cookie") == ""
    (cookie,) = page.context.cookies()
    assert cookie["name"] == "__Host-strongroom"
    assert cookie["httpOnly"]
    assert cookie["secure"]
    assert cookie["sameSite"] == "Strict"
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{house.address}/sign-in")
    assert page.context.cookies() == []
    page.goto(f"{house.address}/w/clinic/data")
    assert page.get_by_role("heading", name="Sign in").is_visible()


def test_a_form_of_another_site_is_refused(browser: Browser, page: Page, house: House) -> None:
    other = page.context.new_page()
    other.route("https://evil.example/*", lambda route: route.fulfill(
        content_type="text/html",
        body=f'<form method="post" action="{house.address}/sign-out"><button>go</button></form>',
    ))  # fmt: skip
    other.goto("https://evil.example/")
    other.get_by_role("button").click()
    other.wait_for_url(f"{house.address}/sign-out")
    assert other.get_by_role("heading", name="Not permitted").is_visible()
    page.goto(f"{house.address}/")
    assert page.get_by_role("heading", name="Workspaces").is_visible()


def test_it_works_by_keyboard_alone(page: Page, house: House) -> None:
    page.goto(f"{house.address}/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "clinic":
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"{house.address}/w/clinic/data")
    assert page.get_by_role("heading", name="Datasets").is_visible()


def test_it_works_without_script(browser: Browser, house: House) -> None:
    within = browser.new_context(ignore_https_errors=True, java_script_enabled=False)
    page = within.new_page()
    page.goto(f"{house.address}/sign-in?link={house.link()}")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="clinic", exact=True).click()
    page.get_by_role("link", name="patients").click()
    assert page.get_by_role("heading", name="Dataset patients").is_visible()
    page.get_by_role("link", name="Log").click()
    page.get_by_label("Outcome").select_option("allowed")
    page.get_by_role("button", name="Search").click()
    assert "outcome=allowed" in page.url
    within.close()


def test_an_entry_is_drawn_and_its_receipt_saved(page: Page, house: House) -> None:
    page.goto(house.address + newest_entry(page, house))
    assert page.get_by_role("img", name="The path from entry").is_visible()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download the receipt").click()
    assert waiting.value.suggested_filename.endswith(".tlog-proof")


def test_a_narrow_window_scrolls_tables_not_the_page(browser: Browser, house: House) -> None:
    within = browser.new_context(ignore_https_errors=True, viewport={"width": 360, "height": 700})
    page = within.new_page()
    page.goto(f"{house.address}/sign-in?link={house.link()}")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{house.address}/")
    for path in ("/", "/w/clinic/data", "/w/clinic/data/patients", "/w/clinic/log"):
        page.goto(house.address + path)
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth"), path
    within.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_with_a_privacy_budget_passes_axe_and_the_policy(
    house: House, page: Page, faults: list[str], scheme: str
) -> None:
    about = {"workspace": "clinic", "name": f"drawn-{scheme}"}
    house.call("data.add", **about, body=CSV)
    house.call("data.set_budget", **about, epsilon=2.0)
    for _ in range(2):
        house.call(
            "data.query", **about, sql="SELECT COUNT(*) FROM data", epsilon=0.3, purpose="study"
        )
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of its words
    page.goto(f"{house.address}/w/clinic/data/drawn-{scheme}")
    assert page.get_by_role("img", name="Privacy budget over time").is_visible()
    assert page.get_by_role("heading", name="Privacy budget").is_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert expected(faults) == []
