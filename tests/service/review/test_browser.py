"""The served review in a real browser, from the login to the printed page."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from model.events import microseconds
from service.storage import keys
from service.storage.database import open_database
from tests.conftest import ROOT
from tests.service.review.conftest import NOW

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

CHROMIUM = Path("/usr/bin/chromium")
AXE = ROOT / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser at {CHROMIUM}")


@dataclass
class Visit:
    """A page, and all that went wrong on it."""

    page: Page
    where: str
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(f"{self.where}{path}", wait_until="networkidle")

    def deals(self) -> list[str]:
        rows = self.page.locator("section[aria-labelledby=deals] tbody th[scope=row] a")
        return rows.all_text_contents()


@pytest.fixture(scope="module")
def key(reviewed_url: str) -> str:
    database = open_database(reviewed_url)
    with database.writing() as connection:
        made = keys.make(
            connection, title="meeting", scopes=["read"], owners=None, at=microseconds(NOW)
        )
    database.close()
    return made


@pytest.fixture(scope="module")
def where(
    reviewed_url: str,
    user_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Where the review is served, by the command as users run it."""
    log = tmp_path_factory.mktemp("served") / "log"
    command = ["redflare", "serve", "--no-worker", "--database", reviewed_url, "--port", "0"]
    environment = user_environment | {"REDFLARE_REVIEW_SEGMENT": "industry"}
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Serving model"), log.read_text()
            yield line.split()[-1]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=[*QUIET, f"--crash-dumps-dir={home}"]
        )
        yield started
        started.close()


def complaint(message: ConsoleMessage) -> list[str]:
    """An error or a warning of the browser; what it merely remarks is none."""
    return [message.text] if message.type in ("error", "warning") else []


def failure(request: Request) -> list[str]:
    """What failed, but for a drawing that nobody waited for: the next page was asked."""
    told = request.failure or ""
    return [] if "ERR_ABORTED" in told else [f"{told}: {request.url}"]


@contextmanager
def visiting(browser: Browser, where: str, width: int = 1280) -> Iterator[Visit]:
    """A window without a past; whatever goes wrong in it is a fault."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    visit = Visit(page=context.new_page(), where=where)
    visit.page.on("console", lambda message: visit.faults.extend(complaint(message)))
    visit.page.on("pageerror", lambda error: visit.faults.append(str(error)))
    visit.page.on("requestfailed", lambda request: visit.faults.extend(failure(request)))
    visit.page.on(
        "request",
        lambda request: (
            None
            if urlsplit(request.url).netloc == urlsplit(where).netloc
            else visit.faults.append(f"another host: {request.url}")
        ),
    )
    try:
        yield visit
    finally:
        context.close()


@pytest.fixture(scope="module")
def session(browser: Browser, where: str, key: str) -> Iterator[Visit]:
    """Somebody who has asked for the review and signed in on the way."""
    with visiting(browser, where) as visit:
        visit.open("/review")
        assert visit.page.title() == "Log in to Redflare"
        visit.page.get_by_label("API key").fill(key)
        visit.page.get_by_role("button", name="Log in").click()
        visit.page.get_by_role("heading", name="Forecast review").wait_for()
        yield visit


@pytest.fixture
def visit(session: Visit) -> Iterator[Visit]:
    """The same window at the review; nothing may go wrong while a test looks around."""
    session.faults.clear()
    session.open("/review")
    yield session
    assert session.faults == []


def test_a_wrong_key_is_refused_with_the_reason(browser: Browser, where: str) -> None:
    with visiting(browser, where) as visit:
        visit.open("/login?next=/review")
        visit.page.get_by_label("API key").fill("rf_0000_wrong")
        visit.page.get_by_role("button", name="Log in").click()

        assert (
            "one that redflare keys create printed" in visit.page.get_by_role("alert").inner_text()
        )


def test_deals_are_chosen_by_a_form_and_sorted_by_a_link(visit: Visit) -> None:
    whole = visit.deals()
    owners = visit.page.locator("select[name=owner]")
    owner = owners.locator("option").nth(1).get_attribute("value")
    owners.select_option(owner)
    visit.page.get_by_role("button", name="Show").click()
    mine = visit.deals()
    visit.page.locator("#deals + div thead").get_by_role("link", name="deal", exact=True).click()

    assert 0 < len(mine) < len(whole)
    assert visit.deals() == sorted(mine)
    assert f"owner={owner}" in visit.page.url
    heading = visit.page.locator("#deals + div th[aria-sort]")
    assert heading.get_attribute("aria-sort") == "ascending"


def test_a_deal_is_opened_and_an_event_supposed_of_it(visit: Visit) -> None:
    deal = visit.deals()[0]
    visit.page.get_by_role("link", name=deal, exact=True).last.click()
    assert visit.page.get_by_role("heading", level=1).inner_text() == deal
    visit.page.wait_for_load_state("networkidle")
    drawings = visit.page.locator("img.drawing")
    assert drawings.count() == 2
    widths = drawings.evaluate_all("all => all.map(each => each.naturalWidth)")
    assert all(width > 100 for width in widths), "they are drawn"

    visit.page.locator("select[name=kind]").select_option("meeting_held")
    visit.page.locator("input[name=name]").fill("onsite")
    visit.page.get_by_role("button", name="Suppose").click()

    assert "Meeting held: onsite" in visit.page.get_by_role("status").inner_text()
    visit.page.get_by_role("link", name="Forecast review").click()
    assert deal in visit.deals()


def test_a_bar_of_the_bridge_opens_its_deals(visit: Visit) -> None:
    row = visit.page.locator("#bars-0").locator("xpath=..").get_by_role("row", name="time passing")
    count = int(row.get_by_role("cell").last.inner_text())
    row.get_by_role("link").click()
    deals = visit.deals()
    assert len(deals) == min(count, 100)

    visit.page.locator("section[aria-labelledby=deals] tbody a").first.click()

    assert visit.page.get_by_role("heading", level=1).inner_text() == deals[0]


def test_the_page_is_printed_on_paper(visit: Visit, tmp_path: Path) -> None:
    printed = tmp_path / "review.pdf"
    visit.page.pdf(path=printed, prefer_css_page_size=True)

    assert printed.read_bytes().startswith(b"%PDF")
    visit.page.emulate_media(media="print")
    assert not visit.page.get_by_role("button", name="Show").is_visible()
    heights = visit.page.locator("details table").evaluate_all(
        "all => all.map(each => each.checkVisibility({contentVisibilityAuto: true}))"
    )
    assert all(heights), "what is folded on the screen is open on paper"
    visit.page.emulate_media(media="screen")


def test_a_narrow_window_needs_no_scrolling_sideways(session: Visit) -> None:
    page = session.page
    page.set_viewport_size({"width": 390, "height": 844})
    try:
        session.open("/review?sort=-change")
        for path in ("/review", *(f"/review/deals/{deal}" for deal in session.deals()[:2])):
            session.open(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not there: .ci/run installs it")
def test_nothing_keeps_anybody_from_reading_it(browser: Browser, session: Visit) -> None:
    session.open("/review")
    deal = session.deals()[0]
    for path in (
        "/review",
        "/review?bar=lost",
        "/review?show=flared&sort=-change",
        "/review?owner=nobody",
        f"/review/deals/{deal}?kind=customer_replied",
    ):
        session.open(path)
        assert serious(session.page) == [], path
    with visiting(browser, session.where) as stranger:
        stranger.open("/login")
        assert serious(stranger.page) == []


def serious(page: Page) -> list[str]:
    """The faults that axe-core calls serious or worse."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    only = "{resultTypes: ['violations']}"
    found = page.evaluate(f"axe.run({only}).then(found => found.violations)")
    return [
        f"{each['id']}: {each['nodes'][0]['html']}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def test_the_keyboard_skips_the_head_and_sees_where_it_is(visit: Visit) -> None:
    visit.page.keyboard.press("Tab")
    skip = visit.page.get_by_role("link", name="Skip to the content")
    assert skip.bounding_box()["y"] >= 0, "it shows once it has the focus"  # type: ignore[index]
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("Tab")

    focused = "document.querySelector('main').contains(document.activeElement)"
    assert visit.page.evaluate(focused)
    style = "getComputedStyle(document.activeElement).outlineStyle"
    assert visit.page.evaluate(style) == "solid"


def test_signing_out_ends_the_session(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Sign out").click()
    assert visit.page.title() == "Log in to Redflare"
    visit.open("/review")

    assert visit.page.title() == "Log in to Redflare"
